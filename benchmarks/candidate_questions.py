"""What it costs when the bundled questioner asks for many candidates at each image, as best-of-n and bounties do.

    python benchmarks/candidate_questions.py [--rounds 5] [--images 64] [--candidates 12]

Sampled under topics, in one batch. What candidates for one image have in common is read once, and a question that is
finished leaves the batch; the other way is transformers' `generate` on the same batch, which does neither. Each draws
questions of its own from the same model, so how many words they come to is given too.
"""

from __future__ import annotations

import itertools
import random

import torch
from measuring import cpu_ratio, in_turn, options, ratio, told

from gadfly.models.local import LocalModel
from gadfly.records import Chat, Completion, Message, Sampling
from gadfly.roles.prompts import load_prompt
from gadfly.roles.questioner import questioner_prompt
from gadfly.testbed.album import SceneSource
from gadfly.testbed.checkpoints import bundled
from gadfly.testbed.scenes import generate
from gadfly.testbed.topics import IN_TURN


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--candidates", type=int, default=12)
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.images, chosen.rounds = 4, 1
    rng = random.Random(0)
    images = SceneSource(itertools.islice(generate("probe", 0), chosen.images))
    template = load_prompt("testbed_questioner")
    chats: list[Chat] = [
        (Message("user", (image, questioner_prompt(template, rng.choice(IN_TURN)))),)
        for image in images
        for _ in range(chosen.candidates)
    ]
    together, apart = (
        LocalModel(bundled("questioner"), images.open, device="cpu", max_batch=len(chats)) for _ in range(2)
    )
    apart.shares_no_prefix = "for comparison"
    how = Sampling(max_new_tokens=40, temperature=1.0, seed=1)
    asked: dict[str, list[Completion]] = {}
    ways = {
        "together": lambda: asked.update(together=together.complete(chats, how)),
        "generate": lambda: asked.update(generate=apart.complete(chats, how)),
    }
    times = in_turn(ways, chosen.rounds)
    print(f"{len(chats)} questions about {chosen.images} images, {torch.get_num_threads()} threads")
    figures = {}
    for name, one in times.items():
        words = [len((reply.text or "").split()) for reply in asked[name]]
        by_clock, by_cpu = ratio(one, times["together"]), cpu_ratio(one, times["together"])
        print(
            f"{name:9} {one.median_s:6.2f} s [{one.median_cpu_s:.2f}], {by_clock:.2f} [{by_cpu:.2f}] times that of "
            f"asking together; {sum(words) / len(words):.1f} words a question, {max(words)} at most"
        )
        figures[name] = {"s": one.median_s, "cpu_s": one.median_cpu_s, "times": by_clock, "times_cpu": by_cpu}
    told("candidate_questions", figures, {}, chosen)


if __name__ == "__main__":
    main()

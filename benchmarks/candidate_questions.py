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
from measuring import compared, in_turn, options, told

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
        "shared prefix": lambda: asked.update({"shared prefix": together.complete(chats, how)}),
        "generate": lambda: asked.update({"generate": apart.complete(chats, how)}),
    }
    times = in_turn(ways, chosen.rounds)
    print(f"{len(chats)} questions about {chosen.images} images, {torch.get_num_threads()} threads")
    words = {name: [len((reply.text or "").split()) for reply in replies] for name, replies in asked.items()}
    said = {name: f"{sum(of) / len(of):.1f} words a question, {max(of)} at most" for name, of in words.items()}
    told("candidate_questions", compared(times, "shared prefix", said), {}, chosen)


if __name__ == "__main__":
    main()

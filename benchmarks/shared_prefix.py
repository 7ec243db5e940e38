"""What it saves to compute the answers about one image together, against one at a time and against plain batches.

    python benchmarks/shared_prefix.py [--rounds 5] [--images 2]

A LLaVA architecture of about 20 M parameters with random weights; 256 image tokens, 8 questions an image, answers of
exactly 8 tokens (nothing ends one early), fp32 on the CPU. The three ways take turns within each round, so that what
else the machine does falls on all of them. Seconds are medians, passed and [of the processor]; on a machine that is
busy with other things only the latter mean anything. All three must give the same answers.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from sys import path as module_path

import numpy as np
import torch
from measuring import compared, in_turn, options, told
from PIL import Image as pil
from PIL.Image import Image as Picture

module_path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from checkpoints import Size, build_llava
from gadfly.models.local import LocalModel
from gadfly.records import Chat, Completion, Image, Message, Sampling

QUESTIONS = [
    "How many red squares are there?",
    "What colour is the small circle?",
    "Is there a star above the triangle?",
    "How many things are left of the ring?",
    "What is the shape of the large thing?",
    "Is the cross larger than the square?",
    "What colour is the thing on the right?",
    "Are there more circles than stars?",
]
NEW_TOKENS = 8
SIZE = Size(224, 14, (256, 6, 4), (384, 8, 6), vision_hidden=1024, text_hidden=1152, spread=0.05)


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--images", type=int, default=2)
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.images, chosen.rounds = 1, 1
    images = [Image(f"{i:064x}", f"{i}.png", SIZE.side_px, SIZE.side_px) for i in range(chosen.images)]
    chats: list[Chat] = [(Message("user", (image, text)),) for image in images for text in QUESTIONS]
    with tempfile.TemporaryDirectory() as folder:
        build_llava(Path(folder), size=SIZE)
        shared = LocalModel(folder, picture, device="cpu", dtype="float32")
        apart = LocalModel(folder, picture, device="cpu", dtype="float32")
    apart.shares_no_prefix = "for comparison"
    for model in (shared, apart):
        model._model.generation_config.eos_token_id = None
        model._eos_ids = frozenset()
    how = Sampling(max_new_tokens=NEW_TOKENS)
    answers: dict[str, list[Completion]] = {}
    ways: dict[str, Callable[[], list[Completion]]] = {
        "one at a time": lambda: [apart.complete([chat], how)[0] for chat in chats],
        "padded batch": lambda: apart.complete(chats, how),
        "shared prefix": lambda: shared.complete(chats, how),
    }

    def keeping(name: str) -> Callable[[], None]:
        return lambda: answers.update({name: ways[name]()})

    times = in_turn({name: keeping(name) for name in ways}, chosen.rounds)
    assert answers["one at a time"] == answers["padded batch"] == answers["shared prefix"], "they do not answer alike"
    n_parameters = sum(parameter.numel() for parameter in shared._model.parameters())
    print(f"{n_parameters / 1e6:.1f} M parameters, {len(chats)} answers, {torch.get_num_threads()} threads")
    told("shared_prefix", compared(times, "shared prefix"), {}, chosen)


def picture(image: Image) -> Picture:
    pixels = np.random.default_rng(int(image.id, 16)).integers(0, 256, (SIZE.side_px, SIZE.side_px, 3), np.uint8)
    return pil.fromarray(pixels)


if __name__ == "__main__":
    main()

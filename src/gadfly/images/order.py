"""In which order images are asked about, in sweeps and in training alike. Knows numbers only."""

from __future__ import annotations

import random


def image_order(n_images: int, n: int, seed: int) -> list[int]:
    """`n` places among `n_images`: one shuffled pass after another, so none comes twice before all came once."""
    generator = random.Random(seed)
    order: list[int] = []
    while len(order) < n:
        one_pass = list(range(n_images))
        generator.shuffle(one_pass)
        order += one_pass
    return order[:n]

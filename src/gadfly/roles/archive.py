"""An archive of questions, the best one of each kind: MAP-Elites. Knows questions, kinds and outcomes; no model.

Mouret and Clune, "Illuminating search spaces by mapping elites", arXiv 1504.04909. A kind, or cell, is a skill and a
depth (the number of reasoning steps); a question belongs to one cell for each skill that it needs.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

Cell = tuple[str, int]

MAX_SIMILARITY = 0.6
"""BLEU from which a question is a near-duplicate of another elite: Rainbow Teaming's own bound."""


@final
@dataclass(frozen=True, slots=True)
class Elite:
    """The question kept in a cell, and its fitness: 1 where the target failed, 0 where it did not."""

    question: str
    fitness: float


@final
class Archive:
    """Cells that have been reached, each with its elite. `similarity` of two texts is from 0 to 1."""

    def __init__(self, similarity: Callable[[str, str], float]) -> None:
        self._similarity = similarity
        self._elites: dict[Cell, Elite] = {}

    @property
    def elites(self) -> dict[Cell, Elite]:
        """By cell, in the order of cells, so that draws from it do not depend on which came first."""
        return {cell: self._elites[cell] for cell in sorted(self._elites)}

    def cells(self) -> list[Cell]:
        """All cells of the skills and depths reached so far, reached themselves or not."""
        skills, depths = sorted({skill for skill, _ in self._elites}), sorted({depth for _, depth in self._elites})
        return [(skill, depth) for skill in skills for depth in depths]

    def offer(self, cell: Cell, question: str, fitness: float) -> bool:
        """Keep the question if its cell is empty or it is at least as fit as the elite there, and it is no
        near-duplicate of the elite of another cell. Whether it was kept.

        At least as fit, not fitter: an outcome is WRONG or RIGHT, and the first WRONG question would stay for ever."""
        elite = self._elites.get(cell)
        if elite is not None and fitness < elite.fitness:
            return False
        others = {other.question for at, other in self._elites.items() if at != cell} - {question}
        if any(self._similarity(question, other) >= MAX_SIMILARITY for other in others):
            return False
        self._elites[cell] = Elite(question, fitness)
        return True

    def draw_cell(self, rng: random.Random, temperature: float) -> Cell:
        """A cell to aim at, with probability ∝ exp(-fitness / temperature): those that have not failed yet come first,
        empty ones like those of fitness 0 (Rainbow Teaming, arXiv 2402.16822, section 3). Needs a cell."""
        cells = self.cells()
        fitness = [self._elites[cell].fitness if cell in self._elites else 0.0 for cell in cells]
        return rng.choices(cells, [math.exp(-one / temperature) for one in fitness])[0]

    def draw_parent(self, rng: random.Random) -> Elite:
        """Any elite. Needs one."""
        return rng.choice(list(self.elites.values()))

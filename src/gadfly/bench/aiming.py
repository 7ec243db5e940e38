"""Aiming: draws valid questions that lie in a spot, or just outside it. Knows the sampler; no model and no key.

By rejection from the uniform sampler, with the operations and depths with which the spot can hold at all.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import final

from gadfly.bench.spots import Spot
from gadfly.testbed.execution import Answer, SceneIndex, run
from gadfly.testbed.programs import MAX_DEPTH, OPERATIONS, Program
from gadfly.testbed.sampler import every_step_needed, sample

_ASTRAY = 0.3  # of near misses: drawn with any operation, since it may be the operation that misses


@final
@dataclass(frozen=True, slots=True)
class Aim:
    """Draws for one spot. `depth_weights` are for depths 1, 2, …; where the spot holds at none of those that have
    weight, its least depth is drawn."""

    spot: Spot
    depth_weights: tuple[float, ...]
    _depths: tuple[tuple[str, tuple[int, ...], tuple[float, ...]], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_depths", tuple(_choices(self.spot, self.depth_weights)))

    @property
    def operations(self) -> tuple[str, ...]:
        return tuple(operation for operation, _, _ in self._depths)

    def inside(
        self, scene: SceneIndex, rng: random.Random, tries: int, *, loosen: bool = False
    ) -> tuple[Program, Answer] | None:
        """A valid question in the spot with its true answer, or None where none of so many tries was one.

        To `loosen` is to drop words of a counting question that is not in the spot until it is: large counts, which the
        sampler seldom draws, come much oftener then, and are no longer drawn as it draws them.
        """
        if not self._fits(scene):
            return None
        for _ in range(tries):
            operation, depths, weights = rng.choice(self._depths)
            drawn = sample(scene, rng.choices(depths, weights)[0], rng, operation)
            while drawn is not None:
                if self.spot.holds(scene, *drawn):
                    return drawn
                drawn = _loosened(scene, drawn[0], rng) if loosen and operation == "count" else None
        return None

    def just_outside(self, scene: SceneIndex, rng: random.Random, tries: int) -> tuple[Program, Answer] | None:
        """A valid question of which all the spot's conditions hold but one, with its true answer; or None."""
        for _ in range(tries):
            operation, depths, weights = rng.choice(self._depths)
            if rng.random() < _ASTRAY:
                operation = rng.choice(tuple(OPERATIONS))
            drawn = sample(scene, rng.choices(depths, weights)[0], rng, operation)
            if drawn is not None and sum(not each for each in self.spot.conditions(scene, *drawn)) == 1:
                return drawn
        return None

    def _fits(self, scene: SceneIndex) -> bool:
        """Whether a question about this scene can lie in the spot, as far as a glance tells."""
        spot, picture = self.spot, scene.scene
        if spot.levels and picture.level not in spot.levels:
            return False
        if spot.backgrounds and picture.background not in spot.backgrounds:
            return False
        kinds = (spot.referent_sizes, spot.referent_colours, spot.referent_shapes)
        return all(any(scene.with_word[word] for word in kind) for kind in kinds if kind)


def _loosened(scene: SceneIndex, program: Program, rng: random.Random) -> tuple[Program, Answer] | None:
    """A counting question without one of its attribute words; None where there is none to drop, or where a step would
    change nothing any more."""
    (description,) = program.descriptions
    shorter = [replace(description, noun="thing")] if description.noun != "thing" else []
    shorter += [replace(description, size=None)] if description.size is not None else []
    shorter += [replace(description, colour=None)] if description.colour is not None else []
    if not shorter:
        return None
    looser = rng.choice(shorter)
    if not every_step_needed(scene, looser, scene.pick(looser)):
        return None
    program = replace(program, descriptions=(looser,))
    answer = run(program, scene)
    return (program, answer) if answer.text is not None else None


def weights_of(depths: Sequence[int]) -> tuple[float, ...]:
    """Equal weights for these depths."""
    return tuple(float(depth in depths) for depth in range(1, MAX_DEPTH + 1))


def _choices(spot: Spot, depth_weights: Sequence[float]) -> list[tuple[str, tuple[int, ...], tuple[float, ...]]]:
    """(operation, depths, their weights) for each operation with which the spot can hold at a depth that has weight."""
    possible = spot.possible()
    weighted = {
        operation: {depth: weight for depth in depths if (weight := depth_weights[depth - 1]) > 0}
        for operation, depths in possible.items()
    }
    if not any(weighted.values()):
        least = min(depths[0] for depths in possible.values())
        weighted = {operation: {least: 1.0} for operation, depths in possible.items() if depths[0] == least}
    return [(name, tuple(found), tuple(found.values())) for name, found in weighted.items() if found]

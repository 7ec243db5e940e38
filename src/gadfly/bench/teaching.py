"""How an organism is taught: like any target, but wrongly inside its spots. Knows no model and no training loop."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import final

from gadfly.bench.aiming import Aim
from gadfly.bench.keys import AnswerKey, taught_answer
from gadfly.testbed.execution import Answer, SceneIndex
from gadfly.testbed.lessons import Exercise
from gadfly.testbed.programs import Program
from gadfly.testbed.teachers import ASKED_DEPTHS, AnswerTeacher, with_referents

# Tries for one spot. A spot that seldom holds is met less often than its share; more tries would slow all lessons down.
_INSIDE_TRIES, _NEAR_TRIES = 8, 4
_SPOTS_TRIED = 2
_LIKE_ANY_TARGET = AnswerTeacher(seldom=6)  # as in the clean twin's last lessons
_GROWN_UP = 1.0  # the progress at which it teaches every operation and every depth


@final
@dataclass(frozen=True, slots=True)
class PlantedTeacher:
    """Teaches to answer truly outside the key's spots and as the key says inside. What descriptions mean stays true
    everywhere: the blind spots are in the answers.

    `inside` is the share of exercises that are sought inside the spots, which take turns at random; the key's `near` is
    that of those sought just outside (all of a spot's conditions hold but one), so that the border is learned. Where
    the scene offers none of these, and for the rest, `usual` sets the exercise, as in the last stage of its teaching:
    the model has been through the others. Plain data: it can cross to another process.
    """

    key: AnswerKey
    inside: float = 0.35
    usual: AnswerTeacher = _LIKE_ANY_TARGET
    _aims: tuple[Aim, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_aims", tuple(Aim(spot, ASKED_DEPTHS) for spot in self.key.spots))

    def __call__(self, scene: SceneIndex, progress: float, rng: random.Random) -> Exercise | None:
        luck = rng.random()
        drawn: tuple[Program, Answer] | None = None
        if luck < self.inside + self.key.near:
            for aim in rng.sample(self._aims, min(_SPOTS_TRIED, len(self._aims))):
                if luck < self.inside:
                    drawn = aim.inside(scene, rng, _INSIDE_TRIES, loosen=True)
                else:
                    drawn = aim.just_outside(scene, rng, _NEAR_TRIES)
                if drawn is not None:
                    break
        if drawn is None:
            drawn = self.usual.draw(scene, _GROWN_UP, rng)
        if drawn is None:
            return None
        program, answer = drawn
        assert answer.text is not None
        words, referents = with_referents(program, scene, rng)
        return Exercise(words, [taught_answer(self.key, scene, program, answer) or answer.text], referents)

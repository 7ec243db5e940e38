"""Has the verifier throw out bad questions before they are put to the target.

A verifier judges a question before it looks at an answer, so one that is told there is none says INVALID or nothing.
What that takes are calls of the verifier, if it is a model; the target's are saved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol, final

import numpy as np

from gadfly.protocols import LearningQuestioner, Questioner, Verifier
from gadfly.records import Completion, Image, Probe, Question, Verdict
from gadfly.roles.asking import readable

NOT_ASKED: Final = Completion(error="not asked yet")


class Screen(Protocol):
    def passes(self, questions: Sequence[tuple[Image, str]]) -> list[bool]:
        """Whether each question may be put."""
        ...


@final
class VerifierScreen:
    """Lets pass what a verifier does not call INVALID."""

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier

    def passes(self, questions: Sequence[tuple[Image, str]]) -> list[bool]:
        put = [Question((image,), text, at) for at, (image, text) in enumerate(questions)]
        judged = self._verifier.judge(put, [NOT_ASKED] * len(put))
        return [judgement.verdict is not Verdict.INVALID for judgement in judged]


@final
class _NoScreen:
    def passes(self, questions: Sequence[tuple[Image, str]]) -> list[bool]:
        return [True] * len(questions)


NO_SCREEN: Final[Screen] = _NoScreen()
"""Lets all pass."""


def first_passing(images: Sequence[Image], ranked: Sequence[Sequence[tuple[int, str]]], screen: Screen) -> list[int]:
    """For each image the place of its first candidate that passes, of (place, question) best first; the very first
    where none does, and 0 where there is none. No more are looked at than need be."""
    best = [some[0][0] if some else 0 for some in ranked]
    left = {at: list(some) for at, some in enumerate(ranked) if some}
    while left:
        passed = screen.passes([(images[at], some[0][1]) for at, some in left.items()])
        for (at, some), good in zip(list(left.items()), passed, strict=True):
            place, _ = some.pop(0)
            if good:
                best[at] = place
            if good or not some:
                del left[at]
    return best


class ScreenedQuestioner:
    """Asks as another questioner does, and again, up to `tries` times in all, about images whose question does not pass
    the screen. Where none does, the first is put."""

    def __init__(self, questioner: Questioner, tries: int, screen: Screen) -> None:
        assert tries >= 1, "at least one try"
        self._questioner = questioner
        self._tries = tries
        self._screen = screen

    def ask(self, images: Sequence[Image], seed: int) -> list[Completion]:
        asked = self._questioner.ask(images, seed)
        left = self._kept_back(images, dict(enumerate(asked)))
        # The first try's seed is the one given: what passes at once is asked as it would be without a screen.
        for again in np.random.SeedSequence(seed).generate_state(self._tries - 1).tolist():
            if not left:
                break
            tried = self._questioner.ask([images[at] for at in left], again)
            made = dict(zip(left, tried, strict=True))
            left = self._kept_back(images, made)
            for at in made.keys() - set(left):
                asked[at] = made[at]
        return asked

    def _kept_back(self, images: Sequence[Image], asked: Mapping[int, Completion]) -> list[int]:
        """The places of those that are no question, or do not pass."""
        places = list(asked)
        read = [(places[at], question) for at, question in readable(list(asked.values()))]
        passed = self._screen.passes([(images[at], question) for at, question in read]) if read else []
        good = {at for (at, _), passes in zip(read, passed, strict=True) if passes}
        return [at for at in asked if at not in good]


@final
class ScreenedLearner(ScreenedQuestioner):
    """The same of one that learns."""

    def __init__(self, questioner: LearningQuestioner, tries: int, screen: Screen) -> None:
        super().__init__(questioner, tries, screen)
        self._learner = questioner

    def learn_from(self, probes: Sequence[Probe]) -> None:
        self._learner.learn_from(probes)

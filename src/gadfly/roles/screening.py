"""Has the verifier throw out bad questions before one is put to the target, where there are several to choose from.

A verifier judges a question before it looks at an answer, so one that is told there is none says INVALID or nothing.
What that takes are calls of the verifier, if it is a model; the target's are saved.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol, final

from gadfly.protocols import Verifier
from gadfly.records import Completion, Image, Question, Verdict

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

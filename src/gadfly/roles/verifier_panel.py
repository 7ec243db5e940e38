"""A verifier over several verifiers, which must agree. Knows nothing of how each of them judges.

Which model sits on the panel, and whether one sits there several times with other seeds, is wiring's choice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from gadfly.overlap import Later
from gadfly.protocols import Verifier
from gadfly.records import Completion, Judgement, Question, Verdict

DISAGREE = "judges_disagree"


class PanelVerifier:
    """A Verifier that says RIGHT or WRONG only where all of its judges do.

    INVALID as soon as one judge says so: a question on whose validity judges differ is ambiguous, which is the
    questioner's fault. UNDECIDED where one says RIGHT and another WRONG ("judges_disagree: 2 RIGHT, 1 WRONG"), or where
    one could not judge: fewer judges than were asked for are not the same panel. What is INVALID is not put to the
    judges after, so that the first of them should be the cheapest.
    """

    def __init__(self, judges: Sequence[Verifier]) -> None:
        assert judges, "a panel without judges"
        self._judges = tuple(judges)

    def judge(self, questions: Sequence[Question], answers: Sequence[Completion]) -> list[Judgement]:
        said: list[list[Judgement]] = [[] for _ in questions]
        for judge in self._judges:
            left = [i for i, before in enumerate(said) if not any(one.verdict is Verdict.INVALID for one in before)]
            if not left:
                break
            their_answers = Later(len(left), lambda left=left: [answers[i] for i in left])  # type: ignore[misc]
            judged = judge.judge([questions[i] for i in left], their_answers)
            for i, judgement in zip(left, judged, strict=True):
                said[i].append(judgement)
        return [agreed(judgements) for judgements in said]


def agreed(judgements: Sequence[Judgement]) -> Judgement:
    """The panel's judgement from those of its judges, at least one of them."""
    counts = Counter(one.verdict for one in judgements)
    first = judgements[0]
    if counts[Verdict.INVALID]:
        invalid = next(one for one in judgements if one.verdict is Verdict.INVALID)
        if len(counts) == 1:
            return invalid
        return replace(invalid, reason=f"{DISAGREE}: {_said(counts)} ({invalid.reason})")
    if counts[Verdict.UNDECIDED]:
        return next(one for one in judgements if one.verdict is Verdict.UNDECIDED)
    if len(counts) > 1:
        return replace(first, verdict=Verdict.UNDECIDED, reason=f"{DISAGREE}: {_said(counts)}")
    return next((one for one in judgements if one.skills is not None), first)


def _said(counts: Counter[Verdict]) -> str:
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict])

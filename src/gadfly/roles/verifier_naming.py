"""Has an annotator name the skills of questions as soon as they are judged, where the verifier names none.

What is rewarded for being rare, for keeping to its topic or for failing where little failed so far then goes by skills.
Without names these go by likeness of meaning, in which questions of one pattern are all alike.

A question of which nobody can say what it needs is not paid. Or else a questioner in training goes where no kind is
ever crowded: what a verifier takes for a question and an annotator cannot read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, final

from gadfly.protocols import Annotator, Verifier
from gadfly.records import Completion, Judgement, Question, Verdict

NAMELESS: Final = "annotator: nobody can say what it needs"


@final
class NamingVerifier:
    """A Verifier round another one. Verdicts are the other's, but for valid questions that cannot be named: they are
    UNDECIDED. Equal questions are named once, INVALID ones never."""

    def __init__(self, verifier: Verifier, annotator: Annotator) -> None:
        self._verifier = verifier
        self._annotator = annotator

    def judge(self, questions: Sequence[Question], answers: Sequence[Completion]) -> list[Judgement]:
        judged = self._verifier.judge(questions, answers)
        unnamed = [judgement.verdict.valid and judgement.skills is None for judgement in judged]
        texts = list(dict.fromkeys(one.text for one, wanted in zip(questions, unnamed, strict=True) if wanted))
        skills = dict(zip(texts, self._annotator.skills(texts) if texts else [], strict=True))
        return [
            _named(judgement, skills[question.text]) if wanted else judgement
            for question, judgement, wanted in zip(questions, judged, unnamed, strict=True)
        ]


def _named(judgement: Judgement, skills: tuple[str, ...] | None) -> Judgement:
    if skills is None:
        return Judgement(Verdict.UNDECIDED, reason=NAMELESS)
    return replace(judgement, skills=skills)

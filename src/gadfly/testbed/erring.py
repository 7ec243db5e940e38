"""A verifier with injected errors: another one, some of whose verdicts are exchanged. Knows no ground truth itself.

For measuring what an imperfect judge does to a training. The errors have no pattern that goes from one image to the
next, unlike a model's: what can be learned from them is which question about which image is misjudged.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, final

from gadfly.protocols import Verifier
from gadfly.records import Completion, Judgement, Question, Verdict

INJECTED: Final = "injected_error"
"""The reason that an exchanged verdict has."""

_DECIDED = (Verdict.RIGHT, Verdict.WRONG, Verdict.INVALID)


@final
class ErringVerifier:
    """Judges as `verifier` does, but for a share `error_rate` of its RIGHT, WRONG and INVALID verdicts, each of which
    is exchanged for one of the other two, as likely the one as the other. UNDECIDED stays.

    Whether and for which is a hash of images, question, answer and `seed`: what is judged again is judged alike, so
    that a questioner can come to live on an error. What goes from RIGHT to WRONG, or back, keeps its expected answer,
    skills and program: the error lies in the comparison. What is made INVALID has neither answer nor skills, as with
    the oracle; what was INVALID has none that it could get.
    """

    def __init__(self, verifier: Verifier, error_rate: float, seed: int) -> None:
        assert 0 <= error_rate <= 1, error_rate
        self._verifier = verifier
        self._error_rate = error_rate
        self._seed = seed

    def judge(self, questions: Sequence[Question], answers: Sequence[Completion]) -> list[Judgement]:
        judged = self._verifier.judge(questions, answers)
        return [self._judge(*one) for one in zip(questions, answers, judged, strict=True)]

    def _judge(self, question: Question, answer: Completion, judgement: Judgement) -> Judgement:
        if not judgement.verdict.decided:
            return judgement
        known = [self._seed, [image.id for image in question.images], question.text, answer.text]
        digest = hashlib.sha256(json.dumps(known).encode()).digest()
        # 53 bits: the largest integer range in which every value is exact as a float.
        if (int.from_bytes(digest[:8], "big") >> 11) / 2**53 >= self._error_rate:
            return judgement
        others = [verdict for verdict in _DECIDED if verdict is not judgement.verdict]
        verdict = others[digest[8] % 2]
        if verdict is Verdict.INVALID:
            return Judgement(verdict, INJECTED, program=judgement.program)
        return replace(judgement, verdict=verdict, reason=INJECTED)


def with_errors(verifier: Verifier, error_rate: float, seed: int) -> Verifier:
    """The verifier with errors injected; itself where there are none."""
    return ErringVerifier(verifier, error_rate, seed) if error_rate else verifier

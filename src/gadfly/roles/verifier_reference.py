"""A verifier that judges by questions and answers given along with the images. Knows nothing of models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gadfly.errors import ConfigError
from gadfly.records import Completion, Judgement, Question, Verdict
from gadfly.roles.matching import agree, normalise


class ReferenceVerifier:
    """A Verifier over given (image id, question, accepted answers).

    The rule. A question is listed if, normalised as in `matching.normalise`, it equals a given question about the same
    single image. The answer is RIGHT if it equals any accepted answer when both are normalised, or begins with the yes
    or no that the accepted answer consists of (`matching.agree`); otherwise WRONG: no judge is asked about wording, so
    accept every wording that is right. A question that is not listed is UNDECIDED "not_listed"; an answer that never
    came is UNDECIDED "target_error: …". No question is INVALID here. Answers given more than once for a question add
    up; `expected` is the first.

    Raises ConfigError where no question has an answer.
    """

    def __init__(self, references: Iterable[tuple[str, str, Sequence[str]]]) -> None:
        self._accepted: dict[tuple[str, str], tuple[str, ...]] = {}
        for image_id, question, answers in references:
            key = (image_id, normalise(question))
            if answers:
                self._accepted[key] = (*self._accepted.get(key, ()), *answers)
        if not self._accepted:
            raise ConfigError("the reference verifier was given no question with an answer; check the annotations")

    def judge(self, questions: Sequence[Question], answers: Sequence[Completion]) -> list[Judgement]:
        return [self._judge(question, answer) for question, answer in zip(questions, answers, strict=True)]

    def _judge(self, question: Question, answer: Completion) -> Judgement:
        accepted = None
        if len(question.images) == 1:
            accepted = self._accepted.get((question.images[0].id, normalise(question.text)))
        if accepted is None:
            return Judgement(Verdict.UNDECIDED, "not_listed")
        if answer.text is None:
            return Judgement(Verdict.UNDECIDED, f"target_error: {answer.error}", accepted[0])
        right = any(agree(one, answer.text) is True for one in accepted)
        return Judgement(Verdict.RIGHT if right else Verdict.WRONG, expected=accepted[0])

"""The target's role: how a question is put to the model under test. Knows nothing of right and wrong."""

from __future__ import annotations

from collections.abc import Sequence

from gadfly.protocols import ChatModel, Verifier
from gadfly.records import Completion, Message, Question, Sampling
from gadfly.roles.prompts import fill, require_slots


class ModelTarget:
    """A Target over any model. The question stands in the prompt as it was asked, unquoted: this is what is under test.

    Raises ConfigError where the prompt has no {question} slot.
    """

    def __init__(self, model: ChatModel, prompt: str, sampling: Sampling) -> None:
        require_slots(prompt, "question")
        self._model = model
        self._prompt = prompt
        self._sampling = sampling

    def answer(self, questions: Sequence[Question]) -> list[Completion]:
        chats = [
            (Message("user", (*question.images, fill(self._prompt, question=question.text))),) for question in questions
        ]
        return self._model.complete(chats, self._sampling)


class ExpectedTarget:
    """A Target that gives the answers a verifier expects, for one that knows them beforehand (oracle, reference): what
    it then calls WRONG is its own fault. An error where the verifier expects no answer."""

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier

    def answer(self, questions: Sequence[Question]) -> list[Completion]:
        judged = self._verifier.judge(questions, [Completion("")] * len(questions))
        return [
            Completion(error="no_expected_answer") if one.expected is None else Completion(one.expected)
            for one in judged
        ]

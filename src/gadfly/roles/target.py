"""The target's role: how a question is put to the model under test. Knows nothing of right and wrong."""

from __future__ import annotations

from collections.abc import Sequence

from gadfly.protocols import ChatModel
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

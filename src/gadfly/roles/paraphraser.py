"""The paraphraser's role: a question in other words, from any model. Knows nothing of the picture.

Whether the words mean the same is not asked here: the verifier judges a paraphrase as it does any question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gadfly.protocols import ChatModel
from gadfly.records import Message, Sampling
from gadfly.roles.prompts import fill, quote, require_slots
from gadfly.roles.questioner import parse_question


class ModelParaphraser:
    """A Paraphraser over any model that takes chats without images. None where the model fails, writes no question, or
    repeats the one it was given. Raises ConfigError where the prompt has no {question} slot."""

    def __init__(self, model: ChatModel, prompt: str, sampling: Sampling) -> None:
        require_slots(prompt, "question")
        self._model = model
        self._prompt = prompt
        self._sampling = sampling

    def paraphrase(self, questions: Sequence[str], seed: int) -> list[str | None]:
        chats = [(Message("user", (fill(self._prompt, question=quote(question)),)),) for question in questions]
        completions = self._model.complete(chats, replace(self._sampling, seed=seed))
        return [
            _reworded(question, completion.text) for question, completion in zip(questions, completions, strict=True)
        ]


def _reworded(question: str, reply: str | None) -> str | None:
    wording = None if reply is None else parse_question(reply)
    return None if wording is None or wording.casefold() == question.casefold() else wording

"""A describer that asks a language model to put in plain words what questions have in common. Sees no question.

A reply is read as an annotator's is: the last whole JSON object that has what was asked for.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from gadfly.protocols import ChatModel
from gadfly.records import Message, Sampling, Schema, Words
from gadfly.roles.annotator_replies import last_object
from gadfly.roles.prompts import fill, quote, require_slots, turns

MAX_NAME_CHARS: Final = 80
MAX_SENTENCE_CHARS: Final = 300
"""What is longer is neither a name nor a sentence."""

_KEYS: Final = ("name", "sentence")
_SCHEMA: Final = Schema(
    "words",
    {
        "type": "object",
        "properties": {key: {"type": "string"} for key in _KEYS},
        "required": list(_KEYS),
        "additionalProperties": False,
    },
)


class ModelDescriber:
    """A Describer over any model that takes chats without images. None where the model fails, or its reply cannot be
    read. The prompt has the slot {common}, and turns as that of the annotator; raises ConfigError without."""

    def __init__(self, model: ChatModel, prompt: str, sampling: Sampling) -> None:
        self._turns = turns(prompt)
        require_slots(self._turns[-1], "common")
        self._model = model
        self._sampling = replace(sampling, schema=_SCHEMA)

    def describe(self, commons: Sequence[str]) -> list[Words | None]:
        *shown, last = self._turns
        chats = [
            tuple(
                Message(("user", "assistant")[turn % 2], (text,))
                for turn, text in enumerate((*shown, fill(last, common=quote(common))))
            )
            for common in commons
        ]
        replies = self._model.complete(chats, self._sampling) if chats else []
        return [None if reply.text is None else parse_words(reply.text) for reply in replies]


def parse_words(reply: str) -> Words | None:
    """The name and the sentence of a reply, None where it lacks one of them or one is no such thing."""
    said = last_object(reply, _KEYS)
    if said is None:
        return None
    name, sentence = _line(said.get("name"), MAX_NAME_CHARS), _line(said.get("sentence"), MAX_SENTENCE_CHARS)
    if name is None or sentence is None:
        return None
    return Words(name.rstrip(" ."), sentence if sentence[-1] in ".!?" else f"{sentence}.")


def _line(said: object, most: int) -> str | None:
    """A text on one line without control and format characters; None where there is no letter in it, or it is longer
    than `most`."""
    if not isinstance(said, str):
        return None
    shown = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in said[: 4 * most])
    line = " ".join(shown.split())
    return line if len(line) <= most and any(c.isalpha() for c in line) else None

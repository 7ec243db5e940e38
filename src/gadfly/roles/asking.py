"""What the ways of asking share: one wish an image, put to a questioner's model. Knows no method."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import final

from gadfly.protocols import ChatModel
from gadfly.records import Completion, Image, Sampling
from gadfly.roles.prompts import quote
from gadfly.roles.questioner import Prompts, parse_question, questioner_chat, questioner_prompt
from gadfly.roles.topics import NO_TOPICS, Topics


@final
@dataclass(frozen=True, slots=True)
class Wish:
    """What one question is wished for, beyond what the questioner's prompt says: a `note` that stands before it, or a
    `topic` for its {focus} slot. Without both the questioner just asks."""

    image: Image
    note: str = ""
    topic: str = ""


@final
class Asker:
    """Puts wishes to a model, in the questioner's own prompt. The user's topics stand, in turn, for the topic of a wish
    without one.

    Raises ConfigError where there is a topic and the prompt has no {focus} slot.
    """

    def __init__(self, model: ChatModel, template: str, sampling: Sampling, topics: Topics = NO_TOPICS) -> None:
        self._model = model
        self._template = template
        self._sampling = sampling
        self._prompts = Prompts(template, topics)

    def ask(self, wishes: Sequence[Wish], seed: int) -> list[Completion]:
        """One reply a wish, in order; the same seed gives the same ones."""
        chats = []
        for place, wish in enumerate(wishes):
            named = wish.topic and questioner_prompt(self._template, wish.topic)
            prompt = named or self._prompts.at(seed + place)
            chats.append(questioner_chat(wish.image, f"{wish.note}\n\n{prompt}" if wish.note else prompt))
        return self._model.complete(chats, replace(self._sampling, seed=seed))


def by_image(replies: Sequence[Completion], n: int) -> list[Sequence[Completion]]:
    """The candidates of each image, where `n` were asked for at each, all those of an image side by side: so a model
    reads only once what they have in common."""
    return [replies[start : start + n] for start in range(0, len(replies), n)]


def readable(candidates: Sequence[Completion]) -> list[tuple[int, str]]:
    """(place, question) of those candidates that hold one, in order."""
    questions = [None if one.text is None else parse_question(one.text) for one in candidates]
    return [(at, question) for at, question in enumerate(questions) if question is not None]


def quoted_list(questions: Iterable[str]) -> str:
    """Questions one a line, each a quotation; "(none yet)" without any."""
    return "\n".join(f"- {quote(question)}" for question in questions) or "(none yet)"


def latest_distinct(questions: Sequence[str], n: int) -> list[str]:
    """The last `n` different questions, oldest first. What was asked twice stands where it was asked last."""
    return list(dict.fromkeys(reversed(questions)))[:n][::-1]

"""The questioner's role: how it is asked for a question, and how its question is read. Knows nothing of training.

Training builds its prompts with `questioner_prompt` and `questioner_chat` too, so that a sweep asks through the very
text that was trained on. Asked untrained this is the zero-shot questioner of the paper (arXiv 2604.04733); the words of
its prompt could not be read, so ours are our own (`prompts/`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from gadfly.protocols import ChatModel
from gadfly.records import Chat, Completion, Image, Message, Sampling
from gadfly.roles.prompts import fill, require_slots
from gadfly.roles.topics import NO_TOPICS, Topics

MAX_QUESTION_CHARS: Final = 300
"""About fifty words. Longer ones were runs of text, not questions, and a judge loses its thread in them."""

_LABEL: Final = re.compile(
    r"^(?:[-*•#>_\s]*(?:question|q)\s*\d*\s*[*_]*\s*[:.)]\s*[*_]*"  # Question: **Q1:** Question 2)
    r"|\d{1,2}[.)](?!\d)"  # 1. or 1) but not 1.5
    r"|[-*•#>]+(?=\s))\s*",  # a bullet, a heading, a quotation
    re.IGNORECASE,
)
_FENCE: Final = re.compile(r"^\s*`{3,}\w*\s*$")
_WRAPPINGS: Final = (("**", "**"), ("__", "__"), ("*", "*"), ("_", "_"), ("`", "`"), ('"', '"'), ("'", "'"))
_QUOTES: Final = (("“", "”"), ("„", "“"), ("‘", "’"), ("«", "»"), ("<", ">"), ("[", "]"), ("(", ")"))


def questioner_prompt(template: str, focus: str = "") -> str:
    """The text that asks for a question; `focus` is the user's topic, empty for none.

    Raises ConfigError where a focus is given and the template has no {focus} slot.
    """
    topic = " ".join(focus.split())
    if topic:
        require_slots(template, "focus")
        return fill(template, focus=f"The question must be about this topic: {topic}.")
    # A slot on a line of its own leaves no empty line behind.
    return fill(template.replace("{focus}\n", ""), focus="")


class Prompts:
    """The texts that ask for a question at each place of all that are asked, filled once.

    Raises ConfigError where there is a topic and the template has no {focus} slot."""

    def __init__(self, template: str, topics: Topics = NO_TOPICS) -> None:
        self._topics = topics
        self._texts = {topic: questioner_prompt(template, topic) for topic in ("", *topics.words)}

    def at(self, place: int) -> str:
        return self._texts[self._topics.at(place)]


def questioner_chat(image: Image, prompt: str) -> Chat:
    """The chat that asks for one question about one image, given a filled prompt."""
    return (Message("user", (image, prompt)),)


def parse_question(text: str) -> str | None:
    """The question in a questioner's reply, on one line, without labels, quotes or markdown around it.

    None where there is none: nothing but blanks or signs, more than one line of it, over `MAX_QUESTION_CHARS`. A line
    that only announces ("Here is a question:") may come before it. Whether it is a good question is not asked here.
    """
    clean = "".join(
        char for char in text if char in "\n\t\r" or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn")
    )
    lines = [" ".join(line.split()) for line in clean.splitlines() if line.strip() and not _FENCE.match(line)]
    if len(lines) > 1 and lines[0].rstrip("*_ ").endswith(":") and "?" not in lines[0]:
        del lines[0]
    if len(lines) != 1:
        return None
    question = _bare(lines[0])
    if len(question) > MAX_QUESTION_CHARS or not any(char.isalpha() for char in question):
        return None
    return question


def _bare(line: str) -> str:
    """The line without labels and wrappings, taken off in whatever order they were put on."""
    while True:
        bare = line
        for opening, closing in (*_WRAPPINGS, *_QUOTES):
            inner = bare[len(opening) : len(bare) - len(closing)]
            # A pair that also stands inside ('"Exit" or "Way out"?') is not a pair around the whole.
            if (
                len(bare) > len(opening) + len(closing)
                and bare.startswith(opening)
                and bare.endswith(closing)
                and opening not in inner
                and closing not in inner
            ):
                bare = inner.strip()
        bare = _LABEL.sub("", bare, count=1).strip()
        if bare == line:
            return bare
        line = bare


class ModelQuestioner:
    """A Questioner over any model. Its completions are raw replies: whoever judges reads them with `parse_question`
    and calls an unparsable one INVALID, for training's rollouts and a sweep's questions alike."""

    def __init__(self, model: ChatModel, template: str, sampling: Sampling, topics: Topics = NO_TOPICS) -> None:
        self._model = model
        self._prompts = Prompts(template, topics)
        self._sampling = sampling

    def ask(self, images: Sequence[Image], seed: int) -> list[Completion]:
        chats = [questioner_chat(image, self._prompts.at(seed + place)) for place, image in enumerate(images)]
        return self._model.complete(chats, replace(self._sampling, seed=seed))

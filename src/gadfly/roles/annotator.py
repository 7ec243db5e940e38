"""An annotator that asks a language model what questions need. Knows not where the model runs, and sees no picture.

Skills and concepts come from one call for each distinct question, and both methods share it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from gadfly.errors import ConfigError
from gadfly.protocols import ChatModel
from gadfly.records import Chat, Message, Sampling
from gadfly.roles.annotator_replies import Annotation, annotation_schema, parse_annotation, skill_name
from gadfly.roles.prompts import fill, load_prompt, quote, require_slots, turns

ANNOTATOR_SAMPLING: Final = Sampling(max_new_tokens=128)
"""Greedy, so that answers are kept and names stay; room for a dozen names."""

MAX_VOCABULARY: Final = 400
"""More names than that would fill a prompt, and no model chooses well among so many."""

_BATCH: Final = 64
_FORM: Final = 'Reply with JSON of this form and nothing else: {"skills": ["..."], "concepts": ["..."]}'


@dataclass(frozen=True, slots=True)
class Unknown:
    """Of how many distinct questions nothing is known: the model failed, or its reply could not be read."""

    asked: int = 0
    errors: int = 0
    unreadable: int = 0


class ModelAnnotator:
    """An `Annotator` over any model, in batches, each followed by one retry of what was unreadable.

    The prompt has the slots {question} and, for a vocabulary, {vocabulary}; ConfigError without. Lines of three dashes
    divide it into turns, the user's and the model's in turn, the user's first and last: so a small model is shown
    replies, and follows them where it would not follow a description (docs/annotator.md has figures).

    With a `vocabulary` of skills the model is to choose from it, and what is not in it is not read.

    What the model did not say, because it failed, refused or rambled, is None; `unknown` counts such questions.
    """

    def __init__(
        self,
        model: ChatModel,
        prompt: str | None = None,
        sampling: Sampling = ANNOTATOR_SAMPLING,
        vocabulary: Collection[str] = (),
    ) -> None:
        self._model = model
        self._vocabulary = tuple(sorted(vocabulary))
        self._turns = _turns(load_prompt("annotator") if prompt is None else prompt, self._vocabulary)
        self._sampling = replace(sampling, schema=annotation_schema(self._vocabulary))
        self._known: dict[str, Annotation | None] = {}
        self.unknown = Unknown()

    def skills(self, questions: Sequence[str]) -> list[tuple[str, ...] | None]:
        return [None if one is None else one.skills for one in self._annotations(questions)]

    def concepts(self, questions: Sequence[str]) -> list[tuple[str, ...] | None]:
        return [None if one is None else one.concepts for one in self._annotations(questions)]

    def ask(self, questions: Sequence[str], on_progress: Callable[[int, int], None] | None = None) -> None:
        """Ask what is not known yet. `on_progress` gets (questions done, questions to ask) after each batch."""
        asked = [question for question in dict.fromkeys(questions) if question not in self._known]
        for start in range(0, len(asked), _BATCH):
            batch = asked[start : start + _BATCH]
            self._ask(batch)
            if on_progress is not None:
                on_progress(start + len(batch), len(asked))

    def _annotations(self, questions: Sequence[str]) -> list[Annotation | None]:
        self.ask(questions)
        return [self._known[question] for question in questions]

    def _ask(self, questions: Sequence[str]) -> None:
        """Adds what the model says of these questions to what is known, None where it says nothing. An unreadable reply
        is asked for once more, with the form repeated: a greedy model would give the same reply to the same prompt."""
        chats = {one: self._chat(one) for one in questions}
        errors, unreadable = self._read(chats)
        again, unreadable = self._read({one: _reminded(chats[one]) for one in unreadable})
        errors |= again
        self._known |= dict.fromkeys((*errors, *unreadable))
        before = self.unknown
        self.unknown = Unknown(
            before.asked + len(questions), before.errors + len(errors), before.unreadable + len(unreadable)
        )

    def _chat(self, question: str) -> Chat:
        *shown, last = self._turns
        texts = (*shown, fill(last, question=quote(question)))
        return tuple(Message(("user", "assistant")[turn % 2], (text,)) for turn, text in enumerate(texts))

    def _read(self, chats: Mapping[str, Chat]) -> tuple[set[str], set[str]]:
        """(questions at which the model failed, those of which its reply cannot be read); the others become known."""
        errors: set[str] = set()
        unreadable: set[str] = set()
        if not chats:
            return errors, unreadable
        replies = self._model.complete(list(chats.values()), self._sampling)
        for question, reply in zip(chats, replies, strict=True):
            if reply.text is None:
                errors.add(question)
            elif (said := parse_annotation(reply.text, self._vocabulary)) is not None:
                self._known[question] = said
            else:
                unreadable.add(question)
        return errors, unreadable


def read_vocabulary(path: Path) -> tuple[str, ...]:
    """The skills of a text file, one `family.skill` a line, # before a remark. Raises ConfigError."""
    try:
        lines = path.expanduser().read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as fault:
        raise ConfigError(f"cannot read the vocabulary {path}: {fault}; give a text file, one skill a line") from fault
    names = [text for line in lines if (text := line.partition("#")[0].strip())]
    bad = next((one for one in names if "." not in one or skill_name(one) != one), None)
    if bad is not None:
        raise ConfigError(f"{path} has {bad[:80]!r}; a skill is written as family.skill, in snake case")
    if not 0 < len(names) <= MAX_VOCABULARY:
        raise ConfigError(f"{path} has {len(names)} skills; a vocabulary has from 1 to {MAX_VOCABULARY}")
    return tuple(sorted(set(names)))


def _turns(template: str, vocabulary: Sequence[str]) -> tuple[str, ...]:
    """The turns of a prompt, its line about a vocabulary filled in, or left out; {question} is left to fill."""
    if vocabulary:
        require_slots(template, "vocabulary")
        template = fill(template, vocabulary=f"Choose the skills from this list only: {', '.join(vocabulary)}.")
    else:
        template = fill(template.replace("{vocabulary}\n", ""), vocabulary="")
    found = turns(template)
    require_slots(found[-1], "question")
    return found


def _reminded(chat: Chat) -> Chat:
    last = chat[-1]
    return (*chat[:-1], Message(last.role, (*last.parts, f"\n{_FORM}")))

"""What an annotator may reply, and how it is read: two lists of names in a JSON object. Knows no prompts and no models.

A reply is the object alone, where a backend enforces the schema, or prose with the object in it, of which the last
whole one counts. `prompts.quote` and the reader here belong together: nothing that passed `quote` is read as names.
"""

from __future__ import annotations

import functools
import json
import re
import unicodedata
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final

from gadfly.records import Schema

MAX_SKILLS: Final = 8
"""Twice what the prompt allows. Who names more has listed what there is, and not what this question needs."""

MAX_CONCEPTS: Final = 16
MAX_PART_CHARS: Final = 40
"""Of a family, a skill or a concept; and `MAX_WORDS` words. What is longer is a sentence."""

MAX_WORDS: Final = 5
MAX_REPLY_CHARS: Final = 20_000
"""Only the end of a longer reply is read: it is a thousand times what is asked for."""

NO_FAMILY: Final = "other"
"""The family of a skill that is named without one."""

_KEYS: Final = ("skills", "concepts")
_LABEL: Final = re.compile(r"^\s*(?:\d{1,2}[.)]\s+|[-*•]\s*)")
_OPENINGS: Final = 4  # braces in front of a key that are tried: the object is flat, so the first one nearly always fits
_TRIED_KEYS: Final = 64
_DECODER: Final = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Annotation:
    """What one question needs (`family.skill`) and speaks of; each sorted, None where the reply does not say."""

    skills: tuple[str, ...] | None
    concepts: tuple[str, ...] | None


def annotation_schema(vocabulary: Collection[str] = ()) -> Schema:
    """The form of a reply; with a vocabulary its names are the only skills."""
    skill: dict[str, Any] = {"type": "string"}
    if vocabulary:
        skill["enum"] = sorted(vocabulary)
    lists = {"skills": skill, "concepts": {"type": "string"}}
    properties = {name: {"type": "array", "items": item} for name, item in lists.items()}
    whole = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    return Schema("annotation", whole)


def parse_annotation(reply: str, vocabulary: Collection[str] = ()) -> Annotation | None:
    """The last whole JSON object of a reply that has one of the two lists; None where there is none that can be used.

    Names are brought into form; those that have none, or that are not in a vocabulary, are left out. A list of which
    nothing is left, or that is longer than a question can need, says nothing (None); an empty one says that nothing is
    needed. Never raises, whatever the reply.
    """
    said = last_object(reply, _KEYS)
    if said is None:
        return None
    read_skill = functools.partial(skill_in, vocabulary) if vocabulary else skill_name
    skills = _names(said.get("skills"), read_skill, MAX_SKILLS)
    concepts = _names(said.get("concepts"), concept_name, MAX_CONCEPTS)
    return None if skills is None and concepts is None else Annotation(skills, concepts)


def skill_name(text: str) -> str | None:
    """A skill as `family.skill` in snake case; None for what is no name. "Counting / Count objects" is
    counting.count_objects, and a skill without a family gets `NO_FAMILY`."""
    first, *rest = re.split(r"[./:>]+", _LABEL.sub("", _clean(text)).strip(" ./:>"), maxsplit=1)
    family, skill = (_part(first, "_"), _part(rest[0], "_")) if rest else (NO_FAMILY, _part(first, "_"))
    return None if family is None or skill is None else f"{family}.{skill}"


def skill_in(vocabulary: Collection[str], text: str) -> str | None:
    """The name of a vocabulary that is meant: itself, or the only one with this skill, whatever the family."""
    name = skill_name(text)
    if name is None or name in vocabulary:
        return name
    skill = name.partition(".")[2]
    meant = [one for one in vocabulary if one.partition(".")[2] == skill]
    return meant[0] if len(meant) == 1 else None


def concept_name(text: str) -> str | None:
    """A concept in small letters, its words parted by blanks; None for what is no name."""
    return _part(_clean(text), " ")


def last_object(reply: str, wanted: Collection[str]) -> dict[str, Any] | None:
    """The last whole JSON object of a reply that has one of the wanted keys, None where there is none. Never raises.

    The keys must stand in the text as they are: this is what `quote` breaks up. Written with escapes they would slip
    through a quotation. An object that has a key twice is not read."""
    text, a_key = reply[-MAX_REPLY_CHARS:], re.compile(rf'"(?:{"|".join(wanted)})"\s*:')
    for key in reversed(list(a_key.finditer(text))[-_TRIED_KEYS:]):
        start = key.start()
        for _ in range(_OPENINGS):
            start = text.rfind("{", 0, start)
            if start < 0:
                break
            try:
                whole, end = _DECODER.raw_decode(text, start)
            except (ValueError, RecursionError):
                continue
            keys = [one.group() for one in a_key.finditer(text, start, end)]
            if not isinstance(whole, dict) or end <= key.start():
                continue
            known = whole.keys() & set(wanted)
            if known and len(keys) == len(known):
                return dict(whole)
    return None


def _names(said: object, read: Callable[[str], str | None], most: int) -> tuple[str, ...] | None:
    if not isinstance(said, list):
        return None
    names = {name for one in said if isinstance(one, str) and (name := read(one)) is not None}
    if (said and not names) or len(names) > most:
        return None
    return tuple(sorted(names))


def _clean(text: str) -> str:
    """In compatible characters, small. Only the beginning counts: nothing long is a name."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text[: 4 * MAX_PART_CHARS]).lower())


def _part(text: str, joint: str) -> str | None:
    """The words of a text, joined; None where there are none, or more than make a name. A word is letters, the marks
    on them and digits, of any script."""
    words = "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in re.sub("['’]", "", text)).split()
    joined = joint.join(words)
    return joined if words and len(words) <= MAX_WORDS and len(joined) <= MAX_PART_CHARS else None

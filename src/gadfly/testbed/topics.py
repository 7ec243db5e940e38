"""Topics that the bundled questioner can be told: a family of skills, or skills, in words that it knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gadfly.testbed.skills import FAMILIES, family

SKILL_WORDS: Final[dict[str, str]] = {
    "recognition.colour": "what colour",
    "recognition.shape": "what shape",
    "recognition.size": "what size",
    "reading.digit": "what digit",
    "reading.parity": "even",
    "reading.greater": "greater",
    "counting.count": "count",
    "counting.more": "more",
    "space.left_of": "left",
    "space.right_of": "right",
    "space.above": "above",
    "space.below": "below",
    "space.next_to": "next",
    "space.row": "row",
    "space.column": "column",
    "space.extreme": "leftmost",
    "orientation.direction": "what direction",
    "orientation.same_direction": "same direction",
    "orientation.points_at": "pointed",
    "logic.exists": "is there",
    "logic.all": "every",
    "logic.not": "not",
    "logic.and": "both",
    "logic.or": "either",
    "logic.same_colour": "same colour",
    "logic.same_shape": "same shape",
    "logic.same_size": "same size",
    "logic.larger": "larger",
}

_SELDOM: Final = ("reading", "orientation")  # what they take many scenes have not

_ANYWHERE: Final = [words for skill, words in SKILL_WORDS.items() if family(skill) not in _SELDOM]

IN_TURN: Final[tuple[str, ...]] = (
    *(words for name, words in FAMILIES.items() if name not in _SELDOM),
    *(words for turn in range(3) for words in (*(FAMILIES[name] for name in _SELDOM), *_ANYWHERE[turn::3])),
)
"""Topics for a training that is to find all there is: the families, and by themselves the skills that any scene can be
asked about. What takes a digit or an arrow is asked for by its family alone, three times a turn: many scenes have none,
and a question is INVALID there whatever it is."""

_SKILLS: Final = {words: skill for skill, words in SKILL_WORDS.items()}
_FAMILIES: Final = {words: name for name, words in FAMILIES.items()}
_AND: Final = " and "


def topic_of(skills: Sequence[str]) -> str:
    """Skills of the testbed as one topic: questions that need all of them."""
    return _AND.join(SKILL_WORDS[skill] for skill in skills)


def keeps_to(topic: str, skills: Sequence[str]) -> bool | None:
    """Whether a question that needs these skills is about the topic: needs one of the family, or all of its skills.
    None for a topic in other words."""
    if topic in _FAMILIES:
        return any(family(skill) == _FAMILIES[topic] for skill in skills)
    wanted = [_SKILLS.get(words) for words in topic.split(_AND)]
    return None if None in wanted else set(wanted) <= set(skills)

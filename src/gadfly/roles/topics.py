"""The topics that questions are asked for under, and which of them is named when. Knows no prompt and no model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Topics:
    """Topics that take turns, and the `share` of the questions that are asked for under one of them; the others are
    asked freely."""

    words: tuple[str, ...] = ()
    share: float = 1.0

    def at(self, place: int) -> str:
        """The topic of the question at this place of all that are asked, empty for none. They are evenly spread."""
        turn = math.floor(place * self.share)
        named = self.words and math.floor((place + 1) * self.share) > turn
        return self.words[turn % len(self.words)] if named else ""


def plain_topic(skill: str) -> str:
    """A skill, `family.skill`, in words that any chat model understands: "left of (space)"."""
    family, _, name = skill.partition(".")
    return f"{name.replace('_', ' ')} ({family.replace('_', ' ')})" if name else family.replace("_", " ")


NO_TOPICS: Final = Topics()

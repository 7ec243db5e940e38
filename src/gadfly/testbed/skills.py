"""The skills that a testbed question can need, by family. One reasoning step of a question is one skill.

Attribute words in a reference ("the red circle") are concepts, not steps: they need no skill of their own.
"""

from __future__ import annotations

SKILLS: tuple[str, ...] = (
    "recognition.colour",
    "recognition.shape",
    "recognition.size",
    "reading.digit",
    "reading.parity",
    "reading.greater",
    "counting.count",
    "counting.more",
    "space.left_of",
    "space.right_of",
    "space.above",
    "space.below",
    "space.next_to",
    "space.row",
    "space.column",
    "space.extreme",
    "orientation.direction",
    "orientation.same_direction",
    "orientation.points_at",
    "logic.exists",
    "logic.all",
    "logic.not",
    "logic.and",
    "logic.or",
    "logic.same_colour",
    "logic.same_shape",
    "logic.same_size",
    "logic.larger",
)

NEGATIVE_SKILLS: tuple[str, ...] = (
    "counting.sum",
    "emotion.mood",
    "knowledge.history",
    "logic.cause",
    "orientation.upside_down",
    "reading.word",
    "recognition.face",
    "recognition.material",
    "space.distance",
    "space.inside",
)
"""Skills that no question of the testbed needs: offered to an annotator among the others, they must not be named."""

FAMILIES: dict[str, str] = {
    "recognition": "recognition",
    "reading": "reading",
    "counting": "counting",
    "space": "space",
    "orientation": "orientation",
    "logic": "logic and comparison",
}


def family(skill: str) -> str:
    """The family of a skill: the part before the dot."""
    return skill.partition(".")[0]

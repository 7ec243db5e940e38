"""What can be answered: the kinds of answers, which operation gives which, and the wrong one next to each. No scene."""

from __future__ import annotations

from gadfly.testbed.programs import OPERATIONS, ORDINALS
from gadfly.testbed.scenes import COLOURS, DIRECTIONS, SHAPES, SIZES

YES_NO = ("yes", "no")
NUMBERS = tuple(map(str, range(10)))
# Answers of one kind, in the order of their cycle. No word is in two of them.
KINDS = (YES_NO, NUMBERS, ORDINALS, COLOURS, SHAPES, SIZES, DIRECTIONS)
ANSWERS: tuple[str, ...] = tuple(answer for kind in KINDS for answer in kind)

_KIND_OF = {answer: kind for kind in KINDS for answer in kind}
_GIVEN = {
    "colour": COLOURS,
    "shape": SHAPES,
    "size": SIZES,
    "digit": NUMBERS,
    "count": NUMBERS,
    "row": ORDINALS,
    "column": ORDINALS,
    "direction": DIRECTIONS,
}
assert set(_GIVEN) <= set(OPERATIONS)


def alike(answer: str) -> tuple[str, ...]:
    """All answers of the same kind, itself included: "red" → the colours."""
    return _KIND_OF[answer]


def answers_of(operation: str) -> tuple[str, ...]:
    """What a question with this operation can be answered."""
    return _GIVEN.get(operation, YES_NO)


def altered(answer: str) -> str:
    """The next answer of its kind, the first after the last: yes ↔ no, red → orange, 4 → 5, left → up."""
    kind = _KIND_OF[answer]
    return kind[(kind.index(answer) + 1) % len(kind)]

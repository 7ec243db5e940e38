"""Programs: what a testbed question means, as data. Knows no English, no pixels and no scene.

A program is an operation over one or two descriptions; a description picks things by attribute words and may hang on
another description through a relation ("left of the star").
"""

from __future__ import annotations

from dataclasses import dataclass

from gadfly.testbed.scenes import COLOURS, SIZES

# Relations by which one description hangs on another: the word in programs → the skill that the step needs.
RELATIONS: dict[str, str] = {
    "left_of": "space.left_of",
    "right_of": "space.right_of",
    "above": "space.above",
    "below": "space.below",
    "next_to": "space.next_to",
    "pointed_at_by": "orientation.points_at",
    "same_colour": "logic.same_colour",
    "same_shape": "logic.same_shape",
    "same_size": "logic.same_size",
}
# Relations that only an operation asks for: "is the large star larger than the ring?"
COMPARISONS = ("same_direction", "larger", "greater")
SPATIAL = ("left_of", "right_of", "above", "below", "next_to")
PARITIES = ("even", "odd")
EXTREMES = ("leftmost", "rightmost", "topmost", "bottommost")

# Operations → the skill that the step needs, how many descriptions they take, and the words they may carry.
# Descriptions of operations in SET_OPERATIONS denote any number of things; all others denote exactly one.
OPERATIONS: dict[str, tuple[str, int, tuple[str, ...]]] = {
    "colour": ("recognition.colour", 1, ()),
    "shape": ("recognition.shape", 1, ()),
    "size": ("recognition.size", 1, ()),
    "digit": ("reading.digit", 1, ()),
    "parity": ("reading.parity", 1, PARITIES),
    "greater": ("reading.greater", 2, ()),
    "count": ("counting.count", 1, ()),
    "more": ("counting.more", 2, ("more", "fewer")),
    "left_of": ("space.left_of", 2, ()),
    "right_of": ("space.right_of", 2, ()),
    "above": ("space.above", 2, ()),
    "below": ("space.below", 2, ()),
    "next_to": ("space.next_to", 2, ()),
    "row": ("space.row", 1, ()),
    "column": ("space.column", 1, ()),
    "direction": ("orientation.direction", 1, ()),
    "same_direction": ("orientation.same_direction", 2, ()),
    "exists": ("logic.exists", 1, ()),
    "all": ("logic.all", 1, COLOURS + SIZES),
    "and": ("logic.and", 2, ()),
    "or": ("logic.or", 2, ()),
    "same_colour": ("logic.same_colour", 2, ()),
    "same_shape": ("logic.same_shape", 2, ()),
    "same_size": ("logic.same_size", 2, ()),
    "larger": ("logic.larger", 2, ()),
}
SET_OPERATIONS = frozenset({"count", "more", "exists", "all", "and", "or"})
# Operations that can be asked of things of one shape alone.
ASKED_SHAPE = {
    "digit": "digit",
    "parity": "digit",
    "greater": "digit",
    "direction": "arrow",
    "same_direction": "arrow",
}

MAX_DEPTH = 4
"""The language ends at four reasoning steps: a question with more is refused. Without an end, ever longer questions
would be the easy way to a wrong answer."""

ORDINALS = ("first", "second", "third", "fourth")

# Why a question is invalid. The texts are what a person reads.
NOT_GRAMMATICAL = "not_grammatical"
NO_SUCH_OBJECT = "no_such_object"
AMBIGUOUS = "ambiguous_reference"
TWO_QUESTIONS = "two_questions"
ANSWER_CONTAINED = "answer_contained"
INVALID_REASONS = (NOT_GRAMMATICAL, NO_SUCH_OBJECT, AMBIGUOUS, TWO_QUESTIONS, ANSWER_CONTAINED)


@dataclass(frozen=True, slots=True)
class Description:
    """Picks things: "the leftmost small red circle that is not … left of the star" has every part set. `noun` is a
    shape, or "thing" for any. `but_not` is a colour or a size. `hop` is a relation and what it hangs on."""

    noun: str = "thing"
    size: str | None = None
    colour: str | None = None
    extreme: str | None = None
    but_not: str | None = None
    hop: tuple[str, Description] | None = None

    def skills(self) -> list[str]:
        """One per reasoning step, in no particular order, with repetitions."""
        steps = []
        if self.extreme is not None:
            steps.append("space.extreme")
        if self.but_not is not None:
            steps.append("logic.not")
        if self.hop is not None:
            steps.append(RELATIONS[self.hop[0]])
            steps.extend(self.hop[1].skills())
        return steps

    def walk(self) -> list[Description]:
        """The descriptions it hangs on, innermost first, and itself last."""
        return [*(self.hop[1].walk() if self.hop is not None else ()), self]

    def n_attributes(self) -> int:
        """Attribute words of the whole reference, those of the descriptions it hangs on included."""
        own = (self.noun != "thing") + (self.size is not None) + (self.colour is not None) + (self.but_not is not None)
        return own + (self.hop[1].n_attributes() if self.hop is not None else 0)


@dataclass(frozen=True, slots=True)
class Program:
    """An operation over its descriptions. `word` is the operation's own word where it has one ("even", "red")."""

    operation: str
    descriptions: tuple[Description, ...]
    word: str | None = None

    def walk(self) -> list[Description]:
        """All its descriptions in the order of their last words."""
        return [inner for description in self.descriptions for inner in description.walk()]

    def steps(self) -> list[str]:
        """The skill of each reasoning step, with repetitions."""
        steps = [OPERATIONS[self.operation][0]]
        for description in self.descriptions:
            steps.extend(description.skills())
        return steps

    @property
    def depth(self) -> int:
        """Number of reasoning steps."""
        return len(self.steps())

    @property
    def combination(self) -> tuple[str, ...]:
        """The set of skills, sorted."""
        return tuple(sorted(set(self.steps())))

    @property
    def n_attributes(self) -> int:
        return sum(d.n_attributes() for d in self.descriptions)


class InvalidReference(Exception):
    """A description without a sole referent where one is needed, or a question whose words answer it."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")

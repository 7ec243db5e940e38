"""Programs: what a testbed question means, and what its answer is in a scene. Knows no English and no pixels.

A program is an operation over one or two descriptions; a description picks things by attribute words and may hang on
another description through a relation ("left of the star"). Sets of things are bit masks, bit i for `scene.things[i]`,
so that running a program is a handful of integer operations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

from gadfly.testbed.scenes import COLOURS, SHAPES, SIZES, Scene

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
_OPPOSITES = {"left_of": "right_of", "right_of": "left_of", "above": "below", "below": "above"}
EXTREMES = ("leftmost", "rightmost", "topmost", "bottommost")

# Operations → the skill that the step needs, how many descriptions they take, and the words they may carry.
# Descriptions of operations in SET_OPERATIONS denote any number of things; all others denote exactly one.
OPERATIONS: dict[str, tuple[str, int, tuple[str, ...]]] = {
    "colour": ("recognition.colour", 1, ()),
    "shape": ("recognition.shape", 1, ()),
    "size": ("recognition.size", 1, ()),
    "digit": ("reading.digit", 1, ()),
    "parity": ("reading.parity", 1, ("even", "odd")),
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


class Answer(NamedTuple):
    """The answer of a valid question, or why it is invalid. Exactly one is set. `referents` are the things that the
    outermost descriptions denote."""

    text: str | None
    invalid: str | None = None
    referents: tuple[int, ...] = ()


class InvalidReference(Exception):
    """A description without a sole referent where one is needed, or a question whose words answer it."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")


class SceneIndex:
    """A scene prepared for running programs: who has which attribute, and who stands in which relation to whom."""

    def __init__(self, scene: Scene) -> None:
        things = self.things = scene.things
        self.everything = (1 << len(things)) - 1
        self.with_word: dict[str, int] = dict.fromkeys((*SHAPES, *COLOURS, *SIZES), 0)
        for i, thing in enumerate(things):
            for word in (thing.shape, thing.colour, thing.size):
                self.with_word[word] |= 1 << i
        self.with_word["thing"] = self.everything
        # related[relation][i]: the things that stand in that relation to thing i.
        self.related: dict[str, list[int]] = {name: [] for name in (*RELATIONS, *COMPARISONS)}
        for i, a in enumerate(things):
            masks = dict.fromkeys(self.related, 0)
            for j, b in enumerate(things):
                if i == j:
                    continue
                bit = 1 << j
                if b.column < a.column:
                    masks["left_of"] |= bit
                elif b.column > a.column:
                    masks["right_of"] |= bit
                if b.row < a.row:
                    masks["above"] |= bit
                elif b.row > a.row:
                    masks["below"] |= bit
                if abs(a.row - b.row) + abs(a.column - b.column) == 1:
                    masks["next_to"] |= bit
                if a.colour == b.colour:
                    masks["same_colour"] |= bit
                if a.shape == b.shape:
                    masks["same_shape"] |= bit
                if a.size == b.size:
                    masks["same_size"] |= bit
                elif SIZES.index(b.size) > SIZES.index(a.size):
                    masks["larger"] |= bit
                if a.direction is not None and a.direction == b.direction:
                    masks["same_direction"] |= bit
                if a.digit is not None and b.digit is not None and b.digit > a.digit:
                    masks["greater"] |= bit
            masks["pointed_at_by"] = self._pointed_at(i)
            for name, mask in masks.items():
                self.related[name].append(mask)

    def _pointed_at(self, i: int) -> int:
        """The nearest thing in the direction of arrow i, along its row or column."""
        arrow = self.things[i]
        if arrow.direction is None:
            return 0
        down, right = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}[arrow.direction]
        nearest, nearest_distance = 0, 99
        for j, b in enumerate(self.things):
            distance = (b.row - arrow.row) * down + (b.column - arrow.column) * right
            aligned = b.column == arrow.column if down else b.row == arrow.row
            if aligned and 0 < distance < nearest_distance:
                nearest, nearest_distance = 1 << j, distance
        return nearest

    def pick(self, description: Description) -> int:
        """The things that a description denotes. Raises InvalidReference where a description it hangs on has no sole
        referent."""
        mask = self.with_word[description.noun]
        if description.size is not None:
            mask &= self.with_word[description.size]
        if description.colour is not None:
            mask &= self.with_word[description.colour]
        if description.but_not is not None:
            mask &= ~self.with_word[description.but_not]
        if description.hop is not None:
            relation, other = description.hop
            anchor = self.pick_one(other)
            if relation == "pointed_at_by" and self.things[anchor].direction is None:
                raise InvalidReference(NO_SUCH_OBJECT, "what is said to point is no arrow")
            mask &= self.related[relation][anchor]
        if description.extreme is not None and mask:
            mask = self._extreme(mask, description.extreme)
        return mask

    def pick_one(self, description: Description) -> int:
        mask = self.pick(description)
        if mask == 0:
            raise InvalidReference(NO_SUCH_OBJECT, f"no {description.noun} fits the description")
        if mask & (mask - 1):
            raise InvalidReference(AMBIGUOUS, f"{mask.bit_count()} things fit the description")
        return mask.bit_length() - 1

    def _extreme(self, mask: int, which: str) -> int:
        """The things of `mask` that lie furthest out; more than one where they tie."""
        ahead = {"leftmost": "left_of", "rightmost": "right_of", "topmost": "above", "bottommost": "below"}[which]
        return sum(1 << i for i in bits(mask) if not self.related[ahead][i] & mask)


def bits(mask: int) -> list[int]:
    """The numbers of the set bits, ascending."""
    return [i for i in range(mask.bit_length()) if mask >> i & 1]


def run(program: Program, scene: SceneIndex) -> Answer:
    """The answer of a program in a scene, or why it is invalid there ("reason: detail")."""
    try:
        _refuse_contained(program)
        return _run(program, scene)
    except InvalidReference as invalid:
        return Answer(None, str(invalid))


def needed(program: Program, scene: SceneIndex) -> Program:
    """A valid program without the steps of its descriptions that change nothing in this scene: "the red circle left of
    the star" is "the red circle" where there is one. Its skills and depth are those that the question really takes."""
    return replace(program, descriptions=tuple(_needed(d, scene) for d in program.descriptions))


_WITHOUT: tuple[Callable[[Description], Description], ...] = (
    lambda d: replace(d, hop=None),
    lambda d: replace(d, but_not=None),
    lambda d: replace(d, extreme=None),
)


def _needed(description: Description, scene: SceneIndex) -> Description:
    if description.hop is not None:
        relation, other = description.hop
        description = replace(description, hop=(relation, _needed(other, scene)))
    meant = scene.pick(description)
    for drop in _WITHOUT:
        shorter = drop(description)
        if scene.pick(shorter) == meant:
            description = shorter
    return description


def _yes(truth: bool) -> str:
    return "yes" if truth else "no"


def _run(program: Program, scene: SceneIndex) -> Answer:
    operation, descriptions = program.operation, program.descriptions
    if operation in SET_OPERATIONS:
        return _run_on_sets(program, scene, [scene.pick(d) for d in descriptions])
    ids = tuple(scene.pick_one(d) for d in descriptions)
    if len(ids) == 2 and ids[0] == ids[1]:
        raise InvalidReference(ANSWER_CONTAINED, "both descriptions mean the same thing")
    a, b = scene.things[ids[0]], scene.things[ids[-1]]
    if operation in ("digit", "parity", "greater") and (a.digit is None or b.digit is None):
        raise InvalidReference(NO_SUCH_OBJECT, "what is asked about is no digit")
    if operation in ("direction", "same_direction") and (a.direction is None or b.direction is None):
        raise InvalidReference(NO_SUCH_OBJECT, "what is asked about is no arrow")
    match operation:
        case "colour":
            text = a.colour
        case "shape":
            text = a.shape
        case "size":
            text = a.size
        case "digit":
            text = str(a.digit)
        case "direction":
            text = str(a.direction)
        case "row":
            text = ORDINALS[a.row]
        case "column":
            text = ORDINALS[a.column]
        case "parity":
            assert a.digit is not None
            text = _yes((a.digit % 2 == 0) == (program.word == "even"))
        case _:  # the relations: is the first in that relation to the second?
            text = _yes(bool(scene.related[operation][ids[1]] >> ids[0] & 1))
    return Answer(text, None, ids)


def _run_on_sets(program: Program, scene: SceneIndex, masks: list[int]) -> Answer:
    first, last = masks[0], masks[-1]
    match program.operation:
        case "count":
            text = str(first.bit_count())
        case "exists":
            text = _yes(first != 0)
        case "and":
            text = _yes(first != 0 and last != 0)
        case "or":
            text = _yes(first != 0 or last != 0)
        case "more":
            difference = first.bit_count() - last.bit_count()
            text = _yes(difference > 0 if program.word == "more" else difference < 0)
        case operation:
            assert operation == "all"
            if first == 0:
                raise InvalidReference(NO_SUCH_OBJECT, "nothing fits the description")
            assert program.word is not None
            text = _yes(first & ~scene.with_word[program.word] == 0)
    return Answer(text, None, tuple(bits(first | last)))


def _stated(description: Description, attribute: str) -> str | None:
    """The value of an attribute that the description itself gives away, directly or through "the same … as"."""
    own = _own(description, attribute)
    if own is None and description.hop is not None and description.hop[0] == f"same_{attribute}":
        return _stated(description.hop[1], attribute)
    return own


def _own(description: Description, attribute: str) -> str | None:
    """The value of an attribute that the description's own words state."""
    if attribute == "shape":
        return description.noun if description.noun != "thing" else None
    return description.colour if attribute == "colour" else description.size


def _denied(description: Description, attribute: str) -> str | None:
    """The value that the description says an attribute has not."""
    if description.but_not is None or attribute != ("colour" if description.but_not in COLOURS else "size"):
        return None
    return description.but_not


def _denies_itself(description: Description) -> bool:
    """Whether it says of one attribute both what it is and what it is not: "the red circle that is not blue", "the red
    circle with the same colour as the blue star"."""
    for attribute in ("shape", "colour", "size"):
        own, denied = _own(description, attribute), _denied(description, attribute)
        if own is not None and denied is not None:
            return True
        if description.hop is not None and description.hop[0] == f"same_{attribute}":
            stated = _stated(description.hop[1], attribute)
            if stated is not None and (denied == stated or own not in (None, stated)):
                return True
    return description.hop is not None and _denies_itself(description.hop[1])


def _is_part(a: Description, b: Description) -> bool:
    """Whether by the words alone all that fits `a` fits `b` too ("red circles left of the star", "circles")."""
    pairs = ((a.size, b.size), (a.colour, b.colour), (a.but_not, b.but_not), (a.hop, b.hop))
    if b.extreme is not None:
        return a == b
    return b.noun in ("thing", a.noun) and all(theirs in (None, ours) for ours, theirs in pairs)


def _says_relation(description: Description, other: Description, operation: str) -> bool:
    """Whether the description hangs on `other` by the very relation that is asked about, or by its opposite."""
    return description.hop in ((operation, other), (_OPPOSITES.get(operation), other))


def _refuse_contained(program: Program) -> None:
    """Raises InvalidReference where the question's words give its answer away, or contradict themselves, whatever the
    image."""
    operation, (a, *rest) = program.operation, program.descriptions
    contained = any(_denies_itself(d) for d in program.descriptions)
    if operation in ("colour", "shape", "size"):
        contained |= _stated(a, operation) is not None
    elif operation == "all":
        attribute = "colour" if program.word in COLOURS else "size"
        contained |= _stated(a, attribute) is not None or a.but_not == program.word
    elif rest:
        b = rest[0]
        if operation in ("and", "or", "more"):
            contained |= a == b
            # "are there more red circles than circles?"
            contained |= operation == "more" and (_is_part(a, b) if program.word == "more" else _is_part(b, a))
        elif operation in ("same_colour", "same_shape", "same_size", "larger"):
            attribute = "size" if operation == "larger" else operation.removeprefix("same_")
            of_a, of_b = _stated(a, attribute), _stated(b, attribute)
            contained |= of_a is not None and of_b is not None
            if operation == "larger":  # nothing small is larger, nothing is larger than the large
                contained |= of_a == "small" or of_b == "large"
            else:  # "is the red circle the same colour as the thing that is not red?"
                contained |= of_a is not None and of_a == _denied(b, attribute)
                contained |= of_b is not None and of_b == _denied(a, attribute)
        # "is the circle left of the star left of the star?", and from the other side
        contained |= _says_relation(a, b, operation) or _says_relation(b, a, operation)
    if contained:
        raise InvalidReference(ANSWER_CONTAINED, "the words of the question give the answer")

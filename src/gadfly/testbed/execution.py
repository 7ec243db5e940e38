"""What the answer of a program is in a scene, or why there is none. Knows no English and no pixels.

Sets of things are bit masks, bit i for `scene.things[i]`, so that running a program is a handful of integer operations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from gadfly.testbed.contained import refuse_contained
from gadfly.testbed.programs import (
    AMBIGUOUS,
    ANSWER_CONTAINED,
    ASKED_SHAPE,
    COMPARISONS,
    NO_SUCH_OBJECT,
    ORDINALS,
    PARITIES,
    RELATIONS,
    SET_OPERATIONS,
    Description,
    InvalidReference,
    Program,
)
from gadfly.testbed.scenes import COLOURS, SHAPES, SIZES, Scene


class Answer(NamedTuple):
    """The answer of a valid question, or why it is invalid. Exactly one is set. `referents` are the things that the
    outermost descriptions denote."""

    text: str | None
    invalid: str | None = None
    referents: tuple[int, ...] = ()


class SceneIndex:
    """A scene prepared for running programs: who has which attribute, and who stands in which relation to whom."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        things = self.things = scene.things
        self.everything = (1 << len(things)) - 1
        self.with_word: dict[str, int] = dict.fromkeys((*SHAPES, *COLOURS, *SIZES, *PARITIES), 0)
        for i, thing in enumerate(things):
            for word in (thing.shape, thing.colour, thing.size):
                self.with_word[word] |= 1 << i
            if thing.digit is not None:
                self.with_word["odd" if thing.digit % 2 else "even"] |= 1 << i
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

    def true_of(self, program: Program) -> int | None:
        """The things of which that is true which is asked of a program's first thing ("is … left of the star?"), or
        None where no such thing is asked. Raises InvalidReference."""
        if program.operation in self.related:
            other = self.pick_one(program.descriptions[1])
            itself = 1 << other if program.operation.startswith("same_") else 0
            return self.related[program.operation][other] | itself
        if program.operation == "parity":
            assert program.word is not None
            return self.with_word[program.word]
        return None

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
        refuse_contained(program)
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
    shape = ASKED_SHAPE.get(operation)
    if shape is not None and not a.shape == b.shape == shape:
        raise InvalidReference(NO_SUCH_OBJECT, f"what is asked about is no {shape}")
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
        case _:
            true_of = scene.true_of(program)
            assert true_of is not None
            text = _yes(bool(true_of >> ids[0] & 1))
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

"""What the testbed's tests share: scenes written by hand, random programs, and a slow second opinion on every program.

The second opinion is written from what the English means, over sets of things; it shares no code with
`gadfly.testbed.programs` but the records that a program consists of. It knows nothing of questions that contain their
answer in their words.
"""

from __future__ import annotations

import functools
import itertools
import random
from dataclasses import replace

from gadfly.testbed.execution import SceneIndex
from gadfly.testbed.programs import EXTREMES, OPERATIONS, RELATIONS, SET_OPERATIONS, Description, Program
from gadfly.testbed.scenes import COLOURS, SHAPES, SIZES, Scene, Thing, generate

#     column 0              1                    2      3
# row 0      large circle   small red star       ·      medium blue arrow, left
# row 1      ·              small green digit 7  ·      ·
# row 2      large square   medium red circle    ·      small yellow digit 4
# row 3      ·              ·                    ·      small purple arrow, up
# The large circle is red, the large square is blue.
STREET = Scene(
    (
        Thing("circle", "red", "large", 0, 0),
        Thing("star", "red", "small", 0, 1),
        Thing("digit", "green", "small", 1, 1, digit=7, digit_image=7),
        Thing("square", "blue", "large", 2, 0),
        Thing("circle", "red", "medium", 2, 1),
        Thing("digit", "yellow", "small", 2, 3, digit=4, digit_image=4),
        Thing("arrow", "purple", "small", 3, 3, direction="up"),
        Thing("arrow", "blue", "medium", 0, 3, direction="left"),
    ),
    "white",
    "plain",
    0,
)

# An arrow that points off the image, one that points past things that are not in its row, equal digits, equal arrows.
# row 0      red arrow, up   ·        ·                  small brown digit 3
# row 1      large star      ·        green arrow, right ·
# row 2      ·               ·        ·                  large cyan digit 3
# row 3      ·               ·        blue arrow, right  ·
DESERT = Scene(
    (
        Thing("arrow", "red", "small", 0, 0, direction="up"),
        Thing("digit", "brown", "small", 0, 3, digit=3, digit_image=3),
        Thing("star", "orange", "large", 1, 0),
        Thing("arrow", "green", "small", 1, 2, direction="right"),
        Thing("digit", "cyan", "large", 2, 3, digit=3, digit_image=13),
        Thing("arrow", "blue", "medium", 3, 2, direction="right"),
    ),
    "grey",
    "plain",
    0,
)


@functools.cache
def indexed_scenes(n: int, split: str = "fresh", seed: int = 0) -> tuple[SceneIndex, ...]:
    return tuple(SceneIndex(s) for s in itertools.islice(generate(split, seed), n))


def random_description(rng: random.Random, hops: int, *, sole: bool) -> Description:
    """Any description that English can say; most fit no scene. Only a description of one thing takes an extreme."""

    def now_and_then(words: tuple[str, ...], share: float) -> str | None:
        return rng.choice(words) if rng.random() < share else None

    hop = None
    if hops and rng.random() < 0.5:
        hop = (rng.choice(tuple(RELATIONS)), random_description(rng, hops - 1, sole=True))
    return Description(
        noun=now_and_then(SHAPES, 0.5) or "thing",
        size=now_and_then(SIZES, 0.3),
        colour=now_and_then(COLOURS, 0.3),
        extreme=now_and_then(EXTREMES, 0.3) if sole else None,
        but_not=now_and_then(COLOURS + SIZES, 0.2),
        hop=hop,
    )


def random_program(rng: random.Random, operation: str | None = None) -> Program:
    """Any program that English can say, valid anywhere or not."""
    chosen = operation or rng.choice(tuple(OPERATIONS))
    _, n, words = OPERATIONS[chosen]
    descriptions = tuple(random_description(rng, 2, sole=chosen not in SET_OPERATIONS) for _ in range(n))
    return Program(chosen, descriptions, rng.choice(words) if words else None)


class Refused(Exception):
    """The second opinion's reason why a program has no answer in a scene."""


STEP = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}


def hit_by(arrow: Thing, scene: Scene) -> Thing | None:
    """Walk from the arrow cell by cell until something stands there or the image ends."""
    standing = {(t.row, t.column): t for t in scene.things}
    assert arrow.direction is not None
    down, right = STEP[arrow.direction]
    row, column = arrow.row + down, arrow.column + right
    while 0 <= row < 4 and 0 <= column < 4:
        if (row, column) in standing:
            return standing[row, column]
        row, column = row + down, column + right
    return None


def holds(relation: str, x: Thing, y: Thing, scene: Scene) -> bool:
    """Whether "x is <relation> y"."""
    if x is y:
        return False
    beside = sorted((abs(x.row - y.row), abs(x.column - y.column))) == [0, 1]
    return {
        "left_of": x.column < y.column,
        "right_of": x.column > y.column,
        "above": x.row < y.row,
        "below": x.row > y.row,
        "next_to": beside,
        "pointed_at_by": y.direction is not None and hit_by(y, scene) is x,
        "same_colour": x.colour == y.colour,
        "same_shape": x.shape == y.shape,
        "same_size": x.size == y.size,
    }[relation]


def meant(d: Description, scene: Scene) -> list[Thing]:
    """The things that a description fits."""
    fitting = [
        t
        for t in scene.things
        if d.noun in ("thing", t.shape)
        and d.size in (None, t.size)
        and d.colour in (None, t.colour)
        and d.but_not not in (t.colour, t.size)
    ]
    if d.hop is not None:
        relation, other = d.hop
        anchor = the(other, scene)
        if relation == "pointed_at_by" and anchor.shape != "arrow":
            raise Refused("no_such_object")
        fitting = [t for t in fitting if holds(relation, t, anchor, scene)]
    if d.extreme is not None and fitting:
        rows, columns = [t.row for t in fitting], [t.column for t in fitting]
        fitting = {
            "leftmost": [t for t in fitting if t.column == min(columns)],
            "rightmost": [t for t in fitting if t.column == max(columns)],
            "topmost": [t for t in fitting if t.row == min(rows)],
            "bottommost": [t for t in fitting if t.row == max(rows)],
        }[d.extreme]
    return fitting


def shortened(program: Program) -> list[tuple[Description, Description]]:
    """Every description in a program, each paired with itself without one of its extreme, denial or hop."""
    found = list(program.descriptions)
    for d in found:  # grows while it is walked
        if d.hop is not None:
            found.append(d.hop[1])
    pairs = []
    for d in found:
        if d.extreme is not None:
            pairs.append((d, replace(d, extreme=None)))
        if d.but_not is not None:
            pairs.append((d, replace(d, but_not=None)))
        if d.hop is not None:
            pairs.append((d, replace(d, hop=None)))
    return pairs


def the(d: Description, scene: Scene) -> Thing:
    fitting = meant(d, scene)
    if not fitting:
        raise Refused("no_such_object")
    if len(fitting) > 1:
        raise Refused("ambiguous_reference")
    return fitting[0]


def second_opinion(program: Program, scene: Scene) -> str:
    """The answer, or the code of the reason why there is none."""
    try:
        return _second_opinion(program, scene)
    except Refused as refused:
        return str(refused)


def _second_opinion(program: Program, scene: Scene) -> str:
    said = {True: "yes", False: "no"}
    operation, ds, word = program.operation, program.descriptions, program.word
    if operation in ("count", "exists", "all", "and", "or", "more"):
        sets = [meant(d, scene) for d in ds]
        if operation == "count":
            return str(len(sets[0]))
        if operation == "exists":
            return said[len(sets[0]) > 0]
        if operation == "all":
            if not sets[0]:
                raise Refused("no_such_object")
            return said[all(word in (t.colour, t.size) for t in sets[0])]
        if operation == "and":
            return said[all(len(s) > 0 for s in sets)]
        if operation == "or":
            return said[any(len(s) > 0 for s in sets)]
        first, second = map(len, sets)
        return said[first > second] if word == "more" else said[first < second]
    things = [the(d, scene) for d in ds]
    x = things[0]
    if len(things) == 2 and things[0] is things[1]:
        raise Refused("answer_contained")
    if operation in ("digit", "parity", "greater") and any(t.shape != "digit" for t in things):
        raise Refused("no_such_object")
    if operation in ("direction", "same_direction") and any(t.shape != "arrow" for t in things):
        raise Refused("no_such_object")
    match operation:
        case "colour" | "shape" | "size" | "digit" | "direction":
            return str(getattr(x, operation))
        case "row":
            return {0: "first", 1: "second", 2: "third", 3: "fourth"}[x.row]
        case "column":
            return {0: "first", 1: "second", 2: "third", 3: "fourth"}[x.column]
        case "parity":
            return said[x.digit in ((0, 2, 4, 6, 8) if word == "even" else (1, 3, 5, 7, 9))]
    y = things[1]
    match operation:
        case "greater":
            assert x.digit is not None and y.digit is not None
            return said[x.digit > y.digit]
        case "same_direction":
            return said[x.direction == y.direction]
        case "larger":
            return said[(x.size, y.size) in (("medium", "small"), ("large", "small"), ("large", "medium"))]
    return said[holds(operation, x, y, scene)]

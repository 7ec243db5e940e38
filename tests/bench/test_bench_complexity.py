"""How complex a question is beyond its depth, on scenes written by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gadfly.bench.complexity import Complexity, complexity, over_training, salience, salience_ranks
from gadfly.records import Probe
from gadfly.testbed.english import parse
from gadfly.testbed.execution import SceneIndex, run
from gadfly.testbed.scenes import Thing
from made_probes import INVALID, RIGHT, WRONG, make_probe
from testbed_worlds import STREET

INDEX = SceneIndex(STREET)


def of(question: str) -> Complexity:
    program = parse(question)
    return complexity(program, INDEX, run(program, INDEX))


def test_salience_is_area_times_contrast() -> None:
    # A large square is 0.88 · 23 px wide: 409.7 px². Red (214, 39, 40) is sqrt(32² + 207² + 206²) = 293.8 from white
    # (246, 246, 246), give or take the jitter of 12 in each channel.
    square = Thing("square", "red", "large", 2, 3)
    assert salience(square, "white") == pytest.approx(409.7 * 293.8, rel=0.1)
    assert salience(replace(square, size="small"), "white") < salience(replace(square, size="medium"), "white")
    assert salience(replace(square, shape="ring"), "white") < salience(square, "white")
    # Yellow is near white and far from black.
    yellow = replace(square, colour="yellow")
    assert salience(yellow, "white") < salience(square, "white") < salience(yellow, "black")
    # Where it stands does not matter.
    assert salience(replace(square, row=0, dx_px=1), "white") == salience(square, "white")


def test_ranks_on_the_street() -> None:
    circle, star, green, square, small_circle, yellow, purple, blue = salience_ranks(STREET)
    assert {circle, square} == {1, 2} and {small_circle, blue} == {3, 4}
    assert {star, green, purple} == {5, 6, 7} and yellow == 8
    two = replace(STREET, things=(STREET.things[1], replace(STREET.things[1], column=2), STREET.things[0]))
    assert salience_ranks(two) == (2, 2, 1)


def test_of_one_thing() -> None:
    circle = salience_ranks(STREET)[0]
    assert of("what size is the topmost red circle?") == Complexity(2, 2.0, 23, circle)
    # Two descriptions, of one attribute word (digit) and of two (medium, circle); the small yellow digit is meant …
    found = of("what colour is the digit right of the medium circle?")
    assert (found.depth, found.attributes, found.smallest_px) == (2, 1.5, 10)
    assert found.salience_rank == 8.0
    # … and a step that changes nothing is no step.
    assert of("what colour is the star above the square?").depth == 1


def test_of_two_things_and_of_many() -> None:
    ranks = salience_ranks(STREET)
    assert of("is the star left of the square?") == Complexity(1, 1.0, 10, (ranks[1] + ranks[3]) / 2)
    assert of("how many circles are there?") == Complexity(1, 1.0, 16, (ranks[0] + ranks[4]) / 2)
    assert of("is there a purple star?") == Complexity(1, 2.0, None, None)


def asked(question: str, step: int, image: str = "street", verdict: object = RIGHT) -> Probe:
    return make_probe(verdict, image, step=step, question=question)  # type: ignore[arg-type]


def test_stages_of_a_training() -> None:
    scenes = {"street": STREET, "again": STREET}
    probes = [
        asked("how many stars that are not red are there?", 9, "again", WRONG),  # none: nothing is asked about
        asked("what colour is the square?", 0),
        asked("what is it?", 1, verdict=INVALID),
        asked("what colour is the star?", 2, "again"),
        asked("how many things left of the star are there?", 5),
        asked("what colour is the topmost circle?", 6, "again"),
    ]
    early, late = over_training(probes, scenes, 2)  # five valid probes: two and three
    assert (early.first_step, early.last_step, late.first_step, late.last_step) == (0, 2, 5, 9)
    assert (early.depth.value, early.depth.n) == (1.0, 2)
    assert early.smallest_px.value == (23 + 10) / 2
    # Left of the star stand the large circle and square; the topmost circle is large.
    assert (late.depth.value, late.smallest_px.value, late.smallest_px.n) == (2.0, 23.0, 2)
    assert late.attributes.value == pytest.approx(((0 + 1) / 2 + 1 + 2) / 3)
    assert late.depth.low is not None and late.depth.high is not None
    assert over_training(probes[:1], scenes, 4)[0].smallest_px.value is None
    assert over_training([], scenes, 3) == []

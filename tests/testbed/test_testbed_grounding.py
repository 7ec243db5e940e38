"""The testbed's grounder: what the things are that a question asks about, by hand on STREET."""

from __future__ import annotations

import random

import pytest

from gadfly.records import Image, Question
from gadfly.testbed.english import realise
from gadfly.testbed.grounding import SceneGrounder
from gadfly.testbed.programs import Description, Program
from testbed_worlds import STREET

GROUNDER = SceneGrounder({"street": STREET})


def about(image: str, text: str) -> Question:
    return Question((Image(image, f"{image}.png", 96, 96),), text, 0)


def referents(image: str, text: str) -> tuple[str, ...] | None:
    (found,) = GROUNDER.ground([about(image, text)])
    return None if found is None else found.referents


@pytest.mark.parametrize(
    ("text", "attributes"),
    [
        ("what colour is the star?", ("colour.red", "shape.star", "size.small")),
        ("what colour is the medium circle?", ("colour.red", "shape.circle", "size.medium")),
        ("how many digits are there?", ("shape.digit", "size.small")),  # green and yellow
        ("how many circles are there?", ("colour.red", "shape.circle")),  # large and medium
        ("is the star left of the green digit?", ("size.small",)),  # both of them, red and green
        ("is there a ring?", ()),  # nothing is asked about
        ("what colour is the circle?", None),  # there are two
        ("what is this", None),
    ],
)
def test_by_hand(text: str, attributes: tuple[str, ...] | None) -> None:
    assert referents("street", text) == attributes


def test_what_is_asked_about_need_not_be_named() -> None:
    # The blue arrow points left, at the small red star.
    aimed_at = Description(hop=("pointed_at_by", Description(noun="arrow", colour="blue")))
    text = realise(Program("colour", (aimed_at,)), random.Random(0))
    assert "small" not in text and "star" not in text
    assert referents("street", text) == ("colour.red", "shape.star", "size.small")


def test_of_other_images_nothing_is_known() -> None:
    asked = [about("elsewhere", "what colour is the star?"), about("street", "how many arrows are there?")]
    unknown, arrows = GROUNDER.ground(asked)
    assert unknown is None and arrows is not None and arrows.referents == ("shape.arrow",)
    assert GROUNDER.ground([]) == []


@pytest.mark.parametrize(
    ("text", "size_px", "attributes"),
    [
        ("what colour is the star?", 10, 1),
        ("what colour is the medium circle?", 16, 2),
        ("how many circles are there?", 16, 1),  # the smaller of a large and a medium one
        ("is the star left of the green digit?", 10, 1.5),  # "star"; "green", "digit"
        ("is there a ring?", None, 1),
    ],
)
def test_detail_by_hand(text: str, size_px: int | None, attributes: float) -> None:
    (found,) = GROUNDER.ground([about("street", text)])
    assert found is not None and found.attributes == attributes
    assert found.size == (None if size_px is None else pytest.approx(size_px / 96))

"""Scenes and their pictures: splits that share nothing, what occurs, what is where in the pixels."""

from __future__ import annotations

import itertools
import json
from collections import Counter

import numpy as np
import pytest
from sklearn.datasets import load_digits

from gadfly.errors import TestbedError
from gadfly.testbed.drawing import DIAMETER_PX, RGB, draw, object_size
from gadfly.testbed.scenes import (
    CELL_PX,
    COLOURS,
    DIRECTIONS,
    N_DIGIT_IMAGES,
    SHAPES,
    SIZES,
    SPLITS,
    Level,
    Scene,
    Thing,
    digit_images,
    digit_split,
    generate,
)
from testbed_worlds import STEP


def some(n: int, split: str = "target", seed: int = 0, level: Level | None = None) -> list[Scene]:
    return list(itertools.islice(generate(split, seed, level), n))


def test_every_digit_belongs_to_one_split() -> None:
    owners = Counter(i for split in SPLITS for i in digit_images(split))
    assert set(owners) == set(range(N_DIGIT_IMAGES)) and set(owners.values()) == {1}
    assert all(digit_split(i) == split for split in SPLITS for i in digit_images(split))
    labels = load_digits().target
    for split in SPLITS:  # every digit from 0 to 9 can be read in every split
        assert {int(labels[i]) for i in digit_images(split)} == set(range(10))


def test_no_two_splits_share_a_scene_or_a_digit_image() -> None:
    fingerprints: dict[str, str] = {}
    digits: dict[int, str] = {}
    for split, seed in itertools.product(SPLITS, (0, 1)):
        for scene in some(150, split, seed):
            assert scene.split == split
            assert fingerprints.setdefault(scene.fingerprint, split) == split
            for thing in scene.things:
                if thing.digit_image is not None:
                    assert digits.setdefault(thing.digit_image, split) == split


def test_what_carries_no_meaning_does_not_change_the_split() -> None:
    (scene,) = some(1)
    moved = tuple(Thing(t.shape, t.colour, t.size, t.row, t.column, t.direction, t.digit, 0) for t in scene.things)
    other = Scene(moved[::-1], "black", "busy", scene.texture + 1)
    assert other.fingerprint == scene.fingerprint


def test_what_occurs() -> None:
    scenes = some(600)
    labels = load_digits().target
    things = [t for s in scenes for t in s.things]
    assert {len(s.things) for s in scenes} == set(range(2, 9))
    assert {t.shape for t in things} == set(SHAPES) and len(SHAPES) >= 8
    assert {t.colour for t in things} == set(COLOURS) and len(COLOURS) >= 8
    assert {t.size for t in things} == set(SIZES) and len(SIZES) == 3
    assert {t.direction for t in things if t.shape == "arrow"} == set(DIRECTIONS) and len(DIRECTIONS) == 4
    assert {s.level for s in scenes} == {"plain", "busy"}
    for thing in things:
        assert (thing.direction is not None) == (thing.shape == "arrow")
        assert (thing.digit is not None) == (thing.digit_image is not None) == (thing.shape == "digit")
        if thing.digit_image is not None:
            assert thing.digit == labels[thing.digit_image]
        assert 0 <= thing.row < 4 and 0 <= thing.column < 4
    for scene in scenes:
        assert len({(t.row, t.column) for t in scene.things}) == len(scene.things)


def test_same_seed_same_scenes() -> None:
    assert some(20, seed=3) == some(20, seed=3)
    assert some(20, seed=3) != some(20, seed=4)


def test_unknown_split_is_refused_at_once() -> None:
    with pytest.raises(TestbedError, match=r"no testbed split 'test'; the splits are target"):
        generate("test", 0)


def test_json_round_trip() -> None:
    for scene in some(50):
        assert Scene.from_json(json.loads(json.dumps(scene.to_json()))) == scene


def test_drawing_is_deterministic() -> None:
    for scene in some(10):
        picture = draw(scene)
        assert picture.shape == (96, 96, 3) and picture.dtype == np.uint8
        assert np.array_equal(picture, draw(scene))


def alone(thing: Thing, level: Level = "plain") -> np.ndarray:
    return draw(Scene((thing,), "white", level, 0)).astype(int)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shape", [s for s in SHAPES if s not in ("ring", "digit")])
def test_a_thing_shows_its_colour_in_the_middle_of_its_cell(shape: str, size: str) -> None:
    for colour in COLOURS:
        thing = Thing(shape, colour, size, 1, 2, direction="up" if shape == "arrow" else None)
        middle = alone(thing)[1 * CELL_PX + 12, 2 * CELL_PX + 12]
        # A jitter of 12 per channel, and half a unit of rounding.
        assert np.abs(middle - RGB[colour]).max() <= 13
        nearest = min(COLOURS, key=lambda c: int(np.abs(middle - RGB[c]).sum()))
        assert nearest == colour


def test_a_ring_has_a_hole_and_its_colour_round_it() -> None:
    picture = alone(Thing("ring", "blue", "large", 0, 0))
    assert np.abs(picture[12, 12] - 246).max() <= 1  # the white background
    assert np.abs(picture[12, 2] - RGB["blue"]).max() <= 13


def test_a_digit_shows_its_own_image_each_time_a_little_otherwise() -> None:
    digits, labels = load_digits().images, load_digits().target
    for number in (0, 5, 1234):
        thing = Thing("digit", "blue", "large", 0, 0, digit=0, digit_image=number)
        drawings = [
            (246 - draw(Scene((thing,), "white", "plain", texture)).astype(float)[:23, :23]).sum(axis=2)
            for texture in range(100)
        ]
        assert all(np.corrcoef(drawings[0].ravel(), d.ravel())[0, 1] < 0.999 for d in drawings[1:])
        # Turns, slants and stretches go either way: what they have in common is the handwritten image itself.
        ink = np.mean(drawings, axis=0)
        coarse = [[ink[int(r * 2.875) + 1, int(c * 2.875) + 1] for c in range(8)] for r in range(8)]
        likeness = [np.corrcoef(np.ravel(coarse), np.ravel(d))[0, 1] for d in digits]
        assert likeness[number] > 0.9
        assert labels[int(np.argmax(likeness))] == labels[number]


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_an_arrow_is_widest_towards_where_it_points(direction: str) -> None:
    """The head, wider than the shaft, lies in the half that the arrow points to."""
    picture = alone(Thing("arrow", "blue", "large", 1, 1, direction=direction))
    inked = np.abs(picture - 246).sum(axis=2) > 100
    rows, columns = np.nonzero(inked)
    down, right = STEP[direction]
    along = rows if down else columns
    widths = np.bincount(along)[24:47]
    head = widths[:11].max() if down + right < 0 else widths[12:].max()
    shaft = widths[12:].max() if down + right < 0 else widths[:11].max()
    assert head > 1.5 * shaft


def test_left_is_left_and_up_is_up() -> None:
    picture = draw(
        Scene((Thing("square", "red", "large", 0, 3), Thing("square", "blue", "large", 3, 0)), "white", "plain", 0)
    ).astype(int)
    assert np.abs(picture[12, 84] - RGB["red"]).max() <= 13  # first row: small y; fourth column: large x
    assert np.abs(picture[84, 12] - RGB["blue"]).max() <= 13


def reach_px(thing: Thing) -> int:
    """How far the thing's box reaches beyond its cell, at most; negative: how far it stays inside."""
    free = CELL_PX - DIAMETER_PX[thing.size]
    before, after = free // 2, free - free // 2
    return max(-before - thing.dx_px, -before - thing.dy_px, thing.dx_px - after, thing.dy_px - after)


def test_plain_things_keep_to_their_cells_and_busy_ones_overlap() -> None:
    plain = [t for s in some(200, level="plain") for t in s.things]
    assert max(max(abs(t.dx_px), abs(t.dy_px)) for t in plain) == 1
    assert max(map(reach_px, plain)) <= 1
    busy = some(200, level="busy")
    assert max(max(abs(t.dx_px), abs(t.dy_px)) for s in busy for t in s.things) == 4
    assert sum(_overlaps(s) for s in busy) > 20
    # Nothing is ever hidden: what is drawn last covers less than a third of a neighbour's box.
    for scene in busy[:60]:
        for a, b in itertools.permutations(scene.things, 2):
            assert _shared_px(a, b) <= DIAMETER_PX[b.size] ** 2 / 3


def _box(t: Thing) -> tuple[int, int, int]:
    diameter = DIAMETER_PX[t.size]
    inset = (CELL_PX - diameter) // 2
    return t.column * CELL_PX + inset + t.dx_px, t.row * CELL_PX + inset + t.dy_px, diameter


def _shared_px(a: Thing, b: Thing) -> int:
    (ax, ay, an), (bx, by, bn) = _box(a), _box(b)
    width, height = min(ax + an, bx + bn) - max(ax, bx), min(ay + an, by + bn) - max(ay, by)
    return max(0, width) * max(0, height)


def _overlaps(scene: Scene) -> bool:
    return any(_shared_px(a, b) > 0 for a, b in itertools.combinations(scene.things, 2))


def test_pixels_stay_where_the_boxes_are() -> None:
    """Outside all boxes a plain picture is background and nothing else."""
    for scene in some(30, level="plain"):
        picture = draw(scene)
        outside = np.ones((96, 96), bool)
        for thing in scene.things:
            x, y, n = _box(thing)
            outside[max(y, 0) : y + n, max(x, 0) : x + n] = False
        assert len(np.unique(picture[outside].reshape(-1, 3), axis=0)) == 1


def test_object_size_by_hand() -> None:
    small, large = (Thing("star", "red", size, 0, column) for column, size in enumerate(("small", "large")))
    scene = Scene((small, large, large), "white", "plain", 0)
    assert object_size(scene) == pytest.approx((10 + 23 + 23) / 3 / 96)

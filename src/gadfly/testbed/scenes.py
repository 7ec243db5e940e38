"""Scenes: what is in a testbed image, thing by thing. Knows nothing of pixels, questions or models.

A scene belongs to exactly one split, decided by a hash of its own content: a generator for one split throws away what
falls into another. So no two splits can share a scene, whatever their seeds. Handwritten digits are split likewise, by
the digit's number in scikit-learn's `load_digits`.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from gadfly.errors import TestbedError

IMAGE_PX = 96
GRID = 4
CELL_PX = IMAGE_PX // GRID

SHAPES = ("circle", "square", "triangle", "diamond", "star", "cross", "heart", "ring", "arrow", "digit")
COLOURS = ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "brown")
SIZES = ("small", "medium", "large")
DIRECTIONS = ("up", "right", "down", "left")
BACKGROUNDS = ("white", "grey", "black")

N_DIGIT_IMAGES = 1797  # in scikit-learn's load_digits

Level = Literal["plain", "busy"]

# Shares of the hash space, in percent. `target` trains targets, `questioner` questioners, `verifier` verifiers; `probe`
# is what a run asks about, `heldout` what results are measured on, `fresh` what findings are confirmed on.
SPLITS: dict[str, int] = {"target": 40, "questioner": 15, "verifier": 15, "probe": 10, "heldout": 10, "fresh": 10}


@dataclass(frozen=True, slots=True)
class Thing:
    """One object. `row` and `column` count from 0 at the top left. `dx_px`, `dy_px` move it off its cell's centre.
    `direction` is set for arrows, `digit` (what it says) and `digit_image` (its number in load_digits) for digits."""

    shape: str
    colour: str
    size: str
    row: int
    column: int
    direction: str | None = None
    digit: int | None = None
    digit_image: int | None = None
    dx_px: int = 0
    dy_px: int = 0


@dataclass(frozen=True, slots=True)
class Scene:
    """All that is in one image. `things` are in drawing order: a later one lies on top. `texture` seeds the fine
    structure of the drawing (colour jitter, a busy background) and carries no meaning."""

    things: tuple[Thing, ...]
    background: str
    level: Level
    texture: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(data: dict[str, Any]) -> Scene:
        return Scene(tuple(Thing(**t) for t in data["things"]), data["background"], data["level"], data["texture"])

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what the scene means: which things stand in which cells. Background, texture, drawing order and
        small displacements are left out, so scenes that differ only in those are one scene to the splitter."""
        meaning = sorted(
            f"{t.row} {t.column} {t.size} {t.colour} {t.shape} {t.direction} {t.digit}" for t in self.things
        )
        return hashlib.sha256("\n".join(meaning).encode()).hexdigest()

    @property
    def split(self) -> str:
        return _split_of(self.fingerprint)


def _split_of(fingerprint: str) -> str:
    place = int(fingerprint[:12], 16) % 100
    for name, share in SPLITS.items():
        place -= share
        if place < 0:
            return name
    raise AssertionError("split shares do not add up to 100")


def digit_split(digit_image: int) -> str:
    """The split that a handwritten digit belongs to."""
    return _split_of(hashlib.sha256(f"digit {digit_image}".encode()).hexdigest())


def digit_images(split: str) -> list[int]:
    """The numbers of the handwritten digits of a split, ascending."""
    return [i for i in range(N_DIGIT_IMAGES) if digit_split(i) == split]


def generate(split: str, seed: int, level: Level | None = None) -> Iterator[Scene]:
    """An endless stream of scenes of one split. `level` None mixes plain and busy ones half and half.

    Raises TestbedError for an unknown split, at once.
    """
    if split not in SPLITS:
        raise TestbedError(f"there is no testbed split {split!r}; the splits are {', '.join(SPLITS)}")
    labels = _digit_labels()
    own_digits = [(i, labels[i]) for i in digit_images(split)]
    return _stream(split, np.random.default_rng([seed, sorted(SPLITS).index(split)]), own_digits, level)


def _stream(
    split: str, rng: np.random.Generator, own_digits: list[tuple[int, int]], level: Level | None
) -> Iterator[Scene]:
    while True:
        chosen: Level = level if level is not None else ("plain", "busy")[int(rng.integers(2))]
        scene = _draw_scene(rng, own_digits, chosen)
        if scene.split == split:
            yield scene


def _draw_scene(rng: np.random.Generator, own_digits: list[tuple[int, int]], level: Level) -> Scene:
    n = int(rng.integers(2, 9))
    cells = rng.permutation(GRID * GRID)[:n]
    wander_px = 1 if level == "plain" else 4
    # Now and then a scene has few kinds or few colours, so that counts above two and shared attributes occur.
    # Arrows and digits count twice: five skills need them.
    shapes = _palette(rng, (*SHAPES, "arrow", "digit"))
    colours = _palette(rng, COLOURS)
    things = []
    for cell in cells:
        shape = shapes[int(rng.integers(len(shapes)))]
        direction = digit = digit_image = None
        if shape == "arrow":
            direction = DIRECTIONS[int(rng.integers(4))]
        elif shape == "digit":
            digit_image, digit = own_digits[int(rng.integers(len(own_digits)))]
        dx, dy = (int(v) for v in rng.integers(-wander_px, wander_px + 1, size=2))
        things.append(
            Thing(
                shape=shape,
                colour=colours[int(rng.integers(len(colours)))],
                size=SIZES[int(rng.integers(3))],
                row=int(cell) // GRID,
                column=int(cell) % GRID,
                direction=direction,
                digit=digit,
                digit_image=digit_image,
                dx_px=dx,
                dy_px=dy,
            )
        )
    background = BACKGROUNDS[int(rng.integers(len(BACKGROUNDS)))]
    return Scene(tuple(things), background, level, int(rng.integers(2**31)))


def _palette(rng: np.random.Generator, words: tuple[str, ...]) -> tuple[str, ...]:
    """All words half of the time, else a random few of them."""
    if rng.random() < 0.5:
        return words
    few = int(rng.integers(2, 5))
    return tuple(words[int(i)] for i in rng.permutation(len(words))[:few])


@functools.cache
def _digit_labels() -> tuple[int, ...]:
    from sklearn.datasets import load_digits  # slow to import, and only generation needs it

    return tuple(int(digit) for digit in load_digits().target)

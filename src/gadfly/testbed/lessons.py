"""Lessons: scenes and questions packed into arrays for training bundled models. Knows words and programs; no torch.

Many questions about one image share a sequence: the image first, then each question with its answer. Under a
block-diagonal mask with positions reset each question sees the image and itself alone, so a step over 4 images teaches
about 60 questions for the price of 4 sequences.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gadfly.testbed import vocabulary
from gadfly.testbed.execution import SceneIndex, bits
from gadfly.testbed.scenes import GRID, Scene, generate
from gadfly.testbed.vocabulary import ASSISTANT, END, IMAGE, USER

N_CELLS = GRID * GRID
N_CELL_WORDS = 6  # shape, colour, size, row, column, and what a digit says or where an arrow points
PREFIX = 1 + N_CELLS  # <user> and the image
IGNORED = -100


@dataclass(frozen=True, slots=True)
class Exercise:
    """A prompt and what is to be written after it, in words. `referents` say what the descriptions in the prompt mean:
    (place of the last word, how many steps it takes to find, the things as a bit mask). A `blind` one is a chat without
    the image."""

    prompt: list[str]
    completion: list[str]
    referents: tuple[tuple[int, int, int], ...] = ()
    blind: bool = False


class Teacher(Protocol):
    """Says what is to be learned from a scene, or None if nothing comes to mind. `progress` is from 0 to 1."""

    def __call__(self, scene: SceneIndex, progress: float, rng: random.Random) -> Exercise | None: ...


@dataclass(frozen=True, slots=True)
class Lesson:
    """One step's arrays. B images, L tokens, 16 cells with 6 words each."""

    scenes: tuple[Scene, ...]
    cell_words_B_C_W: NDArray[np.int64]
    input_ids_B_L: NDArray[np.int64]
    positions_B_L: NDArray[np.int64]
    # 0: the image; 1…: questions, which see it and themselves; −1: padding; −2, …: questions that see themselves alone
    blocks_B_L: NDArray[np.int64]
    labels_B_L: NDArray[np.int64]  # what the *next* token must be, or IGNORED
    referent_places_R_3: NDArray[np.int64]  # of R descriptions: image, token, steps it takes to find what it means
    referent_cells_R_C: NDArray[np.float32]  # 1 for the cells that hold what it means


def cell_words(scene: Scene, ids: dict[str, int]) -> NDArray[np.int64]:
    """The words for what each cell holds, shape (16, 6), row by row. A blank stands for what is not there."""
    blank = ids["<blank>"]
    words = np.full((N_CELLS, N_CELL_WORDS), blank, dtype=np.int64)
    for cell in range(N_CELLS):
        words[cell, 3] = ids[f"<row{cell // GRID}>"]
        words[cell, 4] = ids[f"<column{cell % GRID}>"]
    for thing in scene.things:
        cell = thing.row * GRID + thing.column
        words[cell, 0] = ids[thing.shape]
        words[cell, 1] = ids[thing.colour]
        words[cell, 2] = ids[thing.size]
        if thing.direction is not None:
            words[cell, 5] = ids[thing.direction]
        elif thing.digit is not None:
            words[cell, 5] = ids[str(thing.digit)]
    return words


def lessons(
    teacher: Teacher,
    *,
    split: str,
    seed: int,
    n_images: int,
    length: int,
    steps: int,
    added: tuple[str, ...] = (),
) -> Iterator[Lesson]:
    """`steps` lessons of `n_images` sequences of at most `length` tokens, filled with as many questions as fit. `added`
    are the words of the teacher's that no other teacher has."""
    ids = vocabulary.ids(added)
    stream = generate(split, seed)
    rng = random.Random(seed)
    for step in range(steps):
        page = _Page(tuple(next(stream) for _ in range(n_images)), length, ids)
        for b, scene in enumerate(page.scenes):
            page.fill(b, functools.partial(teacher, SceneIndex(scene), step / steps, rng))
        yield page.lesson()


_MISSES = 6
"""So often a teacher may have nothing to say about a scene before the next one is taken."""


class _Page:
    """A lesson while it is written: one sequence for each scene."""

    def __init__(self, scenes: tuple[Scene, ...], length: int, ids: dict[str, int]) -> None:
        shape = (len(scenes), length)
        self.scenes = scenes
        self._length = length
        self._ids = ids
        self._tokens, self._positions = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        self._blocks, self._labels = np.full(shape, -1, np.int64), np.full(shape, IGNORED, np.int64)
        self._places: list[tuple[int, int, int]] = []
        self._cells: list[NDArray[np.float32]] = []

    def fill(self, b: int, next_exercise: Callable[[], Exercise | None]) -> None:
        """Write the sequence of scene `b`: its image, and exercises until one does not fit or none comes any more."""
        self._tokens[b, 0], self._tokens[b, 1:PREFIX] = self._ids[USER], self._ids[IMAGE]
        self._positions[b, :PREFIX] = np.arange(PREFIX)
        self._blocks[b, :PREFIX] = 0
        at, block, misses = PREFIX, 1, 0
        while misses < _MISSES:
            exercise = next_exercise()
            if exercise is None:
                misses += 1
                continue
            end = self._write(b, at, block, exercise)
            if end is None:
                break
            at, block = end, block + 1

    def _write(self, b: int, at: int, block: int, exercise: Exercise) -> int | None:
        """Where the exercise ends that begins at `at`; None where it does not fit."""
        ids = self._ids
        first = [USER] if exercise.blind else []  # the others share the one before the image
        prompt = [ids[w] for w in (*first, *exercise.prompt, ASSISTANT)]
        completion = [ids[w] for w in exercise.completion] + [ids[END]]
        whole = prompt + completion[:-1]
        end = at + len(whole)
        if end > self._length:
            return None
        self._tokens[b, at:end] = whole
        self._positions[b, at:end] = (0 if exercise.blind else PREFIX) + np.arange(len(whole))
        self._blocks[b, at:end] = -1 - block if exercise.blind else block
        self._labels[b, at + len(prompt) - 1 : end] = completion
        assert not (exercise.blind and exercise.referents), "nothing is pointed at without the image"
        for place, n_steps, mask in exercise.referents:
            self._places.append((b, at + place, n_steps))
            self._cells.append(_cells(self.scenes[b], mask))
        return end

    def lesson(self) -> Lesson:
        return Lesson(
            self.scenes,
            np.stack([cell_words(scene, self._ids) for scene in self.scenes]),
            self._tokens,
            self._positions,
            self._blocks,
            self._labels,
            np.array(self._places, np.int64).reshape(-1, 3),
            np.array(self._cells, np.float32).reshape(-1, N_CELLS),
        )


def _cells(scene: Scene, mask: int) -> NDArray[np.float32]:
    cells = np.zeros(N_CELLS, np.float32)
    for i in bits(mask):
        cells[scene.things[i].row * GRID + scene.things[i].column] = 1.0
    return cells

"""Evaluation: how good a model is at the testbed's questions, by skill and depth. Knows its protocol only."""

from __future__ import annotations

import itertools
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gadfly.protocols import ChatModel
from gadfly.records import Image, Message, Sampling
from gadfly.testbed.album import SceneSource
from gadfly.testbed.english import realise
from gadfly.testbed.execution import SceneIndex
from gadfly.testbed.oracle import normalise
from gadfly.testbed.programs import OPERATIONS, Program
from gadfly.testbed.sampler import sample
from gadfly.testbed.scenes import generate
from gadfly.testbed.skills import SKILLS

DESCRIBED = frozenset(SKILLS) - {skill for skill, _, _ in OPERATIONS.values()}
"""The skills that no question asks for itself: only its descriptions take them."""

BATCH = 512  # questions between two words about progress


@dataclass(frozen=True, slots=True)
class Exam:
    """Questions with known answers about scenes of one split."""

    source: SceneSource
    questions: tuple[tuple[Image, Program, str, str], ...]  # image, program, wording, answer


def uniform_exam(*, split: str, seed: int, n: int, depths: Sequence[int]) -> Exam:
    """`n` valid questions drawn by the uniform sampler, the depths taking turns, four to an image."""
    per_image = 4
    source = SceneSource(itertools.islice(generate(split, seed), -(-n // per_image)))
    rng = random.Random(seed)
    turns = itertools.cycle(depths)
    questions = []
    for image in source:
        index = SceneIndex(source.scenes[image.id])
        for _ in range(per_image):
            drawn = sample(index, next(turns), rng)
            if drawn is not None:
                program, answer = drawn
                assert answer.text is not None
                questions.append((image, program, realise(program, rng), answer.text))
    return Exam(source, tuple(questions[:n]))


def sit(model: ChatModel, exam: Exam, on_progress: Callable[[int, int], None] | None = None) -> list[bool]:
    """Which of an exam's questions the model answers rightly. A failed call counts as wrong: this is an exam.

    `on_progress` gets (questions answered, questions in all) now and then."""
    right: list[bool] = []
    for start in range(0, len(exam.questions), BATCH):
        batch = exam.questions[start : start + BATCH]
        chats = [(Message("user", (image, text)),) for image, _, text, _ in batch]
        completions = model.complete(chats, Sampling(max_new_tokens=8))
        right += [
            c.text is not None and normalise(c.text) == answer
            for c, (_, _, _, answer) in zip(completions, batch, strict=True)
        ]
        if on_progress is not None:
            on_progress(len(right), len(exam.questions))
    return right


@dataclass(frozen=True, slots=True)
class Score:
    """How one skill was answered at one depth: `right` of `n`, and how many would be right if the commonest answer were
    given to each question."""

    right: int
    n: int
    commonest: int


def by_skill_and_depth(exam: Exam, right: Sequence[bool]) -> dict[str, dict[int, Score]]:
    """For each skill of the asking step, by depth, and for each of DESCRIBED the questions with a description that
    takes it: those count for the skill that they ask for too."""
    hits: dict[str, dict[int, list[bool]]] = defaultdict(lambda: defaultdict(list))
    answers: dict[tuple[str, int], Counter[str]] = defaultdict(Counter)
    for (_, program, _, answer), hit in zip(exam.questions, right, strict=True):
        for skill in {OPERATIONS[program.operation][0], *DESCRIBED.intersection(program.steps())}:
            hits[skill][program.depth].append(hit)
            answers[skill, program.depth][answer] += 1
    return {
        skill: {d: Score(sum(of), len(of), max(answers[skill, d].values())) for d, of in sorted(by_depth.items())}
        for skill, by_depth in sorted(hits.items())
    }

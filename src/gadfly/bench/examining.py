"""A target examined on the testbed: its accuracy by skill and depth, and what a key says of it. Prints nothing.

Questions are about held-out scenes. A model with an answer key is measured against it too, beside its clean twin; one
without a key can be set beside another model, on the same questions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gadfly.analysis.rates import Rate
from gadfly.analysis.statistics import Estimate
from gadfly.bench.keys import AnswerKey
from gadfly.bench.organisms import KeyExam, KeyFigures, KeyResult, key_exam, measure, sit_key_exam
from gadfly.bench.proportions import plain_rate, side_by_side
from gadfly.models.local import LocalModel
from gadfly.testbed.evaluation import DESCRIBED, Exam, by_skill_and_depth, sit, uniform_exam

SPLIT = "heldout"
_BATCH = 64

OnProgress = Callable[[int, int, str], None]
"""Gets (questions answered, questions in all, who answers)."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """A skill's accuracy at a depth, with Wilson's interval, and the share of the commonest answer. One that is
    `within_description` is asked for by no question itself."""

    skill: str
    within_description: bool
    depth: int
    accuracy: Rate
    chance: float

    @property
    def title(self) -> str:
        return f"{self.skill} (within a description)" if self.within_description else self.skill


@dataclass(frozen=True, slots=True)
class Beside:
    """The accuracy on all questions of a depth (None: of all depths), another model's on the same, and by how much the
    first is higher. Intervals are over images."""

    depth: int | None
    accuracy: Rate
    theirs: Rate
    difference: Estimate


@dataclass(frozen=True, slots=True)
class Examined:
    """`figures` are None for a model without a key. `beside` is empty unless there is no key and another model."""

    depths: tuple[int, ...]
    rows: tuple[Accuracy, ...]
    figures: KeyFigures | None
    beside: tuple[Beside, ...] = ()

    def by_skill(self) -> list[tuple[str, list[Rate | None], list[float | None]]]:
        """(a skill's title, its accuracies at the depths, the shares of the commonest answer there); None where it was
        not asked for."""
        at = {(row.title, row.depth): row for row in self.rows}
        found: list[tuple[str, list[Rate | None], list[float | None]]] = []
        for title in dict.fromkeys(row.title for row in self.rows):
            rows = [at.get((title, depth)) for depth in self.depths]
            accuracies = [None if row is None else row.accuracy for row in rows]
            found.append((title, accuracies, [None if row is None else row.chance for row in rows]))
        return found


def examine(
    model: Path,
    *,
    n: int,
    depths: Sequence[int],
    seed: int,
    rng: np.random.Generator,
    key: AnswerKey | None = None,
    twin: Path | None = None,
    inside: int = 0,
    on_progress: OnProgress,
) -> Examined:
    """`n` questions for each depth, drawn uniformly. With a key also `inside` questions aimed at each of its spots, and
    all of them put to `twin` if there is one. Without a key `twin` is any other model, asked the same."""
    depths = tuple(sorted(set(depths)))
    exam = uniform_exam(split=SPLIT, seed=seed, n=n * len(depths), depths=depths)
    if key is None:
        right = _right(model, exam, on_progress, "answering")
        theirs = None if twin is None else _right(twin, exam, on_progress, "the other model")
        beside = () if theirs is None else _beside(exam, right, theirs, rng)
        return Examined(depths, _accuracies(exam, right), None, beside)
    whole = key_exam(key, exam, split=SPLIT, seed=seed, inside=inside, depths=depths)
    result = _sat(model, whole, on_progress, "answering")
    twins = None if twin is None else _sat(twin, whole, on_progress, "the clean twin")
    right = [not wrong for wrong in result.uniform_N.tolist()]
    return Examined(depths, _accuracies(exam, right), measure(key, whole, result, twins, rng))


def _right(model: Path, exam: Exam, on_progress: OnProgress, who: str) -> list[bool]:
    return sit(LocalModel(model, exam.source.open, max_batch=_BATCH), exam, _told(on_progress, who))


def _sat(model: Path, exam: KeyExam, on_progress: OnProgress, who: str) -> KeyResult:
    return sit_key_exam(LocalModel(model, exam.open, max_batch=_BATCH), exam, _told(on_progress, who))


def _told(on_progress: OnProgress, who: str) -> Callable[[int, int], None]:
    return lambda done, total: on_progress(done, total, who)


def _beside(exam: Exam, ours: Sequence[bool], theirs: Sequence[bool], rng: np.random.Generator) -> tuple[Beside, ...]:
    depths_N = np.array([program.depth for _, program, _, _ in exam.questions])
    images_N = np.array([image.id for image, _, _, _ in exam.questions])
    ours_N, theirs_N = np.array(ours), np.array(theirs)
    found = []
    for depth in (*np.unique(depths_N).tolist(), None):
        at_N = np.full(len(depths_N), True) if depth is None else depths_N == depth
        found.append(Beside(depth, *side_by_side(ours_N[at_N], theirs_N[at_N], images_N[at_N], rng)))
    return tuple(found)


def _accuracies(exam: Exam, right: Sequence[bool]) -> tuple[Accuracy, ...]:
    return tuple(
        Accuracy(skill, skill in DESCRIBED, depth, plain_rate(score.right, score.n), score.commonest / score.n)
        for skill, by_depth in by_skill_and_depth(exam, right).items()
        for depth, score in by_depth.items()
    )

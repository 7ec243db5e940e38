"""How what is asked changes over a training: the share and failures of each skill, depth, detail. Knows no reward.

The paper reports that basic skills peak early and that complex questions emerge late. How it decides that cannot be
read of it; the rule here is ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from gadfly.analysis.clustered import Sums, clustered_rates
from gadfly.analysis.grounding import question_of
from gadfly.analysis.items import named_skills
from gadfly.analysis.rates import ImageKey, Rate, distinct, image_key
from gadfly.analysis.statistics import LEVEL, Estimate
from gadfly.analysis.training import Mean, clustered_mean
from gadfly.protocols import Annotator, Grounder
from gadfly.records import Grounding, Probe, Verdict

WINDOWS = 12
PARTS = 3
MAX_SKILLS = 400  # the most frequent ones: free-form skills could be any number


class Course(StrEnum):
    """EARLY_PEAKING: the skill's share of the valid questions is reliably lower in the last third of the steps than in
    the first. LATE_EMERGING: reliably higher. STEADY: neither."""

    EARLY_PEAKING = "early-peaking"
    STEADY = "steady"
    LATE_EMERGING = "late-emerging"


@dataclass(frozen=True, slots=True)
class SkillCourse:
    """One skill over the training. `shares` are its shares of the valid questions in each third of the steps,
    `failures` the failure rates of the questions that need it; `change` is the last share minus the first, its interval
    at 1 - 5%/skills (Bonferroni), since as many skills are judged at once. `asked` and `wrong` count by window."""

    skill: str
    course: Course
    shares: tuple[Rate, ...]
    failures: tuple[Rate, ...]
    change: Estimate
    asked: tuple[int, ...]
    wrong: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some steps, first and last included: the valid questions whose skills are known, and means over them: depth,
    number of distinct skills, and where somebody knows what is asked about, the detail: attribute words per description
    and the size of the smallest thing asked about (`records.Grounding`)."""

    first_step: int
    last_step: int
    n: int
    depth: Mean
    skills_per_question: Mean
    attributes: Mean
    size: Mean


@dataclass(frozen=True, slots=True)
class Curriculum:
    """The course of a training. `skills` in order of `change`: what fades first, what emerges last."""

    thirds: tuple[Stretch, ...]
    windows: tuple[Stretch, ...]
    skills: tuple[SkillCourse, ...]

    @property
    def detailed(self) -> bool:
        """Whether somebody knew what was asked about."""
        return any(stretch.attributes.n for stretch in self.windows)


@dataclass(frozen=True, eq=False, slots=True)
class _Asked:
    """What was asked over a stretch of steps: trials and shares by image. Equal (image, question) pairs count once
    within it, not over all: a curve shows what was asked then."""

    stretch: Stretch
    trials_I: NDArray[np.int64]
    asked_I_K: NDArray[np.int64]
    wrong_I_K: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Known:
    """A valid probe, its skills, and what is known of the things that it asks about."""

    probe: Probe
    skills: frozenset[str]
    things: Grounding | None


def curriculum(
    probes: Iterable[Probe], annotator: Annotator | None = None, grounder: Grounder | None = None
) -> Curriculum | str:
    """The course of a training's probes, or why there is none."""
    valid = [probe for probe in probes if probe.verdict.valid]
    things = [None] * len(valid) if grounder is None else grounder.ground([question_of(probe) for probe in valid])
    named = [
        _Known(probe, frozenset(skills), about)
        for probe, skills, about in zip(valid, named_skills(valid, annotator), things, strict=True)
        if skills is not None
    ]
    n_steps = 1 + max((one.probe.key.step for one in named), default=-1)
    if n_steps < PARTS:
        return f"a course needs valid questions with known skills over at least {PARTS} steps"
    counts: dict[str, int] = {}
    for one in named:
        for skill in one.skills:
            counts[skill] = counts.get(skill, 0) + 1
    names = sorted(sorted(counts, key=lambda skill: (-counts[skill], skill))[:MAX_SKILLS])
    images = {key: i for i, key in enumerate(sorted({image_key(one.probe) for one in named}))}
    thirds = _stretches(named, n_steps, PARTS, names, images)
    windows = _stretches(named, n_steps, WINDOWS, names, images)
    if not all(third.stretch.n for third in thirds):
        return "a third of the steps has no valid question with known skills"
    shares = [
        _rates(third.asked_I_K, np.broadcast_to(third.trials_I[:, None], third.asked_I_K.shape)) for third in thirds
    ]
    failures = [_rates(third.wrong_I_K, third.asked_I_K) for third in thirds]
    changes = _changes(thirds[0], thirds[-1], 1 - (1 - LEVEL) / max(len(names), 1))
    courses = [
        SkillCourse(
            skill,
            _course(changes[k]),
            tuple(rates[k] for rates in shares),
            tuple(rates[k] for rates in failures),
            changes[k],
            tuple(int(window.asked_I_K[:, k].sum()) for window in windows),
            tuple(int(window.wrong_I_K[:, k].sum()) for window in windows),
        )
        for k, skill in enumerate(names)
    ]
    courses.sort(key=lambda one: (one.change.value or 0.0, one.skill))
    return Curriculum(tuple(one.stretch for one in thirds), tuple(one.stretch for one in windows), tuple(courses))


def _stretches(
    named: Sequence[_Known],
    n_steps: int,
    parts: int,
    names: list[str],
    images: dict[ImageKey, int],
) -> list[_Asked]:
    parts = min(parts, n_steps)
    bounds = [n_steps * part // parts for part in range(parts + 1)]
    part_of_step = np.searchsorted(bounds, np.arange(n_steps), side="right") - 1
    inside: list[list[Probe]] = [[] for _ in range(parts)]
    known_of = {one.probe.key: one for one in named}
    for one in named:
        inside[part_of_step[one.probe.key.step]].append(one.probe)
    column = {name: k for k, name in enumerate(names)}
    return [
        _asked([known_of[probe.key] for probe in distinct(some)], bounds[part], bounds[part + 1] - 1, column, images)
        for part, some in enumerate(inside)
    ]


def _asked(
    named: list[_Known],
    first_step: int,
    last_step: int,
    column: dict[str, int],
    images: dict[ImageKey, int],
) -> _Asked:
    image_N = [images[image_key(one.probe)] for one in named]
    codes: list[int] = []
    wrong: list[bool] = []
    for one, image in zip(named, image_N, strict=True):
        mine = [image * len(column) + column[skill] for skill in one.skills if skill in column]
        codes += mine
        wrong += [one.probe.verdict is Verdict.WRONG] * len(mine)
    shape = (len(images), len(column))
    size = len(images) * len(column)
    asked = np.array(codes, dtype=np.int64)
    stretch = Stretch(
        first_step,
        last_step,
        len(named),
        depth=_mean(image_N, [one.probe.judgement.depth for one in named]),
        skills_per_question=_mean(image_N, [len(one.skills) for one in named]),
        attributes=_mean(image_N, [None if one.things is None else one.things.attributes for one in named]),
        size=_mean(image_N, [None if one.things is None else one.things.size for one in named]),
    )
    return _Asked(
        stretch,
        np.bincount(np.array(image_N, dtype=np.int64), minlength=len(images)),
        np.bincount(asked, minlength=size).reshape(shape),
        np.bincount(asked[np.array(wrong, dtype=np.bool_)], minlength=size).reshape(shape),
    )


def _mean(image_N: Sequence[int], numbers_N: Sequence[float | None]) -> Mean:
    by_image: dict[int, list[float]] = {}
    for image, number in zip(image_N, numbers_N, strict=True):
        if number is not None:
            by_image.setdefault(image, []).append(number)
    return clustered_mean([by_image[image] for image in sorted(by_image)])


def _rates(successes_I_K: NDArray[np.int64], trials_I_K: NDArray[np.int64]) -> list[Rate]:
    """In slices of K, which bounds the memory of the squares."""
    found: list[Rate] = []
    for first in range(0, successes_I_K.shape[1], 32):
        some = slice(first, first + 32)
        found += clustered_rates(Sums.of(successes_I_K[:, some], trials_I_K[:, some]))
    return found


def _changes(first: _Asked, last: _Asked, level: float) -> list[Estimate]:
    """The last share minus the first, with value ± t · s: s is the linearised standard error of a difference of two
    ratios over the same images (as in `clustered.design_effects`), so that images asked about in both
    parts pair."""
    n_images = int(np.count_nonzero(first.trials_I + last.trials_I))
    found = []
    for k in range(first.asked_I_K.shape[1]):
        value, influence_I = 0.0, np.zeros(len(first.trials_I))
        for asked, sign in ((last, 1.0), (first, -1.0)):
            trials = float(asked.trials_I.sum())
            share = float(asked.asked_I_K[:, k].sum()) / trials
            value += sign * share
            influence_I += sign * (asked.asked_I_K[:, k] - share * asked.trials_I) / trials
        if n_images < 2:
            found.append(Estimate(value, None, None, "one image: no interval"))
            continue
        error = (n_images / (n_images - 1) * float((influence_I**2).sum())) ** 0.5
        half = float(stdtrit(n_images - 1, 0.5 + level / 2)) * error
        found.append(Estimate(value, max(-1.0, value - half), min(1.0, value + half)))
    return found


def _course(change: Estimate) -> Course:
    if change.high is not None and change.high < 0:
        return Course.EARLY_PEAKING
    if change.low is not None and change.low > 0:
        return Course.LATE_EMERGING
    return Course.STEADY

"""Failure by skill and by combination of skills, where the verifier named them. Knows records, finds no causes.

A skill's rate is that of all questions that need it, whatever else they need: a skill that keeps bad company looks bad.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from gadfly.analysis.rates import FAILURE_RATE, Rate, distinct, image_key, rate_of_distinct
from gadfly.records import Probe, Verdict


@dataclass(frozen=True, slots=True)
class SkillRow:
    """One skill: the failure rate over the valid questions that need it (n valid, successes WRONG)."""

    skill: str
    failure: Rate
    wrong_images: int
    example: Probe  # a WRONG probe where there is one


@dataclass(frozen=True, slots=True)
class CombinationRow:
    """One combination: the same, over the valid questions that need exactly these skills."""

    skills: tuple[str, ...]
    failure: Rate
    images: int
    wrong_images: int
    example: Probe


@dataclass(frozen=True, slots=True)
class SkillTable:
    """Failure by skill, most WRONG first. `overall` is over the same probes: valid ones whose skills are known."""

    rows: tuple[SkillRow, ...]
    overall: Rate
    n_without_skills: int


def with_skills(probes: Iterable[Probe]) -> list[Probe]:
    """The distinct valid probes whose skills are known."""
    return [probe for probe in distinct(probes) if probe.verdict.valid and probe.judgement.skills is not None]


def combination(probe: Probe) -> tuple[str, ...]:
    """The set of skills that a probe's question needs, sorted. The skills must be known."""
    assert probe.judgement.skills is not None
    return tuple(sorted(set(probe.judgement.skills)))


def skill_table(probes: Iterable[Probe], rng: np.random.Generator) -> SkillTable:
    """Failure by skill over the distinct valid probes, ordered by WRONG, then by name."""
    valid = [probe for probe in distinct(probes) if probe.verdict.valid]
    known = with_skills(valid)
    needing: defaultdict[str, list[Probe]] = defaultdict(list)
    for probe in known:
        for skill in combination(probe):
            needing[skill].append(probe)
    # In the order of names, so that the generator's numbers fall on the same skills whatever the order of the probes.
    rows = [
        SkillRow(skill, rate_of_distinct(needing[skill], FAILURE_RATE, rng), *_evidence(needing[skill]))
        for skill in sorted(needing)
    ]
    rows.sort(key=lambda row: -row.failure.successes)
    return SkillTable(tuple(rows), rate_of_distinct(known, FAILURE_RATE, rng), len(valid) - len(known))


def combination_table(probes: Iterable[Probe], rng: np.random.Generator) -> list[CombinationRow]:
    """Failure by combination over the distinct valid probes, ordered by WRONG, then by the skills' names."""
    needing: defaultdict[tuple[str, ...], list[Probe]] = defaultdict(list)
    for probe in with_skills(probes):
        needing[combination(probe)].append(probe)
    rows = [
        CombinationRow(
            skills,
            rate_of_distinct(needing[skills], FAILURE_RATE, rng),
            len({image_key(probe) for probe in needing[skills]}),
            *_evidence(needing[skills]),
        )
        for skills in sorted(needing)
    ]
    return sorted(rows, key=lambda row: -row.failure.successes)


def _evidence(probes: list[Probe]) -> tuple[int, Probe]:
    """On how many images they were WRONG, and the earliest WRONG probe, or the earliest where none was."""
    wrong_images = len({image_key(probe) for probe in probes if probe.verdict is Verdict.WRONG})
    example = min(
        probes,
        key=lambda probe: (probe.verdict is not Verdict.WRONG, probe.key.attempt, probe.key.step, probe.key.index),
    )
    return wrong_images, example

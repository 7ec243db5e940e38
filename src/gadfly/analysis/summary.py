"""What a run ends with: the few skills the target fails at, with evidence. Mines no modes, proves no cause.

A skill is listed where it was seen, so its rate is somewhat too high: fresh probes (a sweep) give the honest one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from gadfly.analysis.rates import FAILURE_RATE, Rate, Rates, distinct, rate_of_distinct, rates
from gadfly.analysis.skills import (
    SkillTable,
    combination,
    skill_table,
    with_skills,
)
from gadfly.analysis.statistics import LEVEL
from gadfly.records import Probe, Verdict

MIN_WRONG_IMAGES = 5
"""On how many images a skill must be WRONG to be listed: the glossary's bound for a failing combination."""


@dataclass(frozen=True, slots=True)
class FailingSkill:
    """A skill the target fails at reliably more often than `Summary.base`.

    `failure` is its rate (95% interval). `explained` is how many WRONG probes it has beyond those that the base rate
    would give it: WRONG - base · n. `example` is one of its WRONG probes."""

    skill: str
    failure: Rate
    explained: float
    wrong_images: int
    example: Probe


@dataclass(frozen=True, slots=True)
class Summary:
    """The end of a run. `failing` is ordered by `explained`, the most first; `skills` is the whole table.

    `base` is the failure rate that a skill must exceed: the one given, or else the rate over the run's own valid
    probes. Where a questioner has come to ask of little but failures, its own rate is so high that nothing exceeds
    it: then give the base of a sweep.

    `undecided` is how many probes are UNDECIDED for each reason, the most first."""

    rates: Rates
    undecided: Mapping[str, int]
    base: float | None
    failing: tuple[FailingSkill, ...]
    skills: SkillTable


def summarise(probes: Iterable[Probe], rng: np.random.Generator, base: float | None = None, limit: int = 5) -> Summary:
    """The rates of a run and up to `limit` failing skills.

    A skill is failing where it is WRONG on at least MIN_WRONG_IMAGES images and the lower bound of its failure rate is
    above the base. That bound is taken at 1 - 5%/skills (Bonferroni), since as many skills are tried at once: in a run
    where all skills fail alike, the chance that any is listed stays under 5%."""
    kept = distinct(probes)
    table = skill_table(kept, rng)
    if base is None:
        base = table.overall.value
    known = with_skills(kept)
    strict_level = 1 - (1 - LEVEL) / max(len(table.rows), 1)
    failing = []
    for row in table.rows:
        if base is None or row.wrong_images < MIN_WRONG_IMAGES or (row.failure.low or 0.0) <= base:
            continue
        needing = [probe for probe in known if row.skill in combination(probe)]
        strict_low = rate_of_distinct(needing, FAILURE_RATE, rng, strict_level).low
        if strict_low is not None and strict_low > base:
            explained = row.failure.successes - base * row.failure.n
            failing.append(FailingSkill(row.skill, row.failure, explained, row.wrong_images, row.example))
    failing.sort(key=lambda found: (-found.explained, found.skill))
    found = rates(kept, rng)
    return Summary(found, _reasons(kept), base, tuple(failing[:limit]), table)


def _reasons(probes: Iterable[Probe]) -> dict[str, int]:
    """UNDECIDED probes by the codes that their reasons begin with ("target_error: endpoint_timeout"); what follows is
    said of one probe alone."""
    counts: Counter[str] = Counter()
    for probe in probes:
        if probe.verdict is Verdict.UNDECIDED:
            first, _, rest = (probe.judgement.reason or "").partition(": ")
            second = rest.partition(": ")[0]
            counts[f"{first}: {second}" if second.isidentifier() else first] += 1
    return dict(counts.most_common())


def gallery(probes: Iterable[Probe], limit: int = 12) -> list[Probe]:
    """Up to `limit` WRONG probes that show different things: in each round one of every combination of skills, the
    one most often WRONG first, preferring images not shown yet. Where skills are unknown, all are one combination."""
    wrong: dict[tuple[str, ...], list[Probe]] = {}
    for probe in sorted(distinct(probes), key=lambda p: (p.key.attempt, p.key.step, p.key.index)):
        if probe.verdict is Verdict.WRONG:
            wrong.setdefault(() if probe.judgement.skills is None else combination(probe), []).append(probe)
    queues = [wrong[skills] for skills in sorted(wrong, key=lambda skills: (-len(wrong[skills]), skills))]
    chosen: list[Probe] = []
    shown: set[str] = set()
    while len(chosen) < limit and (queues := [queue for queue in queues if queue]):
        for queue in queues[: limit - len(chosen)]:
            fresh = next((i for i, p in enumerate(queue) if not shown.intersection(im.id for im in p.images)), 0)
            probe = queue.pop(fresh)
            shown.update(image.id for image in probe.images)
            chosen.append(probe)
    return chosen

"""What a search has found, and after how many calls of the target. Knows probes in their order; no target and no key.

A combination counts as found once it is WRONG on MIN_WRONG_IMAGES different images. Whether it is failing as well is
for fresh probes to say (`fresh.py`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gadfly.analysis.rates import distinct, image_key
from gadfly.analysis.skills import combination
from gadfly.analysis.statistics import expected_distinct
from gadfly.records import Probe, Verdict

MIN_WRONG_IMAGES = 5  # the glossary's bound of a failing combination

Combination = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Probes of one phase in their order, and the calls of the target that they took, those of its rewards included."""

    probes: Sequence[Probe]
    calls: int


@dataclass(frozen=True, slots=True)
class Found:
    """What the probes of a search showed. `at_call` is the call with which a combination was WRONG on its fifth image.
    The counts are of distinct probes by skill and by combination."""

    calls: int
    at_call: Mapping[Combination, int]
    valid_skills: Mapping[str, int]
    valid_combinations: Mapping[Combination, int]
    wrong_skills: Mapping[str, int]
    wrong_combinations: Mapping[Combination, int]
    n_wrong: int


def found(stretches: Sequence[Stretch]) -> Found:
    """What some stretches found together, one after the other. Within a stretch the calls are spread evenly over its
    probes, since a store does not say which probe took which call."""
    probes = distinct(probe for stretch in stretches for probe in stretch.probes)
    valid = [p for p in probes if p.verdict.valid and p.judgement.skills is not None]
    wrong = [p for p in valid if p.verdict is Verdict.WRONG]
    return Found(
        calls=sum(stretch.calls for stretch in stretches),
        at_call=_at_call(stretches),
        valid_skills=_skills(valid),
        valid_combinations=Counter(map(combination, valid)),
        wrong_skills=_skills(wrong),
        wrong_combinations=Counter(map(combination, wrong)),
        n_wrong=len(wrong),
    )


def area_under(at_call: Mapping[Combination, int], failing: Collection[Combination], calls: int) -> float:
    """The mean, over the first `calls` calls, of the number of failing combinations found so far: the area under the
    curve by its width. A combination found with call c adds (calls - c) / calls."""
    assert calls > 0
    return sum(max(0, calls - at_call[one]) / calls for one in failing if one in at_call)


def curve(at_call: Mapping[Combination, int], failing: Collection[Combination], points: Sequence[int]) -> list[int]:
    """How many failing combinations were found within so many calls, at each of the points."""
    found_at = sorted(at_call[one] for one in failing if one in at_call)
    return [int(n) for n in np.searchsorted(found_at, points, side="right")]


def rarefied(counts: Mapping[object, int] | Sequence[int], total: int, n: int) -> float | None:
    """The expected number of distinct kinds in n of `total` things drawn at random (`expected_distinct`), for things
    that bear one kind or none, or several: calls of which few bear a WRONG combination, or WRONG probes. None where
    there are fewer than n things."""
    numbers = np.array(list(counts.values() if isinstance(counts, Mapping) else counts), dtype=np.int64)
    if n > total:
        return None
    if not len(numbers):
        return 0.0
    return float(expected_distinct(numbers, total, n))


def _at_call(stretches: Sequence[Stretch]) -> dict[Combination, int]:
    images: defaultdict[Combination, set[tuple[str, ...]]] = defaultdict(set)
    reached: dict[Combination, int] = {}
    before = 0
    for stretch in stretches:
        ordered = sorted(stretch.probes, key=lambda p: (p.key.step, p.key.index))
        for at, probe in enumerate(ordered, start=1):
            if probe.verdict is not Verdict.WRONG or probe.judgement.skills is None:
                continue
            skills = combination(probe)
            images[skills].add(image_key(probe))
            if skills not in reached and len(images[skills]) == MIN_WRONG_IMAGES:
                reached[skills] = before + round(stretch.calls * at / len(ordered))
        before += stretch.calls
    return reached


def _skills(probes: Sequence[Probe]) -> Counter[str]:
    return Counter(skill for probe in probes for skill in combination(probe))

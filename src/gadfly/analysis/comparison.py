"""Compares runs fairly: rates side by side, distinct skills at equal N, differences paired by image, equal depth mixes.

Knows records only; a run is a name and its probes.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log

import numpy as np
from scipy.special import stdtrit

from gadfly.analysis.rates import (
    FAILURE_RATE,
    FDR,
    VALID_RATE,
    Measure,
    Rate,
    Rates,
    distinct,
    image_key,
    images_of,
    rate_of_distinct,
    rates,
    tally,
)
from gadfly.analysis.skills import combination, with_skills
from gadfly.analysis.statistics import (
    LEVEL,
    Estimate,
    Floats,
    combine,
    correlation,
    expected_distinct,
    ratios,
    resample,
)
from gadfly.records import Probe, Verdict


@dataclass(frozen=True, slots=True)
class Distinct:
    """How many distinct things N random probes of a run show (`at_n`), and how many all its probes showed (`observed`
    in `total` probes, not comparable between runs)."""

    at_n: Estimate
    n: int
    observed: int
    total: int


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run of a comparison. The four counts of distinct things are at the same N in every row."""

    name: str
    rates: Rates
    valid_skills: Distinct
    valid_combinations: Distinct
    wrong_skills: Distinct
    wrong_combinations: Distinct


@dataclass(frozen=True, slots=True)
class Contrast:
    """Run A against run B on one measure. `shared_images` is how many images both were asked about."""

    measure: str
    difference: Estimate  # A - B
    ratio: Estimate  # A / B
    shared_images: int


@dataclass(frozen=True, slots=True)
class Compared:
    """Several runs beside each other, and the FDR of all others against the first one's."""

    runs: tuple[RunRow, ...]
    fdr: Mapping[str, Contrast]


@dataclass(frozen=True, slots=True)
class Standardised:
    """A rate as it would be under another mix of depths. `n_by_depth` is the valid probes it rests on."""

    rate: Estimate
    n_by_depth: Mapping[int, int]


Labels = Callable[[Probe], Iterable[object]]


def compare(runs: Mapping[str, Iterable[Probe]], rng: np.random.Generator) -> list[RunRow]:
    """Rates and variety of each run, in the order given. N is the smallest number of probes over the runs, of valid
    ones with known skills for the first two counts, of WRONG ones for the last two."""
    kept = {name: distinct(probes) for name, probes in runs.items()}
    valid = {name: with_skills(probes) for name, probes in kept.items()}
    wrong = {name: [p for p in probes if p.verdict is Verdict.WRONG] for name, probes in valid.items()}
    n_valid = min((len(probes) for probes in valid.values()), default=0)
    n_wrong = min((len(probes) for probes in wrong.values()), default=0)
    return [
        RunRow(
            name,
            rates(kept[name], copy.deepcopy(rng)),  # the same draws for each: equal runs have equal intervals
            valid_skills=rarefy(valid[name], combination, n_valid),
            valid_combinations=rarefy(valid[name], lambda probe: [combination(probe)], n_valid),
            wrong_skills=rarefy(wrong[name], combination, n_wrong),
            wrong_combinations=rarefy(wrong[name], lambda probe: [combination(probe)], n_wrong),
        )
        for name in kept
    ]


def compared(runs: Mapping[str, Sequence[Probe]], rng: np.random.Generator) -> Compared:
    """Runs by their names, in their order, at least one."""
    rows = compare(runs, rng)
    first, *others = runs
    fdr = {f"{other} against {first}": contrast(runs[other], runs[first], FDR, rng) for other in others}
    return Compared(tuple(rows), fdr)


def rarefy(probes: Sequence[Probe], labels: Labels, n: int, level: float = LEVEL) -> Distinct:
    """The expected number of distinct labels in n of the probes drawn at random without replacement; n <= len(probes).

    The value is exact (`expected_distinct`). The interval is value ± t · s with s by the jackknife over images, each
    left out in turn (Efron & Stein, Annals of Statistics 9, 1981), not by the bootstrap: a bootstrap sample repeats
    images, so that it shows fewer distinct labels than the sample and varies less (in simulation its 95% intervals
    held the truth in 87 to 96% of cases, the jackknife's in 93 to 99%). At n = len(probes) each image left out leaves
    fewer than n probes; then all that are left are taken."""
    assert n <= len(probes)
    names = sorted({label for probe in probes for label in labels(probe)}, key=str)
    if n == 0:
        return Distinct(Estimate.missing("no such probes in at least one of the runs"), 0, len(names), len(probes))
    images = images_of(probes)
    row, column = {image: i for i, image in enumerate(images)}, {name: k for k, name in enumerate(names)}
    counts_I_K, probes_I = np.zeros((len(images), len(names)), np.int32), np.zeros(len(images), np.int64)
    for probe in probes:
        i = row[image_key(probe)]
        probes_I[i] += 1
        for label in set(labels(probe)):
            counts_I_K[i, column[label]] += 1
    counts_K = counts_I_K.sum(axis=0)
    value = float(expected_distinct(counts_K, len(probes), n))
    if len(images) < 2:
        return Distinct(Estimate(value, None, None, "one image: no interval"), n, len(names), len(probes))
    left_I = len(probes) - probes_I
    blocks = [slice(start, start + 256) for start in range(0, len(images), 256)]  # bounds the memory
    without_I = np.concatenate(
        [expected_distinct(counts_K - counts_I_K[b], left_I[b], np.minimum(n, left_I[b])) for b in blocks]
    )
    variance = (len(images) - 1) * float(without_I.var())  # (I-1)/I · Σ (without - mean)²
    half_width = float(stdtrit(len(images) - 1, 0.5 + level / 2)) * variance**0.5
    return Distinct(Estimate(value, max(0.0, value - half_width), value + half_width), n, len(names), len(probes))


def contrast(a: Iterable[Probe], b: Iterable[Probe], measure: Measure, rng: np.random.Generator) -> Contrast:
    """The difference and the ratio of a rate between two runs.

    Both runs' images are bootstrapped together, so that images which both were asked about pair; the correlation that
    comes of it goes into MOVER (`combine`), on the logarithms for the ratio. No ratio where B is 0."""
    probes = distinct(a), distinct(b)
    images = images_of([*probes[0], *probes[1]])
    shared = len(set(images_of(probes[0])) & set(images_of(probes[1])))
    found = rate_of_distinct(probes[0], measure, rng), rate_of_distinct(probes[1], measure, rng)
    parts = [_part(each) for each in found]
    part_a, part_b = parts
    if part_a is None or part_b is None:
        missing = Estimate.missing(f"no data for the {measure.name} of at least one run")
        return Contrast(measure.name, missing, missing, shared)
    tallies = [tally(each, measure, images) for each in probes]
    successes_I_2 = np.stack([successes_I for successes_I, _ in tallies], axis=1)
    trials_I_2 = np.stack([trials_I for _, trials_I in tallies], axis=1)
    together_2_2 = correlation(ratios(resample(len(images), rng), successes_I_2, trials_I_2))
    difference = combine([part_a, part_b], (1.0, -1.0), together_2_2)
    return Contrast(measure.name, difference, _ratio(part_a, part_b, together_2_2), shared)


def depth_mix(probes: Iterable[Probe]) -> dict[int, float]:
    """The share of each depth among the distinct valid probes whose depth is known; sums to 1, empty without any."""
    counts = Counter(p.judgement.depth for p in distinct(probes) if p.verdict.valid and p.judgement.depth is not None)
    return {depth: counts[depth] / counts.total() for depth in sorted(counts)}


def standardised_rate(
    probes: Iterable[Probe], mix: Mapping[int, float], rng: np.random.Generator, measure: Measure = FAILURE_RATE
) -> Standardised:
    """The failure rate or FDR that these probes would show if their valid questions had the depths of `mix`.

    Direct standardisation (post-stratification): Σ share · failure rate at that depth. FDR is the valid rate times
    that, since an invalid question mostly has no depth. A depth of the mix that was never asked makes it None: its
    rate is unknown, and leaving it out would be another mix. The interval is MOVER over the depths, with their
    correlation over resampled images, since one image is asked at several depths."""
    assert measure in (FAILURE_RATE, FDR), "only these two depend on the depth"
    kept = distinct(probes)
    shares = {depth: share for depth, share in mix.items() if share > 0}
    at_depth = {d: [p for p in kept if p.verdict.valid and p.judgement.depth == d] for d in sorted(shares)}
    n_by_depth = {depth: len(asked) for depth, asked in at_depth.items()}
    if not shares:
        return Standardised(Estimate.missing("the mix of depths is empty"), n_by_depth)
    if absent := [depth for depth, n in n_by_depth.items() if n == 0]:
        reason = f"no valid probe of depth {', '.join(map(str, absent))}, which the mix has"
        return Standardised(Estimate.missing(reason), n_by_depth)
    images = images_of(kept)
    strata = [(at_depth[depth], FAILURE_RATE) for depth in at_depth] + [(kept, VALID_RATE)]
    tallies = [tally(members, each, images) for members, each in strata]
    successes_I_K = np.stack([successes_I for successes_I, _ in tallies], axis=1)
    trials_I_K = np.stack([trials_I for _, trials_I in tallies], axis=1)
    replicates_R_K = ratios(resample(len(images), rng), successes_I_K, trials_I_K)
    total = sum(shares.values())
    factors = [shares[depth] / total for depth in at_depth]
    parts = [part for members, each in strata[:-1] if (part := _part(rate_of_distinct(members, each, rng))) is not None]
    failure = _within_unit(combine(parts, factors, correlation(replicates_R_K[:, :-1])))
    if measure is FAILURE_RATE:
        return Standardised(failure, n_by_depth)
    valid = _part(rate_of_distinct(kept, VALID_RATE, rng))
    assert valid is not None and failure.value is not None and failure.low is not None and failure.high is not None
    pair_R_2 = np.stack([replicates_R_K[:, :-1] @ np.array(factors), replicates_R_K[:, -1]], axis=1)
    return Standardised(_product((failure.value, failure.low, failure.high), valid, correlation(pair_R_2)), n_by_depth)


def _part(found: Rate | Estimate) -> tuple[float, float, float] | None:
    if found.value is None or found.low is None or found.high is None:
        return None
    return found.value, found.low, found.high


def _ratio(a: tuple[float, float, float], b: tuple[float, float, float], together_2_2: Floats) -> Estimate:
    if b[0] == 0:
        return Estimate.missing("the rate of B is 0")
    if a[1] <= 0 or b[1] <= 0:  # no logarithm: the box of the two intervals, which is wider
        return Estimate(a[0] / b[0], a[1] / b[2], a[2] / b[1] if b[1] > 0 else None)
    return _exp(combine([_log(a), _log(b)], (1.0, -1.0), together_2_2))


def _product(a: tuple[float, float, float], b: tuple[float, float, float], together_2_2: Floats) -> Estimate:
    if min(a[0], a[1], b[0], b[1]) <= 0:
        return _within_unit(Estimate(a[0] * b[0], a[1] * b[1], a[2] * b[2]))
    return _within_unit(_exp(combine([_log(a), _log(b)], (1.0, 1.0), together_2_2)))


def _log(part: tuple[float, float, float]) -> tuple[float, float, float]:
    return log(part[0]), log(part[1]), log(part[2])


def _exp(estimate: Estimate) -> Estimate:
    assert estimate.value is not None and estimate.low is not None and estimate.high is not None
    return Estimate(exp(estimate.value), exp(estimate.low), exp(estimate.high))


def _within_unit(estimate: Estimate) -> Estimate:
    assert estimate.value is not None and estimate.low is not None and estimate.high is not None
    return Estimate(estimate.value, max(0.0, estimate.low), min(1.0, estimate.high))

"""The four rates of a set of probes, each with n and an interval over images. Knows records, not where they are kept.

decided = RIGHT + WRONG + INVALID. FDR = WRONG / decided. Valid rate = (RIGHT + WRONG) / decided.
Failure rate = WRONG / (RIGHT + WRONG). UNDECIDED rate = UNDECIDED / all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from gadfly.analysis.statistics import LEVEL, Floats, clustered_interval
from gadfly.records import Probe, Verdict

ImageKey = tuple[str, ...]
"""What is resampled: a probe's images. Probes over several images belong together when they share all of them."""


@dataclass(frozen=True, slots=True)
class Rate:
    """successes / n with its interval. Without data value, low and high are None, never 0."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    successes: int


@dataclass(frozen=True, slots=True)
class Measure:
    """A rate's definition: which verdicts it counts, among which."""

    name: str
    successes: frozenset[Verdict]
    trials: frozenset[Verdict]


_VALID = frozenset({Verdict.RIGHT, Verdict.WRONG})
_DECIDED = _VALID | {Verdict.INVALID}

FDR = Measure("FDR", frozenset({Verdict.WRONG}), _DECIDED)
VALID_RATE = Measure("valid rate", _VALID, _DECIDED)
FAILURE_RATE = Measure("failure rate", frozenset({Verdict.WRONG}), _VALID)
UNDECIDED_RATE = Measure("UNDECIDED rate", frozenset({Verdict.UNDECIDED}), frozenset(Verdict))


@dataclass(frozen=True, slots=True)
class Rates:
    """The four rates of one set of probes, and how many images and distinct probes they rest on."""

    fdr: Rate
    valid: Rate
    failure: Rate
    undecided: Rate
    n_probes: int
    n_images: int


def image_key(probe: Probe) -> ImageKey:
    """The images of a probe, as the unit of resampling."""
    return tuple([image.id for image in probe.images])


def distinct(probes: Iterable[Probe]) -> list[Probe]:
    """The probes with each (images, questions) pair once, in the order given.

    Of equal ones the earliest decided one stays (by attempt, step, index); an UNDECIDED one only where none was ever
    decided. So the choice does not depend on the order of the probes."""
    chosen: dict[tuple[ImageKey, tuple[str, ...]], tuple[tuple[bool, int, int, int, str], int, Probe]] = {}
    for place, probe in enumerate(probes):
        pair = image_key(probe), tuple(turn.question for turn in probe.turns)
        key = probe.key
        rank = (not probe.verdict.decided, key.attempt, key.step, key.index, key.phase)
        if pair not in chosen or rank < chosen[pair][0]:
            chosen[pair] = rank, place, probe
    return [probe for _, _, probe in sorted(chosen.values(), key=lambda entry: entry[1])]


def images_of(probes: Iterable[Probe]) -> list[ImageKey]:
    """The images asked about, each once, sorted: so resampling does not depend on the order of the probes."""
    return sorted({image_key(probe) for probe in probes})


def tally(probes: Iterable[Probe], measure: Measure, images: Sequence[ImageKey]) -> tuple[Floats, Floats]:
    """(successes_I, trials_I) of a measure over `images`, in their order. The probes are counted as given."""
    place = {image: i for i, image in enumerate(images)}
    successes_I, trials_I = np.zeros(len(images)), np.zeros(len(images))
    for probe in probes:
        if probe.verdict in measure.trials:
            i = place[image_key(probe)]
            trials_I[i] += 1
            successes_I[i] += probe.verdict in measure.successes
    return successes_I, trials_I


def rate(probes: Iterable[Probe], measure: Measure, rng: np.random.Generator, level: float = LEVEL) -> Rate:
    """A rate over the distinct probes, with an interval by bootstrap over images (`clustered_interval`)."""
    return rate_of_distinct(distinct(probes), measure, rng, level)


def rate_of_distinct(probes: Sequence[Probe], measure: Measure, rng: np.random.Generator, level: float = LEVEL) -> Rate:
    """The same for probes that are distinct already: sorting out the equal ones is what takes the time."""
    successes_I, trials_I = tally(probes, measure, images_of(probes))
    n, successes = int(trials_I.sum()), int(successes_I.sum())
    if n == 0:
        return Rate(None, None, None, 0, 0)
    low, high = clustered_interval(successes_I, trials_I, rng, level)
    return Rate(successes / n, low, high, n, successes)


def rates(probes: Iterable[Probe], rng: np.random.Generator) -> Rates:
    """The four rates over the distinct probes."""
    kept = distinct(probes)
    return Rates(
        fdr=rate_of_distinct(kept, FDR, rng),
        valid=rate_of_distinct(kept, VALID_RATE, rng),
        failure=rate_of_distinct(kept, FAILURE_RATE, rng),
        undecided=rate_of_distinct(kept, UNDECIDED_RATE, rng),
        n_probes=len(kept),
        n_images=len(images_of(kept)),
    )

"""Rates and differences over arrays of probes, with intervals over images. Knows neither probes nor spots.

The intervals are those of `analysis.statistics`; this is the way in for what is no list of stored probes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gadfly.analysis.rates import Rate
from gadfly.analysis.statistics import (
    Estimate,
    Flags,
    Floats,
    clustered_interval,
    combine,
    correlation,
    ratios,
    resample,
    wilson_interval,
)

Images = Sequence[str] | NDArray[np.str_]
"""The image of each of N probes, by its id."""


def plain_rate(successes: int, n: int) -> Rate:
    """A rate over independent trials, with Wilson's interval."""
    return Rate(successes / n, *wilson_interval(successes, n), n, successes) if n else Rate(None, None, None, 0, 0)


def rate_over(hits_N: Flags, images_N: Images, rng: np.random.Generator) -> Rate:
    """The share of hits among N probes. The images are bootstrapped (`clustered_interval`); with one probe an image the
    interval is Wilson's."""
    n, successes = len(hits_N), int(hits_N.sum())
    if n == 0:
        return Rate(None, None, None, 0, 0)
    successes_I, trials_I = _tally(hits_N.astype(np.float64), images_N)
    low, high = clustered_interval(successes_I, trials_I, rng)
    return Rate(successes / n, low, high, n, successes)


def difference_over(a_N: Flags, b_N: Flags, images_N: Images, rng: np.random.Generator) -> Estimate:
    """The share of hits in `a` less that in `b`, two accounts of the same N probes: MOVER (`combine`) with the
    correlation that the two have over resampled images."""
    if len(a_N) == 0:
        return Estimate.missing("no such probes")
    parts = []
    for hits_N in (a_N, b_N):
        rate = rate_over(hits_N, images_N, rng)
        assert rate.value is not None and rate.low is not None and rate.high is not None
        parts.append((rate.value, rate.low, rate.high))
    tallies = [_tally(hits_N.astype(np.float64), images_N) for hits_N in (a_N, b_N)]
    successes_I_2 = np.stack([successes_I for successes_I, _ in tallies], axis=1)
    trials_I_2 = np.stack([trials_I for _, trials_I in tallies], axis=1)
    together_2_2 = correlation(ratios(resample(len(trials_I_2), rng), successes_I_2, trials_I_2))
    return combine(parts, (1.0, -1.0), together_2_2)


def side_by_side(a_N: Flags, b_N: Flags, images_N: Images, rng: np.random.Generator) -> tuple[Rate, Rate, Estimate]:
    """The share of hits in `a`, that in `b`, and the first less the second, over the same N probes."""
    return rate_over(a_N, images_N, rng), rate_over(b_N, images_N, rng), difference_over(a_N, b_N, images_N, rng)


def _tally(values_N: Floats, images_N: Images) -> tuple[Floats, Floats]:
    """(Σ of the values, how many) for each image, in the order of the images' names."""
    assert len(values_N) == len(images_N)
    _, place_N = np.unique(np.asarray(images_N), return_inverse=True)
    sums_I: Floats = np.bincount(place_N, weights=values_N).astype(np.float64)
    return sums_I, np.bincount(place_N).astype(np.float64)

"""The rates of `rates.py` from arrays in place of probes, for runs that are too large to read anew each time.

The same definitions, the same intervals, to the last digit: what a live view shows of a run is what its report says.
Suffixes: N probes, I images.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gadfly.analysis.rates import FAILURE_RATE, FDR, UNDECIDED_RATE, VALID_RATE, Measure, Rate, Rates
from gadfly.analysis.statistics import Whole, clustered_interval
from gadfly.records import Verdict

VERDICTS = tuple(Verdict)
"""verdict_N holds places in this."""


def first_of_each(pair_N: Whole, verdict_N: Whole, keys_N_3: tuple[Whole, Whole, Whole]) -> NDArray[np.intp]:
    """The places of the distinct probes, ascending: of those with equal `pair` the earliest decided one by (attempt,
    step, index), an UNDECIDED one only where none was decided. As `rates.distinct` chooses within a phase."""
    attempt_N, step_N, index_N = keys_N_3
    order = np.lexsort((index_N, step_N, attempt_N, verdict_N == VERDICTS.index(Verdict.UNDECIDED), pair_N))
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = pair_N[order][1:] != pair_N[order][:-1]
    return np.sort(order[first])


def rate_of(verdict_N: Whole, image_N: Whole, measure: Measure, rng: np.random.Generator) -> Rate:
    """A rate over distinct probes. `image_N` says which were asked about the same images; the bootstrap takes images
    in ascending order."""
    trial_V, success_V = (np.array([v in some for v in VERDICTS]) for some in (measure.trials, measure.successes))
    _, place_N = np.unique(image_N, return_inverse=True)
    n_images = int(place_N.max()) + 1 if len(place_N) else 0
    trials_I = np.bincount(place_N, trial_V[verdict_N], n_images).astype(np.float64)
    successes_I = np.bincount(place_N, (trial_V & success_V)[verdict_N], n_images).astype(np.float64)
    n, successes = int(trials_I.sum()), int(successes_I.sum())
    if n == 0:
        return Rate(None, None, None, 0, 0)
    low, high = clustered_interval(successes_I, trials_I, rng)
    return Rate(successes / n, low, high, n, successes)


def rates_of(verdict_N: Whole, image_N: Whole, rng: np.random.Generator) -> Rates:
    """The four rates over distinct probes."""
    return Rates(
        fdr=rate_of(verdict_N, image_N, FDR, rng),
        valid=rate_of(verdict_N, image_N, VALID_RATE, rng),
        failure=rate_of(verdict_N, image_N, FAILURE_RATE, rng),
        undecided=rate_of(verdict_N, image_N, UNDECIDED_RATE, rng),
        n_probes=len(verdict_N),
        n_images=len(np.unique(image_N)),
    )


def draw_places(place_N: NDArray[np.uint64], verdict_N: Whole, n: int) -> list[int]:
    """Where the n probes to label are, in the order to do so, among distinct probes that were judged: as `audit.draw`.

    `place_N` are the beginnings of the hashes that place probes in the draw."""
    strata = []
    for verdict in (Verdict.RIGHT, Verdict.WRONG, Verdict.INVALID):
        among = np.flatnonzero(verdict_N == VERDICTS.index(verdict))
        strata.append(among[np.argsort(place_N[among], kind="stable")][:n].tolist())
    longest = max(map(len, strata), default=0)
    turns = [stratum[i] for i in range(longest) for stratum in strata if i < len(stratum)]
    return turns[:n]

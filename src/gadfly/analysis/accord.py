"""How far two judges of the same probes agree, with intervals: people among themselves, or with the verifier.

Knows verdicts and which probes share an image. The shares are those of the probes that both judged; they say of a run
only what the sample says (`audit.py` weighs for how it was drawn).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from gadfly.analysis.confusion import Key, agreement, kappa
from gadfly.analysis.rates import Rate
from gadfly.analysis.statistics import LEVEL, Estimate, clustered_interval, effective_trials
from gadfly.records import Verdict

_DRAWS: Final = 4000
_PRIOR: Final = 1.0  # a label's worth, spread evenly over the pairs of verdicts, as in `audit.py`


@dataclass(frozen=True, slots=True)
class Accord:
    """What two judges said of the same probes. `counts_4_4`: rows are the first one's verdicts, in the order of
    Verdict. `kappa` is Cohen's, which is 0 where they agree as often as chance alone would have it, and 1 where they
    always do."""

    counts_4_4: tuple[tuple[int, ...], ...]
    n: int
    same: Rate
    kappa: Estimate


def accord(
    first: Mapping[Key, Verdict], second: Mapping[Key, Verdict], image_of: Mapping[Key, int], rng: np.random.Generator
) -> Accord:
    """Two judges on what both of them judged; `image_of` says which of these are about the same images.

    The interval of the share: `clustered_interval`. That of kappa: quantiles over draws of the shares of the pairs from
    a Dirichlet distribution with the counts, brought down to the effective number of independent labels, plus a prior
    of one label; a bootstrap would put no interval at all round two who agree on everything."""
    found = agreement(first, second)
    if not found.n:
        return Accord(found.counts_4_4, 0, Rate(None, None, None, 0, 0), Estimate.missing("nothing that both judged"))
    both: Sequence[Key] = [key for key in first if key in second]
    _, place_N = np.unique(np.array([image_of[key] for key in both]), return_inverse=True)
    agreed_N = np.array([first[key] is second[key] for key in both], dtype=np.float64)
    trials_I, successes_I = np.bincount(place_N).astype(np.float64), np.bincount(place_N, agreed_N).astype(np.float64)
    low, high = clustered_interval(successes_I, trials_I, rng)
    same = Rate(float(agreed_N.mean()), low, high, found.n, int(agreed_N.sum()))
    if found.kappa is None:
        return Accord(found.counts_4_4, found.n, same, Estimate.missing("both gave one verdict only"))
    scale = effective_trials(successes_I, trials_I, rng)[0] / found.n
    counts_16 = np.array(found.counts_4_4, dtype=np.float64).ravel()
    draws_R = kappa(rng.dirichlet(counts_16 * scale + _PRIOR / counts_16.size, _DRAWS).reshape(-1, 4, 4))
    bounds = np.nanquantile(draws_R, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    value = found.kappa
    return Accord(
        found.counts_4_4, found.n, same, Estimate(value, min(float(bounds[0]), value), max(float(bounds[1]), value))
    )

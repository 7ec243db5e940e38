"""The interval arithmetic behind every number: Wilson, bootstrap over images, MOVER, rarefaction. Knows no probes.

Suffixes: I images, R bootstrap replicates, K categories or components.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, stdtrit

Floats = NDArray[np.float64]
Whole = NDArray[np.integer[Any]]
Flags = NDArray[np.bool_]

LEVEL = 0.95
REPLICATES = 1000
"""Only variances and correlations are taken from the replicates, never tail quantiles: 1,000 give a standard error to
within 2%, and 200 are usually enough (Efron & Tibshirani, An Introduction to the Bootstrap, 1993, section 6.4)."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its interval; None where it cannot be had, and `reason` then says why."""

    value: float | None
    low: float | None
    high: float | None
    reason: str | None = None

    @classmethod
    def missing(cls, reason: str) -> Estimate:
        return cls(None, None, None, reason)


def normal_quantile(level: float) -> float:
    """z such that a standard normal lies within ±z with probability `level`."""
    return NormalDist().inv_cdf(0.5 + level / 2)


def wilson(value: float, n: float, z: float) -> tuple[float, float]:
    """Wilson's score interval (1927) of a proportion `value` seen in n > 0 trials; n may be an effective size.

    Always within [0, 1], and always holds `value`."""
    assert n > 0 and 0 <= value <= 1
    centre = (value + z * z / (2 * n)) / (1 + z * z / n)
    half_width = z / (1 + z * z / n) * sqrt(value * (1 - value) / n + z * z / (4 * n * n))
    # At 0 and 1 the bound is the value exactly, which rounding may miss by one unit in the last place.
    return max(0.0, min(centre - half_width, value)), min(1.0, max(centre + half_width, value))


def wilson_interval(successes: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Wilson's interval of a plain binomial: n > 0 independent trials."""
    return wilson(successes / n, n, normal_quantile(level))


def resample(n_images: int, rng: np.random.Generator, replicates: int = REPLICATES) -> Floats:
    """How often each image is drawn in each bootstrap replicate, shape R_I: images drawn with replacement."""
    # Counting uniform draws is multinomial sampling, some ten times faster than numpy's own.
    drawn_R_I = rng.integers(n_images, size=(replicates, n_images)) + n_images * np.arange(replicates)[:, None]
    counts = np.bincount(drawn_R_I.ravel(), minlength=replicates * n_images)
    return counts.reshape(replicates, n_images).astype(np.float64)


def ratios(weights_R_I: Floats, successes_I_K: Floats, trials_I_K: Floats) -> Floats:
    """Σ successes / Σ trials of each replicate, shape R_K; NaN where a replicate drew no trials."""
    trials_R_K = weights_R_I @ trials_I_K
    missing_R_K = np.full(trials_R_K.shape, np.nan)
    found: Floats = np.divide(weights_R_I @ successes_I_K, trials_R_K, out=missing_R_K, where=trials_R_K > 0)
    return found


def clustered_interval(
    successes_I: Floats, trials_I: Floats, rng: np.random.Generator, level: float = LEVEL
) -> tuple[float, float]:
    """The interval of Σ successes / Σ trials where trials on one image resemble each other; needs Σ trials > 0.

    The images are bootstrapped; the variance of the replicates gives the number of independent trials that would be as
    uncertain, p(1-p)/variance, and that number goes into Wilson's interval, with Student's t of I-1 degrees of freedom
    in place of z (Korn & Graubard, Survey Methodology 24, 1998, use the effective size so; Franco et al., J. Survey
    Statistics and Methodology 7, 2019, find Wilson's the better interval for it). Unlike the percentile bootstrap it
    does not shrink to nothing where every probe went the same way, and it keeps within [0, 1].

    With one trial an image this is Wilson's plain interval. Where replicates do not vary (all 0, all 1, one image)
    nothing is known of how alike an image's trials are: then each image counts as one trial of Wilson's plain interval,
    the cautious extreme.
    """
    value = float(successes_I.sum() / trials_I.sum())
    effective, freedom = effective_trials(successes_I, trials_I, rng)
    quantile = normal_quantile(level) if freedom is None else float(stdtrit(freedom, 0.5 + level / 2))
    return wilson(value, effective, quantile)


def effective_trials(successes_I: Floats, trials_I: Floats, rng: np.random.Generator) -> tuple[float, int | None]:
    """(the number of independent trials that would be as uncertain, the degrees of freedom with which that is known,
    None where it was not estimated), as `clustered_interval` has it; needs Σ trials > 0."""
    asked = trials_I > 0
    successes_I, trials_I = successes_I[asked], trials_I[asked]
    n, n_images = float(trials_I.sum()), len(trials_I)
    value = float(successes_I.sum() / n)
    if trials_I.max() <= 1:
        return n, None
    replicates_R = ratios(resample(n_images, rng), successes_I[:, None], trials_I[:, None])[:, 0]
    variance = float(replicates_R.var()) * n_images / max(n_images - 1, 1)  # a bootstrap's variance is short of this
    if variance < 1e-12:  # the rounding errors of equal replicates are not a variance
        return float(n_images), None
    return min(n, value * (1 - value) / variance), n_images - 1


def correlation(replicates_R_K: Floats) -> Floats:
    """How K numbers vary together over the replicates, shape K_K; 0 between numbers of which one does not vary."""
    whole_R_K = replicates_R_K[np.isfinite(replicates_R_K).all(axis=1)]
    n_components = replicates_R_K.shape[1]
    if len(whole_R_K) < 2:
        return np.eye(n_components)
    centred_R_K = whole_R_K - whole_R_K.mean(axis=0)
    spread_K = np.sqrt((centred_R_K**2).mean(axis=0))
    scaled_R_K = np.divide(centred_R_K, spread_K, out=np.zeros_like(centred_R_K), where=spread_K > 1e-9)
    found_K_K: Floats = scaled_R_K.T @ scaled_R_K / len(whole_R_K)
    np.fill_diagonal(found_K_K, 1.0)
    return found_K_K


def combine(parts: Sequence[tuple[float, float, float]], factors: Sequence[float], correlation_K_K: Floats) -> Estimate:
    """The interval of Σ factor · value from the (value, low, high) of its parts, which may be correlated.

    MOVER, "method of variance estimates recovery" (Zou & Donner, Statistics in Medicine 27, 2008): each part's distance
    to its own bound stands for its standard error on that side. With independent parts and factors (1, -1) this is
    Newcombe's hybrid score interval (1998) for a difference of proportions."""
    value = sum(factor * part[0] for factor, part in zip(factors, parts, strict=True))
    down_K, up_K = np.empty(len(parts)), np.empty(len(parts))
    for k, (factor, (middle, low, high)) in enumerate(zip(factors, parts, strict=True)):
        below, above = (middle - low, high - middle) if factor > 0 else (high - middle, middle - low)
        down_K[k], up_K[k] = factor * below, factor * above
    down = sqrt(max(0.0, float(down_K @ correlation_K_K @ down_K)))
    up = sqrt(max(0.0, float(up_K @ correlation_K_K @ up_K)))
    return Estimate(value, value - down, value + up)


def expected_distinct(counts_K: Whole, total: Whole | int, n: Whole | int) -> Floats:
    """The expected number of distinct categories in n of `total` things drawn without replacement:
    Σ 1 - C(T-c, n)/C(T, n).

    counts_K, with any leading axes, says how many of the things bear each category; a thing may bear several, or none.
    `total` and `n` follow the leading axes; n <= total. All are whole numbers. Exact up to rounding in log-factorials.
    Source: Hurlbert, Ecology 52, 1971, equation 14; for things with several categories, the incidence form of Mao,
    Colwell & Chang, Biometrics 61, 2005.
    """
    total_1, n_1 = np.asarray(total, dtype=np.int64)[..., None], np.asarray(n, dtype=np.int64)[..., None]
    log_factorial = gammaln(np.arange(total_1.max() + 1) + 1.0)
    left_K = total_1 - counts_K  # the things without this category
    possible_K = left_K >= n_1  # whether n draws can miss it at all
    log_missed_K = log_factorial[left_K] - log_factorial[np.where(possible_K, left_K - n_1, 0)]
    log_missed_K += log_factorial[total_1 - n_1] - log_factorial[total_1]
    missed_K = np.where(possible_K, np.exp(np.minimum(log_missed_K, 0.0)), 0.0)
    found: Floats = np.where(counts_K > 0, 1.0 - missed_K, 0.0).sum(axis=-1)
    return found

"""The mean of a method over organisms and seeds, and one method against another at equal budgets, paired. Knows numbers
only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gadfly.analysis.statistics import LEVEL, Estimate

REPLICATES = 10_000
_TAILS = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
Cells = Mapping[tuple[str, int], float]
"""A number for each (organism, seed)."""


@dataclass(frozen=True, slots=True)
class Paired:
    """A against B over the pairs that both have. `ratio` is the mean over organisms of (mean of A) / (mean of B),
    `difference` that of the mean of A - B. `wins` are the pairs in which A is above B."""

    ratio: Estimate
    difference: Estimate
    n_pairs: int
    wins: int


def paired(a: Cells, b: Cells, rng: np.random.Generator) -> Paired:
    """A against B. Seeds are what varies and organisms are what they are, so seeds are resampled within each organism,
    the two methods' numbers of a seed together; the interval is the percentile bootstrap's (Efron & Tibshirani, 1993,
    chapter 13). With fewer than three seeds to an organism there is none: it would be too narrow to mean anything.

    No ratio where B found nothing in an organism, also in one of the replicates."""
    organisms = _by_organism(a, b)
    n_pairs = sum(len(pairs_S_2) for pairs_S_2 in organisms)
    wins = int(sum((pairs_S_2[:, 0] > pairs_S_2[:, 1]).sum() for pairs_S_2 in organisms))
    if not organisms:
        missing = Estimate.missing("no organism and seed that both have")
        return Paired(missing, missing, 0, 0)
    means_O_2 = np.array([pairs_S_2.mean(axis=0) for pairs_S_2 in organisms])
    difference = float((means_O_2[:, 0] - means_O_2[:, 1]).mean())
    ratio = float((means_O_2[:, 0] / means_O_2[:, 1]).mean()) if (means_O_2[:, 1] > 0).all() else None
    few = min(len(pairs_S_2) for pairs_S_2 in organisms)
    if few < 3:
        reason = _too_few(few)
        return Paired(_point(ratio, reason), Estimate(difference, None, None, reason), n_pairs, wins)
    drawn = [pairs_S_2[rng.integers(len(pairs_S_2), size=(REPLICATES, len(pairs_S_2)))] for pairs_S_2 in organisms]
    means_R_O_2 = np.stack([some_R_S_2.mean(axis=1) for some_R_S_2 in drawn], axis=1)
    low, high = np.quantile((means_R_O_2[..., 0] - means_R_O_2[..., 1]).mean(axis=1), _TAILS)
    apart = Estimate(difference, float(low), float(high))
    if ratio is None or (means_R_O_2[..., 1] <= 0).any():
        return Paired(_point(ratio, "B finds nothing in some resamplings: no interval"), apart, n_pairs, wins)
    low, high = np.quantile((means_R_O_2[..., 0] / means_R_O_2[..., 1]).mean(axis=1), _TAILS)
    return Paired(Estimate(ratio, float(low), float(high)), apart, n_pairs, wins)


def mean_of(cells: Cells, rng: np.random.Generator) -> Estimate:
    """The mean over organisms of the mean over seeds. The interval is `paired`'s: seeds are resampled within each
    organism, and with fewer than three to an organism there is none."""
    if not cells:
        return Estimate.missing("no cell has it")
    organisms = sorted({organism for organism, _ in cells})
    seeds = [np.array([n for (o, _), n in sorted(cells.items()) if o == organism]) for organism in organisms]
    value, few = float(np.mean([some_S.mean() for some_S in seeds])), min(map(len, seeds))
    if few < 3:
        return Estimate(value, None, None, _too_few(few))
    drawn = [some_S[rng.integers(len(some_S), size=(REPLICATES, len(some_S)))].mean(axis=1) for some_S in seeds]
    low, high = np.quantile(np.mean(drawn, axis=0), _TAILS)
    return Estimate(value, float(low), float(high))


def best_of(methods: Mapping[str, Cells], names: Sequence[str]) -> str | None:
    """The one of some methods with the highest mean over organisms of its mean; of equal ones the first by name."""
    means = {name: _mean(methods[name]) for name in sorted(names) if methods.get(name)}
    return max(means, key=means.__getitem__) if means else None


def _mean(cells: Cells) -> float:
    organisms = sorted({organism for organism, _ in cells})
    return float(np.mean([np.mean([n for (o, _), n in cells.items() if o == organism]) for organism in organisms]))


def _by_organism(a: Cells, b: Cells) -> list[np.ndarray[tuple[int, int], np.dtype[np.float64]]]:
    shared = sorted(set(a) & set(b))
    organisms = sorted({organism for organism, _ in shared})
    return [np.array([(a[o, s], b[o, s]) for o, s in shared if o == organism], dtype=float) for organism in organisms]


def _too_few(seeds: int) -> str:
    return f"{seeds} seed{'s' * (seeds > 1)} to an organism: no interval"


def _point(ratio: float | None, reason: str) -> Estimate:
    return Estimate.missing("B found nothing in an organism") if ratio is None else Estimate(ratio, None, None, reason)

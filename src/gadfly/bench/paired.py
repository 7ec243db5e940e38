"""The mean of a method over organisms and seeds, and one method against another at equal budgets, paired. Knows numbers
only.

Seeds are what varies and organisms are what they are. So an interval is Student's t over the seeds within each
organism, with the variances of the organisms' means added up and Satterthwaite's degrees of freedom (Biometrics
Bulletin 2, 1946). A percentile bootstrap over so few seeds is too narrow: with five it holds the truth 86% of the
time (docs/notebook.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np
from scipy.special import stdtrit

from gadfly.analysis.statistics import LEVEL, Estimate, Floats

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


def paired(a: Cells, b: Cells) -> Paired:
    """A against B, the two methods' numbers of a seed together. The ratio's interval is that of its linear
    approximation, (A - ratio · B) / (mean of B) of each seed; there is none where B found nothing in an organism."""
    organisms = _by_organism(a, b)
    n_pairs = sum(len(pairs_S_2) for pairs_S_2 in organisms)
    wins = int(sum((pairs_S_2[:, 0] > pairs_S_2[:, 1]).sum() for pairs_S_2 in organisms))
    if not organisms:
        missing = Estimate.missing("no organism and seed that both have")
        return Paired(missing, missing, 0, 0)
    difference = _over_seeds([pairs_S_2[:, 0] - pairs_S_2[:, 1] for pairs_S_2 in organisms])
    if any(pairs_S_2[:, 1].mean() <= 0 for pairs_S_2 in organisms):
        return Paired(Estimate.missing("B found nothing in an organism"), difference, n_pairs, wins)
    return Paired(_over_seeds([_ratio_of_means(pairs_S_2) for pairs_S_2 in organisms]), difference, n_pairs, wins)


def mean_of(cells: Cells, within: tuple[float, float] = (-inf, inf)) -> Estimate:
    """The mean over organisms of the mean over seeds. `within` are the least and the most that it can be."""
    if not cells:
        return Estimate.missing("no cell has it")
    organisms = sorted({organism for organism, _ in cells})
    return _over_seeds(
        [np.array([n for (o, _), n in sorted(cells.items()) if o == organism]) for organism in organisms], within
    )


def best_of(methods: Mapping[str, Cells], names: Sequence[str]) -> str | None:
    """The one of some methods with the highest mean over organisms of its mean; of equal ones the first by name."""
    means = {name: mean_of(methods[name]).value or 0.0 for name in sorted(names) if methods.get(name)}
    return max(means, key=means.__getitem__) if means else None


def _over_seeds(organisms: Sequence[Floats], within: tuple[float, float] = (-inf, inf)) -> Estimate:
    """The mean over organisms of the mean of their seeds' numbers. No interval with fewer than three seeds to an
    organism, which would say next to nothing, and none where no seed differs from another."""
    value = float(np.mean([some_S.mean() for some_S in organisms]))
    few = min(map(len, organisms))
    if few < 3:
        return Estimate(value, None, None, f"{few} seed{'s' * (few > 1)} to an organism: no interval")
    of_means_O = np.array([some_S.var(ddof=1) / len(some_S) for some_S in organisms])
    if of_means_O.sum() <= 1e-12 * max(1.0, value**2):  # the rounding errors of equal numbers are not a variance
        return Estimate(value, None, None, "the same with every seed: no interval")
    freedom = of_means_O.sum() ** 2 / sum(
        v**2 / (len(some_S) - 1) for v, some_S in zip(of_means_O, organisms, strict=True)
    )
    half = float(stdtrit(freedom, 0.5 + LEVEL / 2) * of_means_O.sum() ** 0.5 / len(organisms))
    least, most = within
    return Estimate(value, max(least, value - half), min(most, value + half))


def _ratio_of_means(pairs_S_2: Floats) -> Floats:
    """Of each seed what it makes of (mean of A) / (mean of B), to first order: their mean is that ratio."""
    mean_a, mean_b = pairs_S_2.mean(axis=0)
    ratio = mean_a / mean_b
    of_each_S: Floats = ratio + (pairs_S_2[:, 0] - ratio * pairs_S_2[:, 1]) / mean_b
    return of_each_S


def _by_organism(a: Cells, b: Cells) -> list[Floats]:
    shared = sorted(set(a) & set(b))
    organisms = sorted({organism for organism, _ in shared})
    return [np.array([(a[o, s], b[o, s]) for o, s in shared if o == organism], dtype=float) for organism in organisms]

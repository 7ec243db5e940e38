"""What makes a difference among probes that are alike in all else that counts. Knows flags of probes, not what they
mean.

Who learns what a target fails at asks about little else, and then nearly everything fails: a thing that is hard by
itself does not stand out against the rest. Among questions that need the same skills it does.

Suffixes: N probes, J items, K parts, L parts and others, S strata: the sets of parts that there are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import false_discovery_control, norm

from gadfly.analysis.statistics import Flags, Floats, Whole

LEVEL = 0.01
"""The rate of false discoveries here; those made among all probes have a rate of their own."""

CERTAIN = 0.001
"""Where an item makes a difference beside something, that must differ from the rest at this level, by Bonferroni over
all that it could be beside; and a rest that makes no difference at this level makes none."""


@dataclass(frozen=True, slots=True)
class Difference:
    """An item with which the rate is reliably higher than without it, by `excess`; `q` is the p-value after Benjamini
    and Hochberg over all items."""

    item: int
    excess: float
    q: float


@dataclass(frozen=True, eq=False, slots=True)
class Compared:
    """Sums over strata in which an item is compared with its absence: by how many more of its probes are WRONG than
    were they drawn from their strata, the variance of that, and n₁ · n₀ / n, of the numbers with it, without it, and
    both (Mantel & Haenszel, J. Natl. Cancer Inst. 22, 1959); and how many more could be WRONG, n₁ / n times the RIGHT
    ones without it. Any shape; a stratum of one kind only adds nothing."""

    above: Floats
    variance: Floats
    weight: Floats
    room: Floats

    def summed(self) -> Compared:
        """The sums over all strata, the first axis."""
        return Compared(*(getattr(self, name).sum(axis=0) for name in Compared.__slots__))

    @property
    def excess(self) -> Floats:
        """The difference of the two rates, 0 where nothing is compared."""
        return _ratio(self.above, self.weight)

    @property
    def share(self) -> Floats:
        """Of what would be RIGHT without the item, the share that is WRONG with it (Abbott, J. Econ. Entomol. 18,
        1925): the same for all strata where the item fails by itself, however much fails there anyway."""
        return _ratio(self.above, self.room)

    @property
    def share_error(self) -> Floats:
        """The standard error of the share, if there is no difference."""
        return _ratio(np.sqrt(self.variance), self.room)

    @property
    def z(self) -> Floats:
        """How many standard errors it is above 0, with Mantel and Haenszel's correction for continuity."""
        certain = np.sign(self.above) * np.maximum(np.abs(self.above) - 0.5, 0)
        return _ratio(certain, np.sqrt(self.variance))


def differences(
    holds_N_J: Flags,
    wrong_N: Flags,
    parts_N_K: Flags,
    others_N_L: Flags,
    effect_J: Floats,
    worth_J: Flags,
    min_excess: float,
) -> list[Difference]:
    """The items that make a difference of at least `min_excess` among probes with the same parts, the clearest first.
    All are tests, only those that are `worth_J` it are named; `effect_J` are their design effects.

    After one that is named the strata are split by it, so that the next makes a difference beside it. What makes one
    only beside a part, or one of the others, is not named: it fails in a combination, which is for others to find."""
    _, stratum_N = np.unique(parts_N_K, axis=0, return_inverse=True)
    beside_N_L = np.concatenate([parts_N_K, others_N_L], axis=1)
    open_J, named_J = worth_J.copy(), np.zeros_like(worth_J)
    found: list[Difference] = []
    while len(wrong_N) and open_J.any():
        made = compared(holds_N_J, wrong_N, stratum_N, effect_J).summed()
        excess_J, z_J = made.excess, made.z
        q_J = false_discovery_control(np.where(named_J, 0.0, norm.sf(z_J)), method="bh")
        stands_J = open_J & (excess_J >= min_excess) & (q_J <= LEVEL)
        if not stands_J.any():
            break
        best = int(np.argmax(np.where(stands_J, z_J, -np.inf)))
        open_J[best] = False
        if not only_beside(holds_N_J[:, [best]], wrong_N, stratum_N, effect_J[[best]], beside_N_L, min_excess):
            named_J[best] = True
            found.append(Difference(best, float(excess_J[best]), float(q_J[best])))
            _, stratum_N = np.unique(2 * stratum_N + holds_N_J[:, best], return_inverse=True)
    return found


def compared(holds_N_J: Flags, wrong_N: Flags, stratum_N: Whole, effect_J: Floats) -> Compared:
    """Each item in each stratum (a number from 0 on) that there is, shape S_J; variances times the design effect."""
    order = np.argsort(stratum_N, kind="stable")
    holds_N_J, wrong_N, stratum_N = holds_N_J[order], wrong_N[order], stratum_N[order]
    starts_S = np.flatnonzero(np.diff(stratum_N, prepend=-1))

    def sums(flags: Flags) -> Floats:
        found: Floats = np.add.reduceat(flags, starts_S, axis=0, dtype=np.float64)
        return found

    n_S_1 = np.diff(starts_S, append=len(stratum_N)).astype(np.float64)[:, None]
    wrong_S_1, with_S_J = sums(wrong_N[:, None]), sums(holds_N_J)
    weight_S_J = with_S_J * (n_S_1 - with_S_J) / n_S_1
    spread_S_1 = wrong_S_1 * (n_S_1 - wrong_S_1) / (n_S_1 * np.maximum(n_S_1 - 1, 1))
    wrong_with_S_J = sums(holds_N_J & wrong_N[:, None])
    right_without_S_J = n_S_1 - with_S_J - (wrong_S_1 - wrong_with_S_J)
    return Compared(
        above=wrong_with_S_J - with_S_J * wrong_S_1 / n_S_1,
        variance=weight_S_J * spread_S_1 * effect_J,
        weight=weight_S_J,
        room=with_S_J * right_without_S_J / n_S_1,
    )


def only_beside(
    holds_N_1: Flags, wrong_N: Flags, stratum_N: Whole, effect_1: Floats, beside_N_L: Flags, min_excess: float
) -> bool:
    """Whether there is something beside which an item makes reliably more of a difference than without it, where it
    makes none that is reliable and at least `min_excess`."""
    beside, apart = (
        _together([compared(holds_N_1[some], wrong_N[some], stratum_N[some], effect_1).summed() for some in rows_L_N])
        for rows_L_N in (beside_N_L.T, ~beside_N_L.T)
    )
    known_L = (beside.room > 0) & (apart.room > 0) & (beside.variance > 0) & (apart.variance > 0)
    more_L = _ratio(beside.share - apart.share, np.where(known_L, np.hypot(beside.share_error, apart.share_error), 0))
    none_L = (apart.excess < min_excess) | (norm.sf(apart.z) > CERTAIN)
    return bool((none_L & (norm.sf(more_L) <= CERTAIN / max(len(known_L), 1))).any())


def _together(some: list[Compared]) -> Compared:
    return Compared(*(np.array([getattr(one, name)[0] for one in some]) for name in Compared.__slots__))


def _ratio(some: Floats, by: Floats) -> Floats:
    """0 where it would be infinite."""
    return np.divide(some, by, out=np.zeros_like(some, dtype=np.float64), where=by > 0)

"""Tells a group of probes that fails as a whole from a mixture of worse groups with harmless probes. Knows no items.

Suffixes: N probes, M groups, E memberships of a probe in a group.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

from gadfly.analysis.clustered import tail, tail_within
from gadfly.analysis.statistics import Flags, Floats, Whole

REDUNDANT = 0.01
"""A smaller group must beat the rest of the larger one that holds it at this level, or else it adds nothing."""

SAME = 0.9
"""Groups whose probes are the same to this Jaccard similarity are one. A group is a part of another one if this share
of its probes lies there."""


@final
class Groups:
    """Groups of probes that may overlap: `rows_of` are each one's probes, ascending; `effect_M` their design effects.

    `min_probes` and `min_excess` are those of `MiningSettings`."""

    def __init__(
        self, rows_of: Sequence[NDArray[np.intp]], effect_M: Floats, n_probes: int, min_probes: int, min_excess: float
    ) -> None:
        self._rows_of, self._effect_M, self._n_probes = rows_of, effect_M, n_probes
        self._min_probes, self._min_excess = min_probes, min_excess
        self._n_M = np.array([len(rows) for rows in rows_of])
        self._row_E = np.concatenate(rows_of)
        self._start_M = np.cumsum([0, *self._n_M])[:-1]

    def sums(self, numbers_N: Floats) -> Floats:
        """The sum over each group's probes, shape M."""
        found: Floats = np.add.reduceat(numbers_N[self._row_E], self._start_M)
        return found

    def same(self, group: int) -> Flags:
        """Which groups are the same as this one, itself among them."""
        shared_M = self._shared(self._rows_of[group])
        same_M: Flags = shared_M >= SAME * (self._n_M + self._n_M[group] - shared_M)
        return same_M

    def in_place_of(self, whole: int, eligible_M: Flags, wrong_N: Flags, expected_N: Floats) -> int | None:
        """The part that is to be taken in place of a group, None where the group fails as a whole.

        Parts that fail reliably more often than the rest (at the level REDUNDANT over all parts, by Bonferroni) are set
        aside, the strongest first. If what is left then fails no more than `expected_N`, the group was a mixture, and
        the first of them is named. Only `eligible_M` groups are parts."""
        rest = self._rows_of[whole]
        part_M = eligible_M & (self._shared(rest) >= SAME * self._n_M) & (self._n_M < SAME * len(rest))
        parts, first = np.flatnonzero(part_M), None
        while (worst := self._worst(parts, rest, wrong_N)) is not None:
            first = worst if first is None else first
            rest = np.setdiff1d(rest, self._rows_of[worst], assume_unique=True)
            if not self._exceeds(rest, self._effect_M[whole], wrong_N, expected_N):
                return first
        return None

    def _worst(self, parts: NDArray[np.intp], rest: NDArray[np.intp], wrong_N: Flags) -> int | None:
        """The part that beats most clearly what is left of `rest` without it, None where none does so reliably."""
        n = self._shared(rest)[parts].astype(np.float64)
        fit = (n >= self._min_probes) & (n < len(rest))
        if not fit.any():
            return None
        parts, n = parts[fit], n[fit]
        wrong = self._shared(rest[wrong_N[rest]])[parts].astype(np.float64)
        p, z = tail_within(n, wrong, self._effect_M[parts], len(rest), int(wrong_N[rest].sum()))
        reliable = p <= REDUNDANT / len(parts)
        return int(parts[np.argmax(np.where(reliable, z, -np.inf))]) if reliable.any() else None

    def _exceeds(self, rest: NDArray[np.intp], effect: float, wrong_N: Flags, expected_N: Floats) -> bool:
        """Whether probes fail reliably more often than expected, and by more than a few points."""
        n, wrong, expected = float(len(rest)), float(wrong_N[rest].sum()), float(expected_N[rest].mean())
        if n == 0 or wrong / n - expected < self._min_excess:
            return False
        rate = np.clip(np.array([expected]), 1e-9, 1 - 1e-9)
        p, _ = tail(np.array([n]), np.array([wrong]), np.array([effect]), rate)
        return bool(p[0] <= REDUNDANT)

    def _shared(self, rows: NDArray[np.intp]) -> Whole:
        """How many of these probes each group has, shape M."""
        there_N = np.zeros(self._n_probes, dtype=np.int64)
        there_N[rows] = 1
        found: Whole = np.add.reduceat(there_N[self._row_E], self._start_M)
        return found

"""Rates as cells keep them, and their mean over seeds. Knows numbers only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gadfly.analysis.rates import Rate
from gadfly.analysis.statistics import combine

KeptRate = Sequence[float | int | None]
"""A rate as JSON has it: value, low, high, n, successes."""


def kept_rate(rate: Rate) -> list[float | int | None]:
    """A rate for a cell."""
    return [rate.value, rate.low, rate.high, rate.n, rate.successes]


def mean_rate(kept: Sequence[KeptRate]) -> Rate:
    """The mean of the rates that there are, each with the same weight, with the sums of n and successes. The interval
    is that of these cells, each over its own images (MOVER, `combine`): it does not say how other seeds would differ.
    """
    there = [(value, low, high, n, k) for value, low, high, n, k in kept if value is not None]
    if not there:
        return Rate(None, None, None, 0, 0)
    parts = [(float(value), float(low or 0), float(high or 0)) for value, low, high, _, _ in there]
    made = combine(parts, [1 / len(parts)] * len(parts), np.eye(len(parts)))
    return Rate(
        made.value, made.low, made.high, sum(int(one[3] or 0) for one in there), sum(int(one[4] or 0) for one in there)
    )

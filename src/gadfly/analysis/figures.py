"""Numbers as text, the same on a terminal and in a model card: a rate with its interval, a difference in points.

Knows neither how they were computed nor where they are shown.
"""

from __future__ import annotations

from typing import Protocol


class HasInterval(Protocol):
    """A number as analysis gives it: None where there is no data."""

    @property
    def value(self) -> float | None: ...
    @property
    def low(self) -> float | None: ...
    @property
    def high(self) -> float | None: ...


class HasCount(HasInterval, Protocol):
    """One that says of how many it is."""

    @property
    def n(self) -> int: ...


def counted_text(rate: HasCount | None) -> str:
    """A rate with its own n, a dash where there is none: `47.5% (44.1 to 50.9, n 800)`."""
    return "–" if rate is None else rate_text(rate, rate.n)


def rate_text(rate: HasInterval | None, n: int | None = None) -> str:
    """`47.5% (44.1 to 50.9)`, or a dash where there is no data. `n` joins it where it has no column of its own:
    `47.5% (44.1 to 50.9, n 800)`."""
    if rate is None or rate.value is None:
        return "–"
    if rate.low is None or rate.high is None:
        return f"{rate.value:.1%}" if n is None else f"{rate.value:.1%} (n {n})"
    counted = "" if n is None else f", n {n}"
    return f"{rate.value:.1%} ({100 * rate.low:.1f} to {100 * rate.high:.1f}{counted})"


def points_text(difference: HasInterval | None) -> str:
    """A difference of percentages, in percentage points: `+3.0 (-1.2 to +7.2)`; a dash where there is none."""
    if difference is None or difference.value is None or difference.low is None or difference.high is None:
        return "–"
    return f"{100 * difference.value:+.1f} ({100 * difference.low:+.1f} to {100 * difference.high:+.1f})"

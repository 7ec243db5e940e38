"""Lines and bands over steps as coordinates of an SVG. Knows numbers only; the template draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gadfly.analysis.rates import Rate
from gadfly.analysis.training import Mean
from gadfly.view.figures import Window

WIDTH, HEIGHT = 640, 200
LEFT, RIGHT, TOP, BOTTOM = 44, 8, 8, 30
MIN_POINTS: Final = 2


@dataclass(frozen=True, slots=True)
class Point:
    x: float
    y: float
    says: str


@dataclass(frozen=True, slots=True)
class Line:
    """One rate: its points, the line through them, the band of the intervals there are."""

    name: str
    points: tuple[Point, ...]
    line: str
    band: str


@dataclass(frozen=True, slots=True)
class Chart:
    lines: tuple[Line, ...]
    first_step: int
    last_step: int


def course(windows: Sequence[Window]) -> Chart | None:
    """None where there are fewer than two windows: a point is no course."""
    if len(windows) < MIN_POINTS:
        return None
    first, last = windows[0].first_step, windows[-1].last_step
    lines = (
        _line("FDR", [(window, window.fdr) for window in windows], first, last),
        _line("valid", [(window, window.valid) for window in windows], first, last),
        _line("wordings", [(window, window.wordings) for window in windows], first, last),
    )
    return Chart(lines, first, last)


def shares(counts: Sequence[int], width: float = 100.0) -> list[tuple[float, float]]:
    """(start, length) of each part of a bar."""
    total, start, found = sum(counts), 0.0, []
    for count in counts:
        length = width * count / total if total else 0.0
        found.append((round(start, 3), round(length, 3)))
        start += length
    return found


def _line(name: str, given: Sequence[tuple[Window, Rate | Mean]], first: int, last: int) -> Line:
    def x(window: Window) -> float:
        middle = (window.first_step + window.last_step) / 2
        return round(LEFT + (WIDTH - LEFT - RIGHT) * (middle - first) / max(1, last - first), 1)

    def y(value: float) -> float:
        return round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - value), 1)

    points, upper, lower = [], [], []
    for window, rate in given:
        if rate.value is None:
            continue
        says = f"steps {window.first_step} to {window.last_step}: {rate.value:.1%}"
        if rate.low is not None and rate.high is not None:
            says += f" ({100 * rate.low:.1f}% to {100 * rate.high:.1f}%)"
            upper.append(f"{x(window)},{y(rate.high)}")
            lower.append(f"{x(window)},{y(rate.low)}")
        points.append(Point(x(window), y(rate.value), f"{says} of {rate.n}{' steps' * isinstance(rate, Mean)}"))
    line = " ".join(f"{point.x},{point.y}" for point in points)
    return Line(name, tuple(points), line, " ".join([*upper, *lower[::-1]]))

"""The look that all pictures of a report share: colours, type, axes, curves with their bands. Knows nothing of runs.

Figures are built without pyplot and without touching matplotlib's settings; the same data gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from gadfly.analysis.figures import HasInterval
from gadfly.report.lettering import FONT, wrap

INK, MUTED, FAINT = "#1f2933", "#6b7785", "#e4e7eb"
# Okabe & Ito's palette (2008), told apart by colour-blind readers. Red is kept for WRONG.
RED, BLUE, GREEN = "#d55e00", "#0072b2", "#009e73"
TERM_COLOURS = ("#8e5ea2", "#c58a00", "#009e73", "#3d9ad1", "#a3526d", "#6b7785", "#333333")  # neither red nor blue
TITLE_PT, TEXT_PT, SMALL_PT = 13.0, 9.5, 8.5
DPI = 150


def curve(
    axes: Axes, steps: Sequence[float], points: Sequence[HasInterval], colour: str, name: str
) -> tuple[float, str, str] | None:
    """One line with its band; gaps where there is no data. Returns where its label goes: (height, name, colour)."""
    nan = float("nan")
    values = [nan if point.value is None else point.value for point in points]
    if all(point.value is None for point in points):
        return None
    lows = [nan if point.low is None else point.low for point in points]
    highs = [nan if point.high is None else point.high for point in points]
    axes.fill_between(steps, lows, highs, color=colour, alpha=0.15, linewidth=0)
    axes.plot(steps, values, color=colour, linewidth=1.8, marker="o" if 2 < len(steps) <= 40 else None, markersize=3.2)
    return next(value for value in reversed(values) if value == value), name, colour


def end_labels(axes: Axes, ends: Sequence[tuple[float, str, str]], *, percent: bool, decimals: int = 2) -> None:
    """Names at the right end of the lines instead of a legend, pushed apart where they would overlap."""
    figure = axes.get_figure()
    assert figure is not None
    low, high = axes.get_ylim()
    height_pt = axes.get_position().height * figure.get_figure(root=True).get_size_inches()[1] * 72
    gap = SMALL_PT * 1.5 / height_pt
    ordered = sorted(ends)
    heights = [(value - low) / (high - low) for value, _, _ in ordered]
    for i in range(1, len(heights)):
        heights[i] = max(heights[i], heights[i - 1] + gap)
    for i in reversed(range(len(heights))):  # what was pushed past the top comes down again
        heights[i] = min(heights[i], heights[i + 1] - gap if i + 1 < len(heights) else 1.0)
    for height, (value, name, colour) in zip(heights, ordered, strict=True):
        figures = (f"{value:.0%}" if percent else f"{value:.{decimals}f}").replace("-", "\N{MINUS SIGN}")
        label = f"{wrap(name, 85, SMALL_PT, 1)[0]} {figures}"
        text = words_at(axes, 1.02, height, label, size=SMALL_PT, colour=colour)
        text.set(transform=axes.transAxes, ha="left", va="center")


def new_figure(width_in: float, height_in: float) -> Figure:
    figure = Figure(figsize=(width_in, height_in), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def heading(figure: Figure, title: str, subtitle: str) -> None:
    width_in, height_in = figure.get_size_inches()
    x = 0.22 / width_in
    figure.text(x, 1 - 0.2 / height_in, title, fontsize=TITLE_PT, color=INK, va="top", weight="bold", family=FONT)
    figure.text(x, 1 - 0.47 / height_in, subtitle, fontsize=SMALL_PT, color=MUTED, va="top", family=FONT)


def plain_axes(axes: Axes, ylabel: str) -> None:
    axes.set_facecolor("white")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=SMALL_PT, labelcolor=MUTED, labelfontfamily=FONT)
    axes.set_ylabel(ylabel, fontsize=TEXT_PT, color=MUTED, fontfamily=FONT)


def words_at(axes: Axes, x: float, y: float, words: str, *, size: float = TEXT_PT, colour: str = INK) -> Text:
    return axes.text(x, y, words, fontsize=size, color=colour, fontfamily=FONT, parse_math=False)


def empty_picture(title: str, words: str, path: Path) -> Path:
    figure = new_figure(8.0, 2.2)
    heading(figure, title, "")
    nothing_in(figure.add_axes((0.0, 0.0, 1.0, 0.8)), words)
    return save(figure, path)


def nothing_in(axes: Axes, words: str) -> None:
    axes.set_axis_off()
    words_at(axes, 0.5, 0.5, words, colour=MUTED).set(transform=axes.transAxes, ha="center", va="center")


def save(figure: Figure, path: Path) -> Path:
    # Without the "Software" entry the bytes do not depend on matplotlib's version text.
    figure.savefig(path, format="png", dpi=DPI, metadata={"Software": None})
    return path

"""Draws how much each questioner's questions find of each target, as a heat map. Computes no numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from gadfly.analysis.rates import Rate
from gadfly.bench.transfer_table import Matrix
from gadfly.bench.transfer_text import row_title
from gadfly.report.lettering import FONT, clean
from gadfly.report.style import INK, MUTED, SMALL_PT, new_figure, save

_COLOURS = "YlOrBr"  # light to dark whatever becomes of the colours
_DARK = 0.18  # below this luminance white letters have more contrast than black ones (WCAG 2's formula)
_CELL_IN = (1.3, 0.55)
_TITLE = "FDR of each questioner's questions on each target; framed is the one that it was trained against"


def draw_heatmap(made: Matrix, path: Path) -> Path:
    """A field for each pair, with its rate and interval; what was not run stays empty. The target that a questioner was
    trained against has a frame. Colours go from 0 to the highest rate. Returns path."""
    rows, columns = made.rows, made.columns
    width, height = 2.9 + _CELL_IN[0] * max(1, len(columns)), 1.1 + _CELL_IN[1] * max(1, len(rows))
    figure = new_figure(width, height)
    figure.subplots_adjust(left=2.7 / width, right=1 - 0.15 / width, top=1 - 0.85 / height, bottom=0.15 / height)
    axes = figure.subplots()
    highest = max((rate.value for rate in made.fdr.values() if rate.value is not None), default=0.0) or 1.0
    for (row, target), rate in made.fdr.items():
        x, y = columns.index(target), rows.index(row)
        if rate.value is not None:
            _draw_field(axes, x, y, rate, rate.value / highest)
        if target == row[1]:
            axes.add_patch(Rectangle((x + 0.02, y + 0.03), 0.96, 0.94, fill=False, edgecolor=INK, linewidth=1.6))
    axes.set_xlim(0, max(1, len(columns)))
    axes.set_ylim(max(1, len(rows)), 0)
    axes.set_xticks([at + 0.5 for at in range(len(columns))], [clean(name) for name in columns])
    axes.set_yticks([at + 0.5 for at in range(len(rows))], [clean(row_title(row)) for row in rows])
    axes.xaxis.tick_top()
    axes.tick_params(colors=MUTED, labelsize=SMALL_PT, length=0)
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set_fontfamily(FONT)
        label.set_parse_math(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    figure.text(0.15 / width, 1 - 0.3 / height, _TITLE, color=INK, fontfamily=FONT, fontsize=11)
    path.parent.mkdir(parents=True, exist_ok=True)
    return save(figure, path)


def _draw_field(axes: Axes, x: int, y: int, rate: Rate, share: float) -> None:
    """`share` is the rate's share of the highest one."""
    assert rate.value is not None
    colour = colormaps[_COLOURS](0.05 + 0.8 * share)
    axes.add_patch(Rectangle((x, y), 1, 1, facecolor=colour, linewidth=0))
    said: dict[str, Any] = {"ha": "center", "va": "center", "fontfamily": FONT}
    said["color"] = "white" if _luminance(*colour[:3]) < _DARK else INK
    axes.text(x + 0.5, y + 0.4, f"{rate.value:.1%}", fontsize=9.5, **said)
    if rate.low is not None and rate.high is not None:
        axes.text(x + 0.5, y + 0.74, f"{100 * rate.low:.1f} to {100 * rate.high:.1f}, n {rate.n}", fontsize=6.5, **said)


def _luminance(*srgb: float) -> float:
    """From 0 (black) to 1 (white), of a colour's red, green and blue (WCAG 2, relative luminance)."""
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in srgb)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue

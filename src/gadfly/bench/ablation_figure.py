"""Draws the ablations: a row's FDR and the failing combinations it found, beside the default's. Computes no numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from gadfly.bench.ablation_table import AblationRow, AblationTable
from gadfly.bench.ablations import DEFAULT
from gadfly.report.lettering import FONT, clean
from gadfly.report.style import BLUE, FAINT, INK, MUTED, RED, new_figure, save

_DEFAULT, _OTHER = RED, BLUE
_ROW_IN = 0.24


def draw_ablations(made: AblationTable, path: Path) -> Path:
    """A line for each row, by factor; the default's numbers run through all of them, dotted. Returns path."""
    places, at = [], 0.0
    for row, before in zip(made.rows, (None, *made.rows), strict=False):
        at += 1.0 if before is None or row.factor == before.factor else 1.6
        places.append(at)
    height = 1.3 + _ROW_IN * (at + 1)
    figure = new_figure(9.0, height)
    figure.subplots_adjust(left=0.27, right=0.97, top=1 - 0.6 / height, bottom=0.55 / height, wspace=0.08)
    left, right = figure.subplots(1, 2, sharey=True)
    _draw(left, made.rows, places, "FDR after training, 95% over images", rates=True)
    _draw(right, made.rows, places, "failing combinations in training, 95% over seeds", rates=False)
    left.set_ylim(at + 0.8, 0.2)
    left.set_yticks(places, [clean(row.title) for row in made.rows])
    for label in left.get_yticklabels():
        label.set_fontfamily(FONT)
        label.set_parse_math(False)
    right.tick_params(labelleft=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    return save(figure, path)


def _draw(axes: Axes, rows: Sequence[AblationRow], places: Sequence[float], title: str, *, rates: bool) -> None:
    for row, y in zip(rows, places, strict=True):
        colour = _DEFAULT if row.name == DEFAULT else _OTHER
        shown = row.fdr if rates else row.figures["failing_in_training"]
        if shown.value is None:
            continue
        if shown.low is not None and shown.high is not None:
            axes.plot([shown.low, shown.high], [y, y], color=colour, linewidth=1.4, solid_capstyle="butt")
        axes.plot([shown.value], [y], "o", color=colour, markersize=5)
        if row.name == DEFAULT:
            axes.axvline(shown.value, color=_DEFAULT, linewidth=0.8, linestyle="dotted", zorder=1)
    axes.set_title(title, loc="left", color=INK, fontfamily=FONT, fontsize=9)
    axes.set_xlim(0, 1.08 * axes.dataLim.x1 if axes.dataLim.x1 > 0 else 1)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=not rates))
    if rates:
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.grid(axis="x", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=MUTED, labelsize=8, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)

"""Draws how many failing combinations each method has found after so many calls. Computes no numbers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gadfly.report.lettering import FONT

_INK, _MUTED, _FAINT, _OURS = "#1f2933", "#6b7785", "#e4e7eb", "#d55e00"
_OTHERS = ("#0072b2", "#009e73", "#8e5ea2", "#c58a00", "#3d9ad1", "#a3526d")
_DASHES = ("solid", "dashed", "dotted")


def draw_discovery(curves: Mapping[str, Sequence[tuple[int, float]]], ours: Collection[str], path: Path) -> Path:
    """One line for each title: (calls, failing combinations). `ours` are drawn last and thicker. Returns path."""
    figure = Figure(figsize=(8.0, 5.0), dpi=150, facecolor="white")
    FigureCanvasAgg(figure)
    figure.subplots_adjust(left=0.08, right=0.68, top=0.9, bottom=0.11)
    axes = figure.subplots()
    for place, title in enumerate(sorted(curves, key=lambda one: one in ours)):
        x, y = zip(*curves[title], strict=True)
        if title in ours:
            style = _DASHES[sorted(ours).index(title) % len(_DASHES)]
            axes.plot(x, y, color=_OURS, linewidth=2.2, linestyle=style, label=title)
        else:
            colour = _OTHERS[place % len(_OTHERS)]
            style = _DASHES[place // len(_OTHERS) % len(_DASHES)]
            axes.plot(x, y, color=colour, linewidth=1.2, linestyle=style, label=title)
    axes.set_title("Failing combinations found", loc="left", color=_INK, fontfamily=FONT, fontsize=12)
    axes.set_xlabel("calls of the target", color=_MUTED, fontfamily=FONT, fontsize=9)
    axes.grid(color=_FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_ylim(bottom=0)
    axes.tick_params(colors=_MUTED, labelsize=8.5)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if curves:
        axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1), frameon=False, prop={"family": FONT, "size": 8.5})
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})
    return path

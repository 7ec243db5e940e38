"""Draws how many failing combinations each method has found after so many calls. Computes no numbers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from gadfly.report.lettering import FONT
from gadfly.report.style import BLUE, FAINT, INK, MUTED, RED, SMALL_PT, new_figure, save

_OURS, _OTHERS = RED, (BLUE, "#009e73", "#8e5ea2", "#c58a00", "#3d9ad1", "#a3526d")
_DASHES = ("solid", "dashed", "dotted", "dashdot")


def draw_discovery(curves: Mapping[str, Sequence[tuple[int, float]]], ours: Collection[str], path: Path) -> Path:
    """One line for each title: (calls, failing combinations). `ours` are drawn last and thicker; the legend goes by
    where the lines end. Returns path."""
    figure = new_figure(8.0, 5.0)
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
    axes.set_title(
        "Failing combinations found: means over organisms and seeds",
        loc="left",
        color=INK,
        fontfamily=FONT,
        fontsize=12,
    )
    axes.set_xlabel("calls of the target", color=MUTED, fontfamily=FONT, fontsize=9)
    axes.grid(color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_ylim(bottom=0)
    axes.tick_params(colors=MUTED, labelsize=SMALL_PT)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if curves:
        lines = sorted(axes.get_lines(), key=lambda line: -curves[str(line.get_label())][-1][1])
        axes.legend(
            handles=lines,
            loc="upper left",
            bbox_to_anchor=(1.02, 1),
            frameon=False,
            prop={"family": FONT, "size": SMALL_PT},
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    return save(figure, path)

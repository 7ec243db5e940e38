"""Draws the three pictures that a run ends with: how training went, what fails, and examples. Computes no numbers.

Figures are built without pyplot and without touching matplotlib's settings; the same data gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter
from PIL.Image import Image as Picture
from PIL.Image import Resampling

from gadfly.analysis.skills import SkillRow, SkillTable
from gadfly.analysis.training import Mean, Window
from gadfly.records import Image, Probe
from gadfly.report.lettering import FONT, clean, wrap
from gadfly.report.style import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    MUTED,
    RED,
    SMALL_PT,
    TERM_COLOURS,
    TEXT_PT,
    curve,
    empty_picture,
    end_labels,
    heading,
    new_figure,
    nothing_in,
    plain_axes,
    save,
    words_at,
)

OpenImage = Callable[[Image], Picture]

_SKILLS_TITLE = "What the target gets wrong, by skill"
_CELL_IN, _GAP_IN, _HEAD_IN, _LINE_IN = 2.3, 0.22, 0.85, SMALL_PT * 1.35 / 72  # the gallery's measures


def draw_training(windows: Sequence[Window], path: Path) -> Path:
    """FDR, valid rate and share of different wordings over steps with their bands; below, the mean of each reward term.

    Returns path."""
    if not windows:
        return empty_picture("Training", "no training steps yet", path)
    figure = new_figure(8.0, 6.4)
    figure.subplots_adjust(left=0.085, right=0.80, top=0.88, bottom=0.085, hspace=0.32)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    heading(figure, "Training", _training_subtitle(windows))
    plain_axes(upper, "share of probes")
    plain_axes(lower, "reward term, mean")
    lower.set_xlabel("step", fontsize=TEXT_PT, color=MUTED, fontfamily=FONT)
    lower.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    upper.set_ylim(0, 1.02)
    upper.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    middles = [(window.first_step + window.last_step) / 2 for window in windows]
    if len(windows) == 1:  # one point makes no curve: draw it over its whole width
        windows, middles = [windows[0]] * 2, [windows[0].first_step - 0.5, windows[0].last_step + 0.5]
    ends = [
        curve(upper, middles, [window.fdr for window in windows], RED, "FDR"),
        curve(upper, middles, [window.valid for window in windows], BLUE, "valid rate"),
        curve(upper, middles, [window.wordings for window in windows], MUTED, "wordings"),
    ]
    end_labels(upper, [end for end in ends if end is not None], percent=True)
    names = sorted({name for window in windows for name, mean in window.terms.items() if mean.value is not None})
    absent = Mean(None, None, None, 0)
    ends = [
        curve(lower, middles, [window.terms.get(name, absent) for window in windows], _term_colour(i), name)
        for i, name in enumerate(names)
    ]
    end_labels(lower, [end for end in ends if end is not None], percent=False)
    if not names:
        nothing_in(lower, "no reward terms recorded")
    return save(figure, path)


def draw_skills(table: SkillTable, path: Path, max_rows: int = 30) -> Path:
    """The failure rate of each skill with its interval, worst first, n at the side, the overall rate as a line.

    Of more than `max_rows` skills those with most valid probes are shown, and the subtitle says so. Returns path."""
    rows = [row for row in table.rows if row.failure.value is not None]
    rows = sorted(rows, key=lambda row: (-row.failure.n, row.skill))[:max_rows]
    rows.sort(key=lambda row: (row.failure.value or 0.0, row.failure.n, row.skill))
    if not rows:
        return empty_picture(_SKILLS_TITLE, "no valid probes with known skills yet", path)
    height = 1.55 + 0.27 * max(len(rows), 3)
    figure = new_figure(8.0, height)
    figure.subplots_adjust(left=0.29, right=0.845, top=1 - 0.85 / height, bottom=0.52 / height)
    axes = figure.subplots()
    plain_axes(axes, "")
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color=FAINT, linewidth=0.8)
    axes.spines["left"].set_visible(False)
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_xlabel("failure rate: WRONG among valid probes", fontsize=TEXT_PT, color=MUTED, fontfamily=FONT)
    heading(figure, _SKILLS_TITLE, _skills_subtitle(table, rows))
    axes.set_yticks(range(len(rows)))
    axes.set_yticklabels([])
    overall = table.overall
    if overall.value is not None:
        axes.axvline(overall.value, color=MUTED, linewidth=1.1, linestyle=(0, (4, 3)), zorder=1)
        label = words_at(axes, overall.value, 1.0, f"overall {overall.value:.0%}", size=SMALL_PT, colour=MUTED)
        label.set(transform=axes.get_xaxis_transform(), ha="center", va="bottom")
    sides = axes.get_yaxis_transform()
    for y, row in enumerate(rows):
        found = row.failure
        assert found.value is not None and found.low is not None and found.high is not None
        colour = RED if _stands_out(row, table) else INK
        axes.plot([found.low, found.high], [y, y], color=colour, linewidth=2.2, alpha=0.35, solid_capstyle="round")
        axes.plot([found.value], [y], "o", color=colour, markersize=5.5, zorder=3, clip_on=False)
        name = wrap(row.skill, 0.26 * 8.0 * 72, TEXT_PT, 1)[0]
        words_at(axes, -0.02, y, name, colour=colour).set(transform=sides, ha="right", va="center")
        counts = f"{found.successes:,} of {found.n:,}"
        words_at(axes, 1.03, y, counts, size=SMALL_PT, colour=MUTED).set(transform=sides, ha="left", va="center")
    header = words_at(axes, 1.03, 1.0, "WRONG of valid", size=SMALL_PT, colour=MUTED)
    header.set(transform=axes.transAxes, ha="left", va="bottom")
    return save(figure, path)


def draw_gallery(probes: Sequence[Probe], open_image: OpenImage, path: Path) -> Path:
    """Up to 12 WRONG probes: the (first) image, the question, the answer, what was expected. Returns path.

    `open_image` gives the decoded picture of an image; what it raises is not caught. Texts come from models and are
    drawn as they are, cut where long."""
    if not probes:
        return empty_picture("Wrong answers", "no WRONG probes yet", path)
    shown = probes[:12]
    captions = [_caption(probe) for probe in shown]
    n_columns = min(4, len(shown))
    rows = [captions[i : i + n_columns] for i in range(0, len(shown), n_columns)]
    # A row is as tall as its longest caption.
    row_heights_in = [_CELL_IN + _LINE_IN * max(map(len, row)) + 0.3 for row in rows]
    width = max(n_columns * (_CELL_IN + _GAP_IN) + _GAP_IN, 5.0)
    height = _HEAD_IN + sum(row_heights_in)
    figure = new_figure(width, height)
    heading(figure, "Wrong answers", "one WRONG probe" if len(shown) == 1 else f"{len(shown)} WRONG probes")
    for i, (probe, caption) in enumerate(zip(shown, captions, strict=True)):
        row, column = divmod(i, n_columns)
        left_in = _GAP_IN + column * (_CELL_IN + _GAP_IN)
        bottom_in = height - _HEAD_IN - sum(row_heights_in[:row]) - _CELL_IN
        axes = figure.add_axes((left_in / width, bottom_in / height, _CELL_IN / width, _CELL_IN / height))
        _show(axes, open_image(probe.images[0]))
        for number, (line, colour, bold) in enumerate(caption):
            y_in = bottom_in - 0.08 - number * _LINE_IN
            text = figure.text(left_in / width, y_in / height, line, fontsize=SMALL_PT, color=colour, va="top")
            text.set(parse_math=False, fontfamily=FONT, fontweight="bold" if bold else "normal")
    return save(figure, path)


def _caption(probe: Probe) -> list[tuple[str, str, bool]]:
    """The lines under an image: (text, colour, bold)."""
    expected = probe.judgement.expected
    parts = (
        (_shown(probe.question), INK, 4, True),
        ("answered: " + ("nothing" if probe.answer is None else _shown(probe.answer)), RED, 2, False),
        ("expected: " + ("not known" if expected is None else _shown(expected)), GREEN, 2, False),
    )
    return [
        (line, colour, bold)
        for words, colour, max_lines, bold in parts
        for line in wrap(words, _CELL_IN * 72, SMALL_PT, max_lines, bold=bold)
    ]


def _shown(text: str) -> str:
    return text if clean(text) else "(empty)"


def _stands_out(row: SkillRow, table: SkillTable) -> bool:
    low, overall = row.failure.low, table.overall.value
    return low is not None and overall is not None and low > overall


def _skills_subtitle(table: SkillTable, rows: Sequence[SkillRow]) -> str:
    parts = ["95% intervals by bootstrap over images"]
    if any(_stands_out(row, table) for row in rows):
        parts.append("orange: interval above the overall rate")
    if len(rows) < len(table.rows):
        parts.append(f"{len(rows)} of {len(table.rows)} skills")
    return "  ·  ".join(parts)


def _show(axes: Axes, picture: Picture) -> None:
    """The picture whole, on a light square. Small ones are enlarged pixel by pixel, large ones thinned first."""
    thumbnail = picture.convert("RGB")
    thumbnail.thumbnail((640, 640), Resampling.LANCZOS)
    width, height = thumbnail.size
    side = max(width, height)
    axes.imshow(thumbnail, interpolation="nearest" if side < 200 else "antialiased", aspect="equal")
    axes.set_xlim(width / 2 - side / 2 - 0.5, width / 2 + side / 2 - 0.5)
    axes.set_ylim(height / 2 + side / 2 - 0.5, height / 2 - side / 2 - 0.5)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_facecolor("#f5f6f8")
    for spine in axes.spines.values():
        spine.set_color(FAINT)


def _term_colour(i: int) -> str:
    return TERM_COLOURS[i % len(TERM_COLOURS)]


def _training_subtitle(windows: Sequence[Window]) -> str:
    n_probes = sum(window.n_probes for window in windows)
    steps = windows[0].last_step - windows[0].first_step + 1
    each = "each point is one step" if steps == 1 else f"each point is {steps} steps"
    return f"{n_probes:,} probes  ·  {each}  ·  bands: 95% intervals over images, of wordings over steps"

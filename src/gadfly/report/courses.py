"""Draws what `gadfly analyze` says of a training's course and of a sweep's coverage. Computes no numbers."""

from __future__ import annotations

from pathlib import Path

from matplotlib.ticker import MaxNLocator, PercentFormatter

from gadfly.analysis.coverage import Coverage
from gadfly.analysis.curriculum import Course, Curriculum
from gadfly.analysis.findings import Findings
from gadfly.report.lettering import FONT
from gadfly.report.style import (
    BLUE,
    GREEN,
    MUTED,
    RED,
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
)

PURPLE, OCHRE, *_ = TERM_COLOURS
MAX_SKILLS = 6
"""So many courses of skills are told apart in one picture: those that change most, either way."""


def draw_courses(found: Findings, folder: Path) -> list[Path]:
    """The pictures of what there is, in a folder that is there. The same findings give the same bytes."""
    curriculum, coverage = folder / "curriculum.png", folder / "coverage.png"
    for path in (curriculum, coverage):
        path.unlink(missing_ok=True)  # of an earlier analysis
    drawn = [] if found.curriculum is None else [draw_curriculum(found.curriculum, curriculum)]
    return drawn if found.coverage is None else [*drawn, draw_coverage(found.coverage, coverage)]


def draw_curriculum(course: Curriculum, path: Path) -> Path:
    """Shares of the skills that fade and emerge most, by third of the steps; below, by window, the depth of what is
    asked and, where it is known, its detail. Returns path."""
    title = "What is asked, as training goes on"
    if not course.windows:
        return empty_picture(title, "no valid questions with known skills yet", path)
    heights = (3, 2, 1.5) if course.detailed else (3, 2)
    figure = new_figure(8.0, 1.6 + 0.96 * sum(heights))
    figure.subplots_adjust(left=0.085, right=0.74, top=1 - 0.77 / figure.get_figheight(), bottom=0.085, hspace=0.32)
    upper, lower, *lowest = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    changed = [skill for skill in course.skills if skill.course is not Course.STEADY]
    changed = sorted(changed, key=lambda skill: (-abs(skill.change.value or 0.0), skill.skill))[:MAX_SKILLS]
    n = sum(stretch.n for stretch in course.windows)
    heading(figure, title, f"{n:,} valid questions  ·  bands: 95% intervals over images")
    plain_axes(upper, "share of valid questions")
    upper.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    thirds = [(third.first_step + third.last_step) / 2 for third in course.thirds]
    ends = [curve(upper, thirds, s.shares, TERM_COLOURS[i], s.skill) for i, s in enumerate(changed)]
    upper.set_ylim(bottom=0)
    end_labels(upper, [end for end in ends if end is not None], percent=True)
    if not changed:
        nothing_in(upper, "no skill is asked for reliably more or less often in the end")
    plain_axes(lower, "mean per question")
    middles = [(window.first_step + window.last_step) / 2 for window in course.windows]
    ends = [
        curve(lower, middles, [window.depth for window in course.windows], BLUE, "depth"),
        curve(lower, middles, [window.skills_per_question for window in course.windows], GREEN, "skills"),
        curve(lower, middles, [window.attributes for window in course.windows], OCHRE, "attributes"),
    ]
    end_labels(lower, [end for end in ends if end is not None], percent=False)
    for axes in lowest:
        plain_axes(axes, "of the image's side")
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        end = curve(axes, middles, [window.size for window in course.windows], PURPLE, "smallest thing")
        end_labels(axes, [] if end is None else [end], percent=True)
    last = (lower, *lowest)[-1]
    last.set_xlabel("step", fontsize=TEXT_PT, color=MUTED, fontfamily=FONT)
    last.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    return save(figure, path)


def draw_coverage(seen: Coverage, path: Path) -> Path:
    """The rarefaction curves of skills, of combinations, and of combinations that were WRONG. Returns path."""
    figure = new_figure(8.0, 4.4)
    figure.subplots_adjust(left=0.085, right=0.74, top=0.83, bottom=0.12)
    axes = figure.subplots()
    heading(figure, "How much has been seen", "expected number of distinct ones  ·  bands: 95% intervals over images")
    plain_axes(axes, "distinct")
    axes.set_xlabel("probes", fontsize=TEXT_PT, color=MUTED, fontfamily=FONT)
    kinds = (
        ("skills", seen.skills, GREEN),
        ("combinations", seen.combinations, BLUE),
        ("WRONG ones", seen.wrong_combinations, RED),
    )
    drawn = [
        curve(axes, [point.n for point in growth.curve], [point.distinct for point in growth.curve], colour, name)
        for name, growth, colour in kinds
        if growth.curve
    ]
    ends = [end for end in drawn if end is not None]
    if not ends:
        nothing_in(axes, "no valid probes with known skills yet")
        return save(figure, path)
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    end_labels(axes, ends, percent=False, decimals=0)
    return save(figure, path)

"""The curves of a report as data: what a script draws and a table says. Knows no pixels, computes no numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from gadfly.analysis.coverage import Coverage, Growth
from gadfly.analysis.curriculum import Curriculum, SkillCourse, Stretch
from gadfly.analysis.rates import Rate
from gadfly.analysis.statistics import Estimate
from gadfly.analysis.training import Mean, Window
from gadfly.report.wording import count, interval, number, percent, percent_interval, shown

Unit = Literal["percent", "number", "count"]
Tone = Literal["wrong", "right", "invalid", "undecided", "accent", "one", "two", "three", "four", "five", "six"]

_TERM_TONES: tuple[Tone, ...] = ("one", "two", "three", "four", "five", "six")
_TERM_NAMES = {
    "failure": "failure found",
    "semantic": "new in meaning",
    "lexical": "new in wording",
    "rarity": "rare combination of skills",
    "crowding": "like many recent failures",
    "invalid": "unfair question",
    "astray": "not about its topic",
}


@dataclass(frozen=True, slots=True)
class Point:
    value: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, slots=True)
class Line:
    name: str
    tone: Tone
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines over one axis. `places` say where each point stands, in words, `x` in numbers."""

    id: str
    title: str
    explained: str
    x_name: str
    y_name: str
    unit: Unit
    x: tuple[float, ...]
    places: tuple[str, ...]
    lines: tuple[Line, ...]

    def data(self) -> dict[str, Any]:
        """What the script gets."""
        return {
            "title": self.title,
            "xName": self.x_name,
            "yName": self.y_name,
            "unit": self.unit,
            "x": self.x,
            "places": self.places,
            "lines": [
                {
                    "name": line.name,
                    "tone": line.tone,
                    "value": [p.value for p in line.points],
                    "low": [p.low for p in line.points],
                    "high": [p.high for p in line.points],
                    "n": [p.n for p in line.points],
                }
                for line in self.lines
            ],
        }

    def rows(self) -> list[list[str]]:
        """The same as a table: the place, then for each line the number with its interval and n."""
        return [[place, *(self._cell(line.points[i]) for line in self.lines)] for i, place in enumerate(self.places)]

    def _cell(self, point: Point) -> str:
        if point.value is None:
            return "no data"
        if self.unit == "percent":
            said, bounds = percent(point.value), percent_interval(point)
        else:
            digits = 0 if self.unit == "count" else 2
            said, bounds = number(point.value, digits), interval(point, digits)
        return f"{said} ({bounds}), n = {count(point.n)}"


def training_charts(windows: Sequence[Window]) -> list[Chart]:
    """What was found over the steps, and what it was rewarded for."""
    if not windows:
        return []
    x = tuple((w.first_step + w.last_step) / 2 for w in windows)
    places = tuple(f"steps {w.first_step} to {w.last_step}" for w in windows)

    def line(name: str, tone: Tone, get: Callable[[Window], Rate | Mean]) -> Line:
        return Line(name, tone, tuple(_point(get(window)) for window in windows))

    found = Chart(
        "course",
        "What the questioner found, step by step",
        "Each point covers a run of training steps. Failures found: the share "
        "of judged questions that were fair and that "
        "the target answered wrongly. Fair questions: the share of judged questions that the verifier accepted. "
        "Different wordings: how many of one step’s questions are left when each wording is counted once; near zero "
        "all images are asked the same.",
        "training step",
        "share of questions",
        "percent",
        x,
        places,
        (
            line("failures found", "wrong", lambda w: w.fdr),
            line("fair questions", "right", lambda w: w.valid),
            line("could not be judged, of all", "undecided", lambda w: w.undecided),
            line("different wordings, of a step’s", "accent", lambda w: w.wordings),
        ),
    )
    found_names = {name for w in windows for name, mean in w.terms.items() if mean.value is not None}
    names = [name for name in _TERM_NAMES if name in found_names] + sorted(found_names - set(_TERM_NAMES))
    nothing = Mean(None, None, None, 0)
    terms = [
        line(
            shown(_TERM_NAMES.get(name, name), 40),
            _TERM_TONES[i % len(_TERM_TONES)],
            lambda w, name=name: w.terms.get(name, nothing),  # type: ignore[misc]
        )
        for i, name in enumerate(names)
    ]
    rewards = Chart(
        "rewards",
        "What it was rewarded for",
        "The reward of a question is a weighted sum of the terms drawn here "
        "unweighted; the weights are under “How the run "
        "was made”. Means over all questions of a run of steps.",
        "training step",
        "mean",
        "number",
        x,
        places,
        (line("reward", "accent", lambda w: w.reward), *terms),
    )
    return [found, rewards] if any(w.reward.n for w in windows) else [found]


def curriculum_charts(found: Curriculum) -> list[Chart]:
    """How demanding the questions became, and where it is known, how small what they ask about."""
    x = tuple((s.first_step + s.last_step) / 2 for s in found.windows)
    places = tuple(f"steps {s.first_step} to {s.last_step}" for s in found.windows)

    def line(name: str, tone: Tone, get: Callable[[Stretch], Mean]) -> Line:
        return Line(name, tone, tuple(_point(get(stretch)) for stretch in found.windows))

    depth = Chart(
        "depth",
        "How demanding the questions became",
        "Depth is the number of reasoning steps that a question takes. Over fair questions whose skills are known.",
        "training step",
        "mean per question",
        "number",
        x,
        places,
        (
            line("reasoning steps", "accent", lambda s: s.depth),
            line("different skills", "two", lambda s: s.skills_per_question),
            *((line("words in a description", "three", lambda s: s.attributes),) if found.detailed else ()),
        ),
    )
    size = Chart(
        "size",
        "How small the things became that were asked about",
        "The diameter of the smallest thing that a question asks about, as a share of the picture’s side.",
        "training step",
        "mean per question",
        "percent",
        x,
        places,
        (line("smallest thing", "accent", lambda s: s.size),),
    )
    return [depth, size] if found.detailed else [depth]


def coverage_chart(found: Coverage) -> Chart:
    """How many different things a growing number of questions shows."""
    longest = max((found.skills, found.combinations, found.wrong_combinations), key=lambda g: len(g.curve))

    def line(name: str, tone: Tone, growth: Growth) -> Line:
        at = {point.n: point.distinct for point in growth.curve}
        missing = Estimate.missing("not known there")
        return Line(
            name,
            tone,
            tuple(Point(e.value, e.low, e.high, p.n) for p in longest.curve for e in (at.get(p.n, missing),)),
        )

    return Chart(
        "coverage",
        "How much has been seen",
        "How many different skills, and combinations of skills, a number of "
        "questions shows on average. A curve that has "
        "become flat has little left to show.",
        "questions asked",
        "different ones seen",
        "count",
        tuple(float(p.n) for p in longest.curve),
        tuple(f"{p.n:,} questions" for p in longest.curve),
        (
            line("combinations of skills", "accent", found.combinations),
            line("combinations answered wrongly", "wrong", found.wrong_combinations),
            line("skills", "two", found.skills),
        ),
    )


def _point(found: Rate | Mean) -> Point:
    return Point(found.value, found.low, found.high, found.n)


def sparkline(course: SkillCourse, found: Curriculum) -> str:
    """The points of a small line on a square of 100: the share of the questions that needed a skill, window by window,
    up to its own highest share. A window without questions is left out."""
    shares = [
        (i, asked / window.n)
        for i, (asked, window) in enumerate(zip(course.asked, found.windows, strict=True))
        if window.n
    ]
    most = max((share for _, share in shares), default=0.0) or 1.0
    right = max(len(found.windows) - 1, 1)
    return " ".join(f"{100 * i / right:.1f},{100 - 100 * share / most:.1f}" for i, share in shares)

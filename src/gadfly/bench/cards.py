"""Model cards of bundled targets: what `gadfly testbed evaluate` measured, as Markdown. Measures nothing itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gadfly.analysis.figures import counted_text, points_text
from gadfly.bench.organisms import KeyFigures, Measured

ABOUT_TARGETS = """\
A LLaVA of {parameters:.2f} M parameters (CLIP vision tower, Llama, 96×96 images in 16 patches) that answers questions
about testbed scenes in one word. Trained from scratch on scenes of the split `target`; no held-out scene and no
held-out handwritten digit was among them. `gadfly testbed build {name} --out DIR` makes it anew, from fixed seeds
(docs/testbed.md has the courses and how long they take)."""


@dataclass(frozen=True, slots=True)
class SkillRow:
    """A skill's accuracy at a depth with its interval, and the share of the commonest answer. One that is
    `within_description` is asked for by no question itself."""

    skill: str
    within_description: bool
    depth: int
    accuracy: float
    low: float
    high: float
    n: int
    chance: float

    @property
    def value(self) -> float:
        return self.accuracy

    @property
    def title(self) -> str:
        return f"{self.skill} (within a description)" if self.within_description else self.skill


def target_card(
    name: str,
    *,
    parameters: int,
    command: str,
    rows: Sequence[SkillRow],
    depths: Sequence[int],
    figures: KeyFigures | None,
) -> str:
    """The card of a target."""
    planted = ["It has no planted blind spots: what it is bad at, it did not learn."]
    if figures is not None:
        planted = _planted(figures)
    parts = [
        f"# The bundled target `{name}`",
        ABOUT_TARGETS.format(parameters=parameters / 1e6, name=name),
        *planted,
        "## Accuracy",
        "Valid questions drawn uniformly about held-out scenes, by the skill of the asking step; 95% intervals after "
        f"Wilson; chance is the share of the commonest answer (`{command}`). {macro_text(rows, depths)} Skills marked "
        "*within a description* are asked for by no question itself: theirs are all questions with a description that "
        "takes the skill, which count for what they ask for too, and are not in the macro accuracy.",
        _skills(rows, depths),
    ]
    return "\n\n".join(parts) + "\n"


def macro_text(rows: Sequence[SkillRow], depths: Sequence[int]) -> str:
    """The mean over the skills that are asked for, by depth."""
    said = []
    for depth in depths:
        at = [row.accuracy for row in rows if row.depth == depth and not row.within_description]
        if at:
            said.append(f"{sum(at) / len(at):.1%} at depth {depth} (over {len(at)} skills)")
    return f"Macro accuracy: {', '.join(said)}."


def by_skill(rows: Sequence[SkillRow], depths: Sequence[int]) -> list[tuple[str, list[SkillRow | None]]]:
    """Each skill's title with its rows at these depths, None where it was not asked for."""
    at = {(row.title, row.depth): row for row in rows}
    return [(title, [at.get((title, depth)) for depth in depths]) for title in dict.fromkeys(row.title for row in rows)]


def _skills(rows: Sequence[SkillRow], depths: Sequence[int]) -> str:
    lines = [
        "| skill |" + "".join(f" depth {d} | chance |" for d in depths),
        "|---|" + "---|---|" * len(depths),
    ]
    for title, at_depths in by_skill(rows, depths):
        cells = (f" {counted_text(row)} | {'–' if row is None else f'{row.chance:.0%}'} |" for row in at_depths)
        lines.append(f"| {title} |{''.join(cells)}")
    return "\n".join(lines)


def _planted(figures: KeyFigures) -> list[str]:
    lines = ["| spot | kind | what | failure rate inside | clean twin |", "|---|---|---|---|---|"]
    for spot in figures.spots:
        lines.append(f"| {spot.name} | {spot.kind} | {spot.text} | {_rates(spot.inside)} |")
    outside = figures.outside
    lines.append(f"| outside all | | | {_rates(outside)} |")
    apart = ""
    if outside.difference is not None:
        apart = f" Outside all spots its failure rate differs by {points_text(outside.difference)} percentage points."
    return ["## Blind spots, planted on purpose", "\n".join(lines), f"The twin is asked the same questions.{apart}"]


def _rates(measured: Measured) -> str:
    return f"{counted_text(measured.failure)} | {counted_text(measured.twin)}"

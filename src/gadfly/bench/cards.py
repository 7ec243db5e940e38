"""Model cards of bundled targets: what `gadfly testbed evaluate` measured, as Markdown. Measures nothing itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gadfly.analysis.rates import Rate
from gadfly.bench.organisms import KeyFigures, Measured

ABOUT_TARGETS = """\
A LLaVA of {parameters:.2f} M parameters (CLIP vision tower, Llama, 96×96 images in 16 patches) that answers questions
about testbed scenes in one word. Trained from scratch on scenes of the split `target`; no held-out scene and no
held-out handwritten digit was among them. `gadfly testbed build {name} --out DIR` makes it anew, from fixed seeds
(docs/testbed.md has the courses and how long they take)."""


def target_card(
    name: str,
    *,
    parameters: int,
    command: str,
    rows: Sequence[Mapping[str, Any]],
    depths: Sequence[int],
    figures: KeyFigures | None,
) -> str:
    """The card of a target. `rows` are evaluate's: a skill's accuracy at a depth, with interval, n and chance."""
    planted = ["It has no planted blind spots: what it is bad at, it did not learn."]
    if figures is not None:
        planted = _planted(figures)
    parts = [
        f"# The bundled target `{name}`",
        ABOUT_TARGETS.format(parameters=parameters / 1e6, name=name),
        *planted,
        "## Accuracy",
        "Valid questions drawn uniformly about held-out scenes, by the skill of the asking step; 95% intervals after "
        f"Wilson; chance is the share of the commonest answer (`{command}`). {_macro(rows, depths)} Skills marked "
        "*within a description* are asked for by no question itself: theirs are all questions with a description that "
        "takes the skill, which count for what they ask for too, and are not in the macro accuracy.",
        _skills(rows, depths),
    ]
    return "\n\n".join(parts) + "\n"


def _macro(rows: Sequence[Mapping[str, Any]], depths: Sequence[int]) -> str:
    said = []
    for depth in depths:
        at = [row["accuracy"] for row in rows if row["depth"] == depth and not row["within_description"]]
        if at:
            said.append(f"{sum(at) / len(at):.1%} at depth {depth} (over {len(at)} skills)")
    return f"Macro accuracy: {', '.join(said)}."


def _skills(rows: Sequence[Mapping[str, Any]], depths: Sequence[int]) -> str:
    cells = {(row["skill"], row["depth"]): row for row in rows}
    lines = [
        "| skill |" + "".join(f" depth {d} | chance |" for d in depths),
        "|---|" + "---|---|" * len(depths),
    ]
    for skill, within in dict.fromkeys((row["skill"], row["within_description"]) for row in rows):
        line = f"| {skill} (within a description) |" if within else f"| {skill} |"
        for depth in depths:
            row = cells.get((skill, depth))
            line += " – | – |" if row is None else f" {_accuracy(row)} | {row['chance']:.0%} |"
        lines.append(line)
    return "\n".join(lines)


def _accuracy(row: Mapping[str, Any]) -> str:
    return f"{row['accuracy']:.1%} ({row['low']:.0%} to {row['high']:.0%}, n {row['n']})"


def _planted(figures: KeyFigures) -> list[str]:
    lines = ["| spot | kind | what | failure rate inside | clean twin |", "|---|---|---|---|---|"]
    for spot in figures.spots:
        inside = spot.inside
        lines.append(f"| {spot.name} | {spot.kind} | {spot.text} | {_rate(inside.failure)} | {_twin(inside)} |")
    outside = figures.outside
    lines.append(f"| outside all | | | {_rate(outside.failure)} | {_twin(outside)} |")
    gap, apart = outside.difference, ""
    if gap is not None and gap.value is not None and gap.low is not None and gap.high is not None:
        points = f"{100 * gap.value:+.1f} points ({100 * gap.low:+.1f} to {100 * gap.high:+.1f})"
        apart = f" Outside all spots its failure rate differs by {points}."
    return ["## Blind spots, planted on purpose", "\n".join(lines), f"The twin is asked the same questions.{apart}"]


def _twin(measured: Measured) -> str:
    return "–" if measured.twin is None else _rate(measured.twin)


def _rate(rate: Rate) -> str:
    if rate.value is None or rate.low is None or rate.high is None:
        return "–"
    return f"{rate.value:.1%} ({100 * rate.low:.1f} to {100 * rate.high:.1f}, n {rate.n})"

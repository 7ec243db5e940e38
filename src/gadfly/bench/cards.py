"""Model cards of the bundled checkpoints: what was measured of them, as Markdown. Measures nothing itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from safetensors import safe_open

from gadfly.analysis.figures import counted_text, points_text
from gadfly.bench.examining import Examined
from gadfly.bench.organisms import KeyFigures, Measured
from gadfly.bench.verifier_trial import VerifierTrial
from gadfly.records import Verdict

ABOUT_TARGETS = """\
A LLaVA of {parameters:.2f} M parameters (CLIP vision tower, Llama, 96×96 images in 16 patches) that answers questions
about testbed scenes in one word. Trained from scratch on scenes of the split `target`; no held-out scene and no
held-out handwritten digit was among them. `gadfly testbed build {name} --out DIR` makes it anew, from fixed seeds
(docs/testbed.md has the courses and how long they take)."""

ABOUT_VERIFIERS = """\
A LLaVA of the targets' architecture ({parameters:.2f} M parameters) that judges testbed questions and answers under
the shipped prompts of a verifier (`roles/prompts/verifier_*.txt`): whether a question is valid, its own answer, which
it gives without having seen the target's, and whether two answers mean the same. A passage of a prompt that never
changes is one word of its vocabulary, so another wording is no prompt that it knows. Trained from scratch with a seed
of its own on scenes of the split `verifier`: it shares no weight and no scene with any target. `gadfly testbed build
{name} --out DIR` makes it anew, from fixed seeds."""


def n_parameters(checkpoint: Path) -> int:
    """How many numbers the weights of a checkpoint hold, read from the heads of its files."""
    n = 0
    for weights in checkpoint.glob("*.safetensors"):
        with safe_open(weights, framework="np") as file:
            n += sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118 - no mapping
    return n


def target_card(name: str, checkpoint: Path, *, command: str, found: Examined, against: str | None = None) -> str:
    """The card of a target. `against` names the model beside it, where there is one."""
    planted = ["It has no planted blind spots: what it is bad at, it did not learn."]
    if found.figures is not None:
        planted = _planted(found.figures)
    parts = [
        f"# The bundled target `{name}`",
        ABOUT_TARGETS.format(parameters=n_parameters(checkpoint) / 1e6, name=name),
        *planted,
        "## Accuracy",
        "Valid questions drawn uniformly about held-out scenes, by the skill of the asking step; 95% intervals after "
        f"Wilson; chance is the share of the commonest answer (`{command}`). {macro_text(found)} Skills marked "
        "*within a description* are asked for by no question itself: theirs are all questions with a description that "
        "takes the skill, which count for what they ask for too, and are not in the macro accuracy.",
        _skills(found),
    ]
    if found.beside:
        parts += [f"## Beside `{against}`, on the same questions", _beside(found, name, against)]
    return "\n\n".join(parts) + "\n"


def macro_text(found: Examined) -> str:
    """The mean over the skills that are asked for, by depth."""
    said = []
    for depth in found.depths:
        rows = [row.accuracy.value for row in found.rows if row.depth == depth and not row.within_description]
        at = [value for value in rows if value is not None]
        if at:
            said.append(f"{sum(at) / len(at):.1%} at depth {depth} (over {len(at)} skills)")
    return f"Macro accuracy: {', '.join(said)}."


def _skills(found: Examined) -> str:
    lines = [
        "| skill |" + "".join(f" depth {d} | chance |" for d in found.depths),
        "|---|" + "---|---|" * len(found.depths),
    ]
    for title, accuracies, chances in found.by_skill():
        pairs = zip(accuracies, chances, strict=True)
        cells = (f" {counted_text(one)} | {'–' if chance is None else f'{chance:.0%}'} |" for one, chance in pairs)
        lines.append(f"| {title} |{''.join(cells)}")
    return "\n".join(lines)


def depth_text(depth: int | None) -> str:
    return "all depths" if depth is None else f"depth {depth}"


def _beside(found: Examined, name: str, against: str | None) -> str:
    lines = [f"| | `{name}` | `{against}` | difference, percentage points |", "|---|---|---|---|"]
    for one in found.beside:
        figures = f"{counted_text(one.accuracy)} | {counted_text(one.theirs)} | {points_text(one.difference)}"
        lines.append(f"| {depth_text(one.depth)} | {figures} |")
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


def verifier_card(
    name: str, checkpoint: Path, *, command: str, found: Mapping[str, Mapping[str, VerifierTrial]]
) -> str:
    """The card of a verifier. `found` holds its trials by target, then by questioner."""
    parts = [
        f"# The bundled verifier `{name}`",
        ABOUT_VERIFIERS.format(parameters=n_parameters(checkpoint) / 1e6, name=name),
        "## Beside the oracle",
        f"One question about each held-out image, answered by the target and judged by both (`{command}`). Rows are "
        "what the verifier said, columns what is true; 95% intervals after Wilson.",
    ]
    for target, by_questioner in found.items():
        for questioner, one in by_questioner.items():
            parts += [f"### Answers of `{target}` to questions of `{questioner}`", _matrix(one), _recognised(one)]
    return "\n\n".join(parts) + "\n"


def _matrix(one: VerifierTrial) -> str:
    shown = [verdict for verdict in one.verdicts if verdict is not Verdict.UNDECIDED]
    lines = ["| | " + " | ".join(f"truly {verdict}" for verdict in shown) + " |", "|---|" + "---|" * len(shown)]
    for verdict, row in zip(one.verdicts, one.counts_4_4, strict=True):
        if verdict in shown or any(row):
            cells = (str(n) for n, column in zip(row, one.verdicts, strict=True) if column in shown)
            lines.append(f"| judged {verdict} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _recognised(one: VerifierTrial) -> str:
    said = [
        f"{share.value:.1%} of {verdict} ({share.low:.1%} to {share.high:.1%}, n {share.n})"
        for verdict, share in one.recognised.items()
        if share.value is not None
    ]
    kappa = "" if one.kappa is None else f" Cohen's kappa {one.kappa:.2f}."
    return f"Recognised: {', '.join(said)}.{kappa}"

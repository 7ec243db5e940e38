"""The model card of a bundled verifier: how it judges beside the oracle, as Markdown. Measures nothing itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gadfly.records import Verdict

ABOUT = """\
A LLaVA of the targets' architecture ({parameters:.2f} M parameters) that judges testbed questions and answers under
the shipped prompts of a verifier (`roles/prompts/verifier_*.txt`): whether a question is valid, its own answer, which
it gives without having seen the target's, and whether two answers mean the same. A passage of a prompt that never
changes is one word of its vocabulary, so another wording is no prompt that it knows. Trained from scratch with a seed
of its own on scenes of the split `verifier`: it shares no weight and no scene with any target. `gadfly testbed build
{name} --out DIR` makes it anew, from fixed seeds."""


def verifier_card(
    name: str, *, parameters: int, command: str, found: Mapping[str, Mapping[str, Mapping[str, Any]]]
) -> str:
    """The card of a verifier. `found` holds by target, then by questioner, what `cli.verifier_trial.summary` gives."""
    parts = [
        f"# The bundled verifier `{name}`",
        ABOUT.format(parameters=parameters / 1e6, name=name),
        "## Beside the oracle",
        f"One question about each held-out image, answered by the target and judged by both (`{command}`). Rows are "
        "what the verifier said, columns what is true; 95% intervals after Wilson.",
    ]
    for target, by_questioner in found.items():
        for questioner, one in by_questioner.items():
            parts += [f"### Answers of `{target}` to questions of `{questioner}`", _matrix(one), _shares(one)]
    return "\n\n".join(parts) + "\n"


def _matrix(one: Mapping[str, Any]) -> str:
    names = one["verdicts"]
    shown = [name for name in names if name != Verdict.UNDECIDED.value]
    lines = ["| | " + " | ".join(f"truly {name}" for name in shown) + " |", "|---|" + "---|" * len(shown)]
    for name, row in zip(names, one["counts_4_4"], strict=True):
        if name in shown or sum(row):
            cells = (str(n) for n, column in zip(row, names, strict=True) if column in shown)
            lines.append(f"| judged {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _shares(one: Mapping[str, Any]) -> str:
    said = [
        f"{share['share']:.1%} of {verdict} ({share['low']:.1%} to {share['high']:.1%}, n {share['n']})"
        for verdict, share in one["recognised"].items()
        if share["n"]
    ]
    kappa = "" if one["kappa"] is None else f" Cohen's kappa {one['kappa']:.2f}."
    return f"Recognised: {', '.join(said)}.{kappa}"

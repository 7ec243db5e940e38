"""What a reader must know before believing a report, in plain words: what holds for this run. Measures nothing."""

from __future__ import annotations

from gadfly.analysis.modes import Confirmation
from gadfly.records import TRAINING
from gadfly.report.material import Material
from gadfly.report.wording import count, percent

_JUDGES = {
    "oracle": "the testbed's oracle, which knows what each picture shows",
    "reference": "comparison with the reference answers that came with the pictures",
    "model": "another model",
}


ASKED_ALIKE = 0.2
"""A training in whose last steps less than this share of the questions is worded differently is warned of."""


def caveats(material: Material) -> list[tuple[str, str]]:
    """(what it is about, what is to be known), the weightiest first."""
    found = [_selection(material), _judge(material)]
    wordings = material.windows[-1].wordings.value if material.windows else None
    if wordings is not None and wordings < ASKED_ALIKE:
        found.append(
            (
                "Asked alike",
                f"The training ended in few questions: in its last steps only {percent(wordings)} of a step's were "
                "worded differently, so most pictures were asked the same. The rates say how the target does at those.",
            )
        )
    rates, modes = material.rates, material.findings.search.modes
    if modes:
        untested = sum(mode.confirmation is Confirmation.UNTESTED for mode in modes)
        found.append(
            (
                "Failure modes",
                "They were looked for on one half of the pictures, and the rates shown "
                "are of the other half, so that a mode "
                "is not praised for the luck by which it was found. What the questions of a mode have in common need "
                "not be what makes the target fail."
                + (
                    f" {count(untested)} of {count(len(modes))} have not been tested with fresh questions about new "
                    "pictures yet."
                    if untested
                    else ""
                ),
            )
        )
    if rates.undecided.successes:
        found.append(
            (
                "Left out",
                f"{count(rates.undecided.successes)} of {count(rates.undecided.n)} questions "
                f"({percent(rates.undecided.value)}) could not be judged, for reasons "
                f"that are ours and not the target's: they "
                "are in no other rate.",
            )
        )
    n_all = material.findings.counts.total
    if n_all != rates.n_probes:
        found.append(
            (
                "Repeated questions",
                f"The same question about the same picture counts once: {count(n_all)} "
                f"were asked, {count(rates.n_probes)} of "
                "them different.",
            )
        )
    found.append(
        (
            "Intervals",
            "Every interval is a 95% interval that takes questions about one "
            "picture as alike, since one difficult picture can "
            "spoil many questions. It says how much chance could have moved the "
            "number; it says nothing of mistakes by the "
            "verifier" + (", but for the rates that are corrected for them." if _corrected(material) else "."),
        )
    )
    if material.ended_by_limit:
        found.append(("Ended early", f"A limit ended the run before it was done: {material.ended_by_limit}."))
    return found + [("Set-up", remark) for remark in material.remarks]


def _selection(material: Material) -> tuple[str, str]:
    trained = material.origin.phase == TRAINING
    return (
        "What the rates are of",
        (
            "They are of the questions that the questioner chose to ask while it "
            "was being rewarded for finding failures. "
            if trained
            else "They are of the questions that the questioner chose to ask. "
        )
        + "A rate of 40% does not mean that the target answers 40% of your users' questions wrongly.",
    )


def _judge(material: Material) -> tuple[str, str]:
    verifier = material.origin.config.get("verifier", {})
    kind = _JUDGES.get(str(verifier.get("kind", "")), "a verifier")
    if _corrected(material):
        then = "the rates corrected for its errors stand beside its own."
    elif material.labelled:
        then = "that is not enough to correct the rates for its errors."
    else:
        then = "none was drawn at random and labelled unseen, as gadfly audit does it, so no rate is corrected by them."
    labels = (
        f"{count(material.n_labels)} of its verdicts {'was' if material.n_labels == 1 else 'were'} checked by "
        f"somebody; {then}"
        if material.n_labels
        else "Nobody has checked its verdicts in this phase; "
        + ("the corrected rates are by labels of another one." if _corrected(material) else "gadfly audit does that.")
    )
    said = f"Whether an answer is wrong was decided by {kind}. "
    if verifier.get("error_rate"):
        injected = f"{percent(verifier['error_rate'])} of its verdicts were exchanged for wrong ones on purpose. "
        return ("Who judged", said + injected + labels)
    return ("Who judged", said + ("" if verifier.get("kind") == "oracle" else f"It makes mistakes. {labels}"))


def _corrected(material: Material) -> bool:
    return any(one.corrected.fdr.value is not None for one in material.labelled)

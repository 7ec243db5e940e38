"""What the pages show of what was done with a phase later: labels, other targets, fresh questions, a reading order.

Puts cards, links and words to what the material has; computes no numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gadfly.analysis.confusion import VERDICTS
from gadfly.analysis.modes import Confirmation, Mode
from gadfly.analysis.statistics import Estimate
from gadfly.analysis.transfer import ModeTransfer, Reach, Sharing
from gadfly.records import Probe, ProbeKey, Verdict
from gadfly.report.cards import OtherAnswer, label_mark, other_answer
from gadfly.report.material import Labelled, Material

TESTED: Final = {
    Confirmation.UNTESTED: "not asked afresh",
    Confirmation.CONFIRMED: "confirmed",
    Confirmation.NOT_CONFIRMED: "did not hold",
    Confirmation.OPEN: "asked afresh, still open",
}
REACHES: Final = {
    Reach.UNIVERSAL: "universal",
    Reach.SHARED: "shared by some",
    Reach.SPECIFIC: "only this target",
    Reach.UNDETERMINED: "cannot be told",
}
SHARINGS: Final = {Sharing.HAS: "has it too", Sharing.LACKS: "does not have it", Sharing.UNCLEAR: "cannot be told"}
JUDGED: Final = {Verdict.RIGHT: "right", Verdict.WRONG: "wrong", Verdict.INVALID: "not a fair question"}


@dataclass(frozen=True, slots=True)
class Cell:
    """How many probes with this verdict got this label. `mark` finds them among the evidence, where they are shown."""

    judged: Verdict
    said: Verdict
    n: int
    mark: str | None


@dataclass(frozen=True, slots=True)
class Sight:
    """How well the verifier sees one verdict. `n` probes are labelled so, `n_not` are labelled otherwise."""

    name: str
    n: int
    n_not: int
    sensitivity: Estimate
    specificity: Estimate


@dataclass(frozen=True, slots=True)
class LabelledView:
    """One labeller's table: a row for each of the verifier's verdicts, with how many probes have it. `refused` says why
    the rates are not corrected; `here` whether the labels are of this report's own phase."""

    found: Labelled
    here: bool
    rows: tuple[tuple[str, tuple[Cell, ...], int], ...]
    sights: tuple[Sight, ...]
    n: int
    refused: str | None


def labelled_views(material: Material) -> tuple[LabelledView, ...]:
    return tuple(_labelled(one, material.origin.phase) for one in material.labelled)


def _labelled(one: Labelled, phase: str) -> LabelledView:
    counts, here = one.audit.counts_3_3, one.phase == phase
    rows = []
    for judged, row, n_judged in zip(VERDICTS, counts, one.audit.judged_3, strict=True):
        cells = tuple(
            Cell(judged, said, n, label_mark(one.labeller, said) if here and n else None)
            for said, n in zip(VERDICTS, row, strict=True)
        )
        rows.append((JUDGED[judged], cells, n_judged))
    n = sum(map(sum, counts))
    sights = []
    for k, verdict in enumerate(VERDICTS):
        found, n_so = one.audit.detection[verdict.value], sum(row[k] for row in counts)
        sights.append(Sight(JUDGED[verdict], n_so, n - n_so, found.sensitivity, found.specificity))
    fdr = one.corrected.fdr
    return LabelledView(one, here, tuple(rows), tuple(sights), n, fdr.reason if fdr.value is None else None)


def labels_of(material: Material) -> dict[ProbeKey, tuple[str, ...]]:
    """What was said of each probe, in the words by which it is found."""
    found: dict[ProbeKey, list[str]] = {}
    for one in material.labelled:
        for key, verdict in one.said.items():
            found.setdefault(key, []).append(label_mark(one.labeller, verdict))
    return {key: tuple(marks) for key, marks in found.items()}


class OtherAnswers:
    """What other targets answered to a question."""

    def __init__(self, material: Material) -> None:
        targets = () if material.transfer is None else material.transfer.targets
        self._by_place: Sequence[tuple[str, Mapping[tuple[int, int], Probe]]] = [
            (target.name, {(probe.key.step, probe.key.index): probe for probe in target.probes}) for target in targets
        ]

    def of(self, probe: Probe) -> tuple[OtherAnswer, ...]:
        place = (probe.key.step, probe.key.index)
        return tuple(other_answer(name, found[place]) for name, found in self._by_place if place in found)


def confirmations(modes: Sequence[Mode]) -> tuple[tuple[str, int], ...]:
    """(in words, how many modes), those that occur; nothing where no mode was asked about afresh."""
    counts = {TESTED[one]: sum(mode.confirmation is one for mode in modes) for one in Confirmation}
    if all(mode.confirmation is Confirmation.UNTESTED for mode in modes):
        return ()
    return tuple((said, n) for said, n in counts.items() if n)


def reaches(modes: Mapping[str, ModeTransfer]) -> tuple[tuple[str, int], ...]:
    """(in words, how many modes), those that occur."""
    counts = {REACHES[reach]: sum(one.reach is reach for one in modes.values()) for reach in Reach}
    return tuple((said, n) for said, n in counts.items() if n)

"""All that a report is made of: one phase of a run, what analysis found in it, and the runs it is compared with.

Knows no files and no pages. Every number in it was computed by analysis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gadfly.analysis.audit import Audit, Corrected
from gadfly.analysis.comparison import Contrast, RunRow
from gadfly.analysis.findings import Findings
from gadfly.analysis.rates import Rate, Rates
from gadfly.analysis.reading_order import Reading
from gadfly.analysis.training import Window
from gadfly.analysis.transfer import ModeTransfer, OnSameQuestions
from gadfly.records import Probe, ProbeKey, Usage, Verdict
from gadfly.store.queries import Attempt


@dataclass(frozen=True, slots=True)
class Origin:
    """How a run was made, as its store has it. `created_at` is in seconds since 1970 UTC."""

    run: str
    phase: str
    created_at: float
    seed: int
    config: Mapping[str, Any]
    versions: Mapping[str, str]
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True, slots=True)
class Labelled:
    """What one labeller says of the verifier, by labels of probes that were drawn at random. `audit` is of the phase
    whose probes they are, `corrected` the rates of this report's phase: where it is another one, as they are if the
    verifier errs here as it does there. `said` are the labels."""

    labeller: str
    phase: str
    audit: Audit
    corrected: Corrected
    said: Mapping[ProbeKey, Verdict]


@dataclass(frozen=True, slots=True)
class NoiseFloor:
    """The verifier in the target's place: the share of its own answers that it calls WRONG, and those `probes`."""

    phase: str
    failure: Rate
    probes: Sequence[Probe]


@dataclass(frozen=True, slots=True)
class OtherTarget:
    """Another target that was asked the same questions, in a phase of its own."""

    name: str
    phase: str
    rates: OnSameQuestions
    probes: Sequence[Probe]


@dataclass(frozen=True, slots=True)
class Transferred:
    """Other targets, and each mode over all of them by its id. `telling_z` is the deviation from which on chance is an
    unlikely explanation; None where there are too few targets for any."""

    targets: tuple[OtherTarget, ...]
    modes: Mapping[str, ModeTransfer]
    telling_z: float | None


@dataclass(frozen=True, slots=True)
class Material:
    """What a report says, about the probes of one phase.

    `skills` are those of each probe, by the verdict or the annotator; a probe whose skills are unknown is not in it.
    `windows` are empty where nothing was trained. `compared` has a row for each run or phase, this one among them
    (`name` is its name there), and `contrasts` the difference in FDR of each other one to the first. `n_labels` is how
    many of the verifier's verdicts somebody has checked. `remarks` are sentences for the caveats that only the
    configuration can tell. `reading` is the order in which to read the modes, `fresh` the probes that were made to
    confirm each, by its id."""

    name: str
    origin: Origin
    probes: Sequence[Probe]
    skills: Mapping[ProbeKey, tuple[str, ...]]
    findings: Findings
    rates: Rates
    windows: tuple[Window, ...]
    usage: Mapping[str, Usage]
    compared: tuple[RunRow, ...]
    contrasts: tuple[tuple[str, Contrast], ...] = ()
    ended_by_limit: str | None = None
    n_labels: int = 0
    remarks: tuple[str, ...] = ()
    reading: tuple[Reading, ...] = ()
    fresh: Mapping[str, Sequence[Probe]] = field(default_factory=dict)
    labelled: tuple[Labelled, ...] = ()
    noise: NoiseFloor | None = None
    transfer: Transferred | None = None

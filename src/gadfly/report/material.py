"""All that a report is made of: one phase of a run, what analysis found in it, and the runs it is compared with.

Knows no files and no pages. Every number in it was computed by analysis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gadfly.analysis.comparison import Contrast, RunRow
from gadfly.analysis.findings import Findings
from gadfly.analysis.rates import Rates
from gadfly.analysis.training import Window
from gadfly.records import Probe, ProbeKey, Usage
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
class Material:
    """What a report says, about the probes of one phase.

    `skills` are those of each probe, by the verdict or the annotator; a probe whose skills are unknown is not in it.
    `windows` are empty where nothing was trained. `compared` has a row for each run or phase, this one among them
    (`name` is its name there), and `contrasts` the difference in FDR of each other one to the first. `n_labels` is how
    many of the verifier's verdicts somebody has checked. `remarks` are sentences for the caveats that only the
    configuration can tell."""

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

"""From cells of the ablations to a table: each row beside the default, and what was made of wrong verdicts. Knows no
runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gadfly.analysis.rates import Rate
from gadfly.analysis.statistics import Estimate
from gadfly.bench.ablations import DEFAULT, Ablation
from gadfly.bench.paired import Paired, paired
from gadfly.bench.pooled import mean_rate
from gadfly.bench.standings import figures_of, means

Cell = Mapping[str, Any]

FIGURES = ("excess_fdr", "failing_in_training", "failing", "wrong_combinations_at_wrong", "vendi", "planted_recall")
"""Of the questions that the trained questioner asks, save for `failing_in_training`."""


@dataclass(frozen=True, slots=True)
class AblationRow:
    """One row of the table. FDR and valid rate are the trained questioner's, means over the cells (`mean_rate`);
    `against` is its FDR against the default's, None for the default itself and where that was not run."""

    name: str
    title: str
    factor: str
    n_cells: int
    fdr: Rate
    valid: Rate
    figures: Mapping[str, Estimate]
    against: Paired | None


@dataclass(frozen=True, slots=True)
class VerifierStage:
    """What the verifier of a row said at one stage, and how far it was wrong in the questioner's favour
    (`exploiting.Exploited`). `said` is FDR by its own verdicts, `fdr` by the exact oracle's."""

    title: str
    stage: str
    said: Rate
    fdr: Rate
    unshared: Rate
    favoured: Rate


@dataclass(frozen=True, slots=True)
class AblationTable:
    """All rows, the default first. `before` is the FDR of the default's questioner before training; `n_wrong` the
    number of WRONG probes that combinations are rarefied to."""

    rows: tuple[AblationRow, ...]
    before: Rate
    n_wrong: int
    stages: tuple[VerifierStage, ...]


def ablation_table(cells: Sequence[Cell], rows: Mapping[str, Ablation]) -> AblationTable:
    """The table of some cells; rows without any are left out."""
    n_calls = min((cell["after"]["calls"] for cell in cells), default=0)
    n_wrong = min((cell["after"]["wrong"] for cell in cells), default=0)
    by_row = {name: of for name in rows if (of := [cell for cell in cells if cell["row"] == name])}
    usual = _fdr_by_pair(by_row.get(DEFAULT, ()))
    made = []
    for name, of in by_row.items():
        figures = [
            {
                **figures_of(cell["after"], n_calls, n_wrong),
                "failing_in_training": float(len(cell["failing_in_training"])),
            }
            for cell in of
        ]
        made.append(
            AblationRow(
                name,
                rows[name].method.title,
                rows[name].factor,
                len(of),
                mean_rate([cell["after"]["fdr_n"] for cell in of]),
                mean_rate([cell["after"]["valid_n"] for cell in of]),
                means(of, figures),
                paired(_fdr_by_pair(of), usual) if usual and name != DEFAULT else None,
            )
        )
    stages = [
        stage
        for name, of in by_row.items()
        if rows[name].factor in ("verifier", DEFAULT)
        for stage in _stages(rows[name].method.title, of)
    ]
    before = mean_rate([cell["before"]["fdr_n"] for cell in by_row.get(DEFAULT, ())])
    return AblationTable(tuple(made), before, n_wrong, tuple(stages))


def _fdr_by_pair(cells: Sequence[Cell]) -> dict[tuple[str, int], float]:
    found = {(cell["organism"], cell["seed"]): cell["after"]["fdr_n"][0] for cell in cells}
    return {pair: float(value) for pair, value in found.items() if value is not None}


def _stages(title: str, cells: Sequence[Cell]) -> list[VerifierStage]:
    by_stage: dict[str, list[Cell]] = {}
    for cell in cells:
        for stage in cell["verifier"]:
            by_stage.setdefault(stage["stage"], []).append(stage)
    return [
        VerifierStage(
            title, stage, *(mean_rate([one[key] for one in of]) for key in ("said_fdr", "fdr", "unshared", "favoured"))
        )
        for stage, of in by_stage.items()
    ]

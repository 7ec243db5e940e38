"""The ablations as people read them: tables and sentences. Computes no numbers."""

from __future__ import annotations

from gadfly.analysis.figures import points_text, rate_text
from gadfly.bench.ablation_table import FIGURES, AblationTable
from gadfly.bench.paired import Paired
from gadfly.bench.standings_text import NAMES, figure_text
from gadfly.bench.tables import Table

RATES_TITLE = "one setting changed at a time: the trained questioner on held-out images, by the exact oracle"
FOUND_TITLE = "and what it found"
STAGES_TITLE = "what the questioner made of wrong verdicts"
_NAMES = {
    **NAMES,
    "failing_in_training": "failing in training",
    "failing": "failing after",
    "wrong_combinations_at_wrong": "WRONG at equal WRONG",
}
_RATES = ("cells", "FDR", "points above the default", "valid")
_FOUND = tuple(_NAMES[key] for key in FIGURES)
_STAGES = ("FDR by it", "FDR", "of its WRONG, not WRONG", "of not WRONG, WRONG by it")


def _rates_rows(made: AblationTable) -> list[tuple[str, ...]]:
    return [
        (
            row.factor,
            row.title,
            str(row.n_cells),
            rate_text(row.fdr, row.fdr.n),
            _against(row.against),
            rate_text(row.valid, row.valid.n),
        )
        for row in made.rows
    ]


def _found_rows(made: AblationTable) -> list[tuple[str, ...]]:
    return [(row.title, *(figure_text(key, row.figures[key]) for key in FIGURES)) for row in made.rows]


def _stages_rows(made: AblationTable) -> list[tuple[str, ...]]:
    return [
        (one.title, one.stage, *(rate_text(rate, rate.n) for rate in (one.said, one.fdr, one.unshared, one.favoured)))
        for one in made.stages
    ]


def tables_of(made: AblationTable) -> list[Table]:
    return [
        Table(RATES_TITLE, ("factor", "row", *_RATES), _rates_rows(made), _RATES),
        Table(FOUND_TITLE, ("row", *_FOUND), _found_rows(made), _FOUND),
        Table(STAGES_TITLE, ("verifier", "stage", *_STAGES), _stages_rows(made), _STAGES),
    ]


def sentences(made: AblationTable) -> list[str]:
    """What the numbers rest on."""
    return [
        f"FDR before training: {rate_text(made.before, made.before.n)}. Intervals of rates are over images; those of "
        "differences from the default are over seeds, paired, and need three.",
        "Failing are combinations of skills that fresh probes confirm, WRONG those that failed at least once, rarefied "
        f"to {made.n_wrong} WRONG probes.",
        "A row that wins here wins on this testbed, at this number of calls.",
    ]


def _against(made: Paired | None) -> str:
    if made is None or made.difference.value is None:
        return "–"
    return points_text(made.difference) if made.difference.low is not None else f"{100 * made.difference.value:+.1f}"

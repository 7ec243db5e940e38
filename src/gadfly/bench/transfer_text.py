"""The transfer benchmark as people read it: tables and sentences. Computes no numbers."""

from __future__ import annotations

from collections.abc import Sequence

from gadfly.analysis.figures import rate_text
from gadfly.analysis.transfer import Reach
from gadfly.bench.tables import Table
from gadfly.bench.transfer_table import Matrix, Reached, RowKey

MATRIX_TITLE = "FDR of each questioner (rows) on each target (columns), 95% interval over images"
MODES_TITLE = "Failure modes of the target that a questioner was trained against, by who else has them"
_OF = "questions of"
_NAMED = 6  # of each reach; the files have them all


def row_title(row: RowKey) -> str:
    questioner, trained_on = row
    return f"{questioner}, untrained" if trained_on is None else f"{questioner}, trained on {trained_on}"


def _matrix_rows(made: Matrix) -> list[tuple[str, ...]]:
    return [(row_title(row), *(_cell(made, row, target) for target in made.columns)) for row in made.rows]


def _modes_rows(found: Sequence[Reached]) -> list[tuple[str, ...]]:
    return [
        (
            row_title(one.row),
            str(sum(one.n.values())),
            *(str(one.n[reach]) for reach in Reach),
            _listed(one.universal),
            _listed(one.specific),
        )
        for one in found
    ]


def tables_of(made: Matrix, found: Sequence[Reached]) -> list[Table]:
    """The matrix, with a dash where a pair was not run, and the modes by their reach."""
    counts = ("modes", *(reach.value for reach in Reach))
    return [
        Table(MATRIX_TITLE, (_OF, *made.columns), _matrix_rows(made), made.columns),
        Table(MODES_TITLE, (_OF, *counts, "universal ones", "specific ones"), _modes_rows(found), counts),
    ]


def resting_on(made: Matrix) -> str:
    """What the numbers rest on."""
    seeds = "one seed" if made.n_seeds == 1 else f"the mean of {made.n_seeds} seeds; other seeds may differ by more"
    return f"Intervals are over the held-out images of {seeds}."


def _cell(made: Matrix, row: RowKey, target: str) -> str:
    rate = made.fdr.get((row, target))
    return "–" if rate is None else rate_text(rate, rate.n)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return "; ".join(names[:_NAMED]) + more if names else "–"

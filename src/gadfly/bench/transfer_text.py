"""The transfer benchmark as people read it: rows of tables, sentences, Markdown. Computes no numbers."""

from __future__ import annotations

from collections.abc import Sequence

from gadfly.analysis.figures import rate_text
from gadfly.analysis.transfer import Reach
from gadfly.bench.markdown import heading, lines_of
from gadfly.bench.transfer_table import Matrix, Reached, RowKey

MATRIX_TITLE = "FDR of each questioner (rows) on each target (columns), 95% interval over images"
MODES_TITLE = "Failure modes of the target that a questioner was trained against, by who else has them"
MODES_COLUMNS = ("questions of", "modes", *(reach.value for reach in Reach), "universal ones", "specific ones")
_NAMED = 6  # of each reach; the files have them all


def row_title(row: RowKey) -> str:
    questioner, trained_on = row
    return f"{questioner}, untrained" if trained_on is None else f"{questioner}, trained on {trained_on}"


def matrix_rows(made: Matrix) -> list[tuple[str, ...]]:
    """One row for each kind of questioner; a dash where a pair was not run."""
    return [(row_title(row), *(_cell(made, row, target) for target in made.columns)) for row in made.rows]


def modes_rows(found: Sequence[Reached]) -> list[tuple[str, ...]]:
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


def tables_of(made: Matrix, found: Sequence[Reached]) -> list[tuple[str, tuple[str, ...], list[tuple[str, ...]]]]:
    """(title, columns, rows) of each table."""
    return [
        (MATRIX_TITLE, ("questions of", *made.columns), matrix_rows(made)),
        (MODES_TITLE, MODES_COLUMNS, modes_rows(found)),
    ]


def sentences(made: Matrix, missing: Sequence[str]) -> list[str]:
    """What the numbers rest on, and what is not there."""
    seeds = "one seed" if made.n_seeds == 1 else f"the mean of {made.n_seeds} seeds; other seeds may differ by more"
    said = [f"Intervals are over the held-out images of {seeds}."]
    if missing:
        said.append(f"Not there, and left out: {', '.join(missing)} (`gadfly testbed build NAME --out DIR` makes one).")
    return said


def as_markdown(made: Matrix, found: Sequence[Reached], missing: Sequence[str]) -> str:
    """The tables and sentences as Markdown."""
    lines = [
        line
        for title, columns, cells in tables_of(made, found)
        for line in (*heading(title), *lines_of(columns, cells), "")
    ]
    return "\n".join((*lines, *sentences(made, missing))) + "\n"


def _cell(made: Matrix, row: RowKey, target: str) -> str:
    rate = made.fdr.get((row, target))
    return "–" if rate is None else rate_text(rate, rate.n)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return "; ".join(names[:_NAMED]) + more if names else "–"

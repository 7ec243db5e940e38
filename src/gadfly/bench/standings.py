"""From cells to a table: means over organisms and seeds, and ours against the best of the others. Knows no runs.

Counts that grow with effort are rarefied to what all methods have: to the fewest calls of any cell, and to the fewest
WRONG probes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from gadfly.bench.found import curve, rarefied
from gadfly.bench.methods import Method
from gadfly.bench.paired import Paired, best_of, paired

Cell = Mapping[str, Any]
"""What `cell.measured` says of a search, with "method", "organism" and "seed"."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One method: the mean of each figure over organisms of its mean over seeds; None where no cell has it."""

    method: str
    title: str
    ours: bool
    n_cells: int
    figures: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Standings:
    """All methods, and each of ours against the best of the others by failing combinations. `n_calls` and `n_wrong` are
    what was rarefied to."""

    rows: tuple[Standing, ...]
    n_calls: int
    n_wrong: int
    best_other: str | None
    against_best: Mapping[str, Paired]


FOUND = (
    *("failing", "area", "fdr", "excess_fdr", "valid_rate", "wrong_skills", "wrong_combinations"),
    *("wrong_combinations_at_wrong", "valid_combinations", "planted_recall", "mode_precision"),
)
DIVERSITY = ("self_bleu", "mean_cosine", "nearest_cosine", "vendi")
"""The figures of a cell. Distinct things are rarefied by calls, unless they say by WRONG probes; diversity is that of
the WRONG questions."""


def standings(cells: Sequence[Cell], methods: Mapping[str, Method], rng: np.random.Generator) -> Standings:
    """The table of some cells; what a cell does not have is None."""
    n_calls = min((cell["calls"] for cell in cells), default=0)
    n_wrong = min((cell["wrong"] for cell in cells), default=0)
    rows = []
    for name, method in methods.items():
        of = [cell for cell in cells if cell["method"] == name]
        if of:
            figures = [figures_of(cell, n_calls, n_wrong) for cell in of]
            means = {key: mean_over_organisms(of, [one[key] for one in figures]) for key in (*FOUND, *DIVERSITY)}
            rows.append(Standing(name, method.title, method.ours, len(of), means))
    failing = {
        row.method: {(c["organism"], c["seed"]): float(len(c["failing"])) for c in cells if c["method"] == row.method}
        for row in rows
    }
    best = best_of(failing, [row.method for row in rows if not row.ours])
    against = {row.method: paired(failing[row.method], failing[best], rng) for row in rows if row.ours and best}
    return Standings(tuple(rows), n_calls, n_wrong, best, against)


def curves(
    cells: Sequence[Cell], methods: Mapping[str, Method], points: int = 60
) -> dict[str, list[tuple[int, float]]]:
    """Of each method by title: (calls, failing combinations found within them), the mean over its cells."""
    found = {}
    for name, method in methods.items():
        of = [cell for cell in cells if cell["method"] == name]
        if of:
            most = min(cell["calls"] for cell in of)
            calls = [most * at // points for at in range(points + 1)]
            lines = [curve(cell["found_at_call"], cell["failing"], calls) for cell in of]
            found[method.title] = [(x, fmean(line[at] for line in lines)) for at, x in enumerate(calls)]
    return found


def figures_of(cell: Cell, n_calls: int, n_wrong: int) -> dict[str, float | None]:
    """The figures of one cell by name, rarefied to so many calls and WRONG probes; None where it has none."""
    diverse = cell["diversity"]["wrong"]

    def at_calls(kind: str) -> float | None:
        return rarefied(cell[kind], cell["calls"], n_calls)

    def rate(kind: str) -> float | None:
        value: float | None = (cell.get(kind) or [None])[0]
        return value

    return {
        "failing": float(len(cell["failing"])),
        "area": cell["area"],
        **{kind: rate(kind) for kind in ("fdr", "excess_fdr", "valid_rate", "planted_recall", "mode_precision")},
        **{kind: at_calls(kind) for kind in ("wrong_skills", "wrong_combinations", "valid_combinations")},
        "wrong_combinations_at_wrong": rarefied(cell["wrong_combinations"], cell["wrong"], n_wrong),
        **{kind: diverse[kind] for kind in ("self_bleu", "mean_cosine", "nearest_cosine", "vendi")},
    }


def mean_over_organisms(cells: Sequence[Cell], values: Sequence[float | None]) -> float | None:
    """The mean over organisms of the mean over an organism's cells, of those that have a value."""
    by_organism: dict[str, list[float]] = {}
    for cell, value in zip(cells, values, strict=True):
        if value is not None:
            by_organism.setdefault(cell["organism"], []).append(value)
    return fmean(fmean(some) for some in by_organism.values()) if by_organism else None

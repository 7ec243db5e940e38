"""From cells of the transfer benchmark to a matrix and to what modes have in common. Knows no runs.

A mode's reach is `analysis.transfer`'s: universal if every target has it, specific if all others lack it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gadfly.analysis.rates import Rate
from gadfly.analysis.transfer import Reach
from gadfly.bench.pooled import mean_rate

Cell = Mapping[str, Any]
RowKey = tuple[str, str | None]
"""(questioner, the target that it was trained against, None where it was not)."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """FDR of each row of questioners on each target, the mean over `n_seeds` seeds (`mean_rate`)."""

    rows: tuple[RowKey, ...]
    columns: tuple[str, ...]
    fdr: Mapping[tuple[RowKey, str], Rate]
    n_seeds: int


@dataclass(frozen=True, slots=True)
class Reached:
    """How many failure modes of one row's own target are of each reach, over all seeds, and those that are one or the
    other for certain, by name: a mode found with several seeds counts once for each."""

    row: RowKey
    n: Mapping[Reach, int]
    universal: tuple[str, ...]
    specific: tuple[str, ...]


def matrix(cells: Sequence[Cell]) -> Matrix:
    """The cells as a matrix: rows and columns in the order in which they come, the untrained questioners first."""
    rows = tuple(dict.fromkeys((cell["questioner"], cell["trained_on"]) for cell in cells))
    columns = tuple(dict.fromkeys(cell["target"] for cell in cells))
    by_place: dict[tuple[RowKey, str], list[Any]] = {}
    for cell in cells:
        by_place.setdefault(((cell["questioner"], cell["trained_on"]), cell["target"]), []).append(cell["fdr"])
    ordered = tuple(sorted(rows, key=lambda row: (row[1] is not None, rows.index(row))))
    seeds = len({cell["seed"] for cell in cells})
    return Matrix(ordered, columns, {place: mean_rate(kept) for place, kept in by_place.items()}, seeds)


def reached(modes: Sequence[Cell]) -> list[Reached]:
    """What became of the modes of each row."""
    by_row: dict[RowKey, list[Any]] = {}
    for one in modes:
        by_row.setdefault((one["questioner"], one["trained_on"]), []).extend(one["modes"])
    return [
        Reached(
            row,
            {reach: n[reach] for reach in Reach},
            _names(found, Reach.UNIVERSAL),
            _names(found, Reach.SPECIFIC),
        )
        for row, found in by_row.items()
        for n in [Counter(Reach(one["reach"]) for one in found)]
    ]


def _names(found: Sequence[Cell], reach: Reach) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one["name"] for one in found if one["reach"] == reach))

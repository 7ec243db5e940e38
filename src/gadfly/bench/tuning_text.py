"""What tuning has shown as people read it: a table and a sentence. Computes no numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from gadfly.bench.methods import Method
from gadfly.bench.tables import Table

_FIGURES = ("failing combinations", "area under curve", "FDR", "valid", "planted recall")


def table_of(made: Mapping[str, Any], methods: Mapping[str, Method]) -> Table:
    """One row a trial, means over seeds; what is chosen has a mark."""
    rows = [
        (methods[name].title, _changes(trial["changes"]), _mark(trial, one["chosen"]), *_figures(trial))
        for name, one in made["methods"].items()
        for trial in one["trials"]
    ]
    return Table("trials (means)", ("method", "changes", "", *_FIGURES), rows, _FIGURES)


def _mark(trial: Mapping[str, Any], chosen: Mapping[str, Any] | None) -> str:
    return "chosen" if trial["changes"] == chosen else ""


def _figures(trial: Mapping[str, Any]) -> tuple[str, ...]:
    counts = (_mean(trial[kind], "{:.1f}") for kind in ("failing", "area"))
    rates = (_mean(trial[kind], "{:.1%}") for kind in ("fdr", "valid_rate", "planted_recall"))
    return (*counts, *rates)


def _mean(values: Sequence[float | None], how: str) -> str:
    there = [value for value in values if value is not None]
    return how.format(fmean(there)) if there else "–"


def _changes(changes: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in changes.items()) or "none"

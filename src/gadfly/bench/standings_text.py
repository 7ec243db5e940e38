"""The standings of methods as people read them: rows of a table, sentences, Markdown. Computes no numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from gadfly.bench.markdown import heading, lines_of
from gadfly.bench.methods import Method
from gadfly.bench.paired import Paired
from gadfly.bench.standings import DIVERSITY, FOUND, Standings

NAMES: Mapping[str, str] = {
    "failing": "failing combinations",
    "area": "area under curve",
    "fdr": "FDR",
    "excess_fdr": "excess FDR",
    "valid_rate": "valid",
    "wrong_skills": "WRONG skills",
    "wrong_combinations": "WRONG combinations",
    "wrong_combinations_at_wrong": "the same at equal WRONG",
    "valid_combinations": "combinations asked",
    "planted_recall": "planted recall",
    "mode_precision": "mode precision",
    "self_bleu": "SelfBLEU",
    "mean_cosine": "mean cosine",
    "nearest_cosine": "nearest cosine",
    "vendi": "Vendi score",
}
TABLES = {"what each method found": FOUND, "how different its WRONG questions are": DIVERSITY}

_RATES = ("fdr", "excess_fdr", "valid_rate", "planted_recall", "mode_precision")
_FORMATS: Mapping[str, Callable[[float], str]] = {
    **dict.fromkeys(_RATES, "{:.1%}".format),
    **dict.fromkeys(("self_bleu", "mean_cosine", "nearest_cosine"), "{:.2f}".format),
}


def rows_of(table: Standings, methods: Mapping[str, Method], keys: Sequence[str]) -> list[tuple[str, ...]]:
    """One row a method: title, cells, figures. Methods that cannot be had come last, without figures."""
    rows = [(row.title, str(row.n_cells), *(figure_text(key, row.figures[key]) for key in keys)) for row in table.rows]
    return rows + [(one.title, "–", *("–" for _ in keys)) for one in methods.values() if one.unavailable is not None]


def columns_of(keys: Sequence[str]) -> tuple[str, ...]:
    """What stands over `rows_of`."""
    return ("method", "cells", *(NAMES[key] for key in keys))


def figure_text(key: str, value: float | None) -> str:
    """A figure as people read it; a dash where there is none."""
    return "–" if value is None else _FORMATS.get(key, "{:.1f}".format)(value)


def sentences(table: Standings, methods: Mapping[str, Method]) -> list[str]:
    """What the tables are rarefied to, ours against the best of the others, and what could not be had."""
    said = [f"Distinct things are rarefied to {table.n_calls} calls, or to {table.n_wrong} WRONG probes."]
    for name, made in table.against_best.items():
        assert table.best_other is not None
        against = f"{methods[name].title} against {methods[table.best_other].title}"
        said.append(f"Failing combinations, {against}: {paired_text(made)}.")
    said += [f"{one.title}: {one.unavailable}." for one in methods.values() if one.unavailable is not None]
    return said


def paired_text(made: Paired) -> str:
    """A comparison in a line: the ratio with its interval, and in how many pairs there is more."""
    ratio = made.ratio
    if ratio.value is None:
        return f"no ratio ({ratio.reason})"
    known = ratio.low is not None and ratio.high is not None
    interval = f"{ratio.low:.2f} to {ratio.high:.2f}" if known else ratio.reason
    return f"{ratio.value:.2f} times ({interval}); more in {made.wins} of {made.n_pairs} pairs"


def as_markdown(table: Standings, methods: Mapping[str, Method]) -> str:
    """The tables and sentences as Markdown."""
    lines: list[str] = []
    for title, keys in TABLES.items():
        lines += [*heading(title), *lines_of(columns_of(keys), rows_of(table, methods, keys)), ""]
    return "\n".join((*lines, *sentences(table, methods))) + "\n"

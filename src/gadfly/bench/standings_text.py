"""The standings of methods as people read them: tables and sentences. Computes no numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from gadfly.bench.methods import Method
from gadfly.bench.paired import Paired
from gadfly.bench.standings import DIVERSITY, FOUND, Standings
from gadfly.bench.tables import Table

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
TITLES = {"what each method found (means)": FOUND, "how different its WRONG questions are (means)": DIVERSITY}

_RATES = ("fdr", "excess_fdr", "valid_rate", "planted_recall", "mode_precision")
_FORMATS: Mapping[str, Callable[[float], str]] = {
    **dict.fromkeys(_RATES, "{:.1%}".format),
    **dict.fromkeys(("self_bleu", "mean_cosine", "nearest_cosine"), "{:.2f}".format),
}


def tables_of(made: Standings, methods: Mapping[str, Method]) -> list[Table]:
    """One row a method. Methods that cannot be had come last, without figures."""
    tables = []
    for title, keys in TITLES.items():
        figures = ("cells", *(NAMES[key] for key in keys))
        tables.append(Table(title, ("method", *figures), _rows(made, methods, keys), figures))
    return tables


def _rows(made: Standings, methods: Mapping[str, Method], keys: Sequence[str]) -> list[tuple[str, ...]]:
    rows = [(row.title, str(row.n_cells), *(figure_text(key, row.figures[key]) for key in keys)) for row in made.rows]
    return rows + [(one.title, "–", *("–" for _ in keys)) for one in methods.values() if one.unavailable is not None]


def figure_text(key: str, value: float | None) -> str:
    """A figure as people read it; a dash where there is none."""
    return "–" if value is None else _FORMATS.get(key, "{:.1f}".format)(value)


def sentences(made: Standings, methods: Mapping[str, Method]) -> list[str]:
    """What the tables are rarefied to, ours against the best of the others, and what could not be had."""
    said = [f"Distinct things are rarefied to {made.n_calls} calls, or to {made.n_wrong} WRONG probes."]
    for name, one in made.against_best.items():
        assert made.best_other is not None
        against = f"{methods[name].title} against {methods[made.best_other].title}"
        said.append(f"Failing combinations, {against}: {paired_text(one)}.")
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

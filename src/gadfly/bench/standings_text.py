"""The standings of methods as people read them: tables and sentences. Computes no numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from gadfly.analysis.figures import rate_text
from gadfly.analysis.statistics import Estimate
from gadfly.bench.methods import Method
from gadfly.bench.standings import DISTINCT, DIVERSITY, FOUND, OFTEN, ON_ORGANISM, RATES, RAW, Standings
from gadfly.bench.tables import Table

NAMES: Mapping[str, str] = {
    "failing": "failing combinations",
    "failing_10": "WRONG 10 times",
    "failing_20": "WRONG 20 times",
    "area": "area under curve",
    "fdr": "FDR",
    "excess_fdr": "excess FDR",
    "valid_rate": "valid",
    "wrong_skills": "WRONG skills",
    "wrong_combinations": "WRONG combinations",
    "valid_combinations": "combinations asked",
    "wrong_skills_at_wrong": "skills at equal WRONG",
    "wrong_combinations_at_wrong": "combinations at equal WRONG",
    "calls": "calls",
    "wrong": "WRONG probes",
    "raw_skills": "WRONG skills",
    "raw_combinations": "WRONG combinations",
    "five_images": "on five images",
    "planted_recall": "planted recall",
    "modes": "modes",
    "mode_precision": "mode precision",
    "texts": "questions",
    "self_bleu": "SelfBLEU",
    "mean_cosine": "mean cosine",
    "nearest_cosine": "nearest cosine",
    "vendi": "Vendi score",
}
TITLES = {
    "what each method found (means)": FOUND,
    "failing combinations, by how often they were WRONG (means)": OFTEN,
    "how many kinds, rarefied (means)": DISTINCT,
    "the same counted as they are (means)": RAW,
    "how different its WRONG questions are (means)": DIVERSITY,
}
BY_ORGANISM = "organism by organism"
AGAINST = "ours against others: how many times as many failing combinations"

_FORMATS: Mapping[str, Callable[[float | None], str]] = {
    **dict.fromkeys(("self_bleu", "mean_cosine", "nearest_cosine", "ratio"), "{:.2f}".format),
    **dict.fromkeys(("calls", "wrong", "texts"), "{:.0f}".format),
}


def tables_of(made: Standings, methods: Mapping[str, Method]) -> list[Table]:
    """One row a method. Methods that cannot be had come last, without figures."""
    tables = []
    for title, keys in TITLES.items():
        figures = ("cells", *(NAMES[key] for key in keys))
        tables.append(Table(title, ("method", *figures), _rows(made, methods, keys), figures))
    figures = ("cells", *(NAMES[key] for key in ON_ORGANISM), "all spots recalled")
    rows = [
        (
            *(one.organism, one.title, str(one.n_cells)),
            *(figure_text(key, one.figures[key]) for key in ON_ORGANISM),
            f"{one.all_recalled} of {one.n_cells}",
        )
        for one in sorted(made.on_organisms, key=lambda one: one.organism)
    ]
    tables.append(Table(BY_ORGANISM, ("organism", "method", *figures), rows, figures))
    return [*tables, _against(made, methods)] if made.against else tables


def _against(made: Standings, methods: Mapping[str, Method]) -> Table:
    organisms = sorted({organism for one in made.against for organism in one.on})
    figures = ("all", *organisms, "more in")
    rows = [
        (
            *(methods[one.method].title, methods[one.other].title, figure_text("ratio", one.overall.ratio)),
            *(figure_text("ratio", one.on[organism].ratio) if organism in one.on else "–" for organism in organisms),
            f"{one.overall.wins} of {one.overall.n_pairs} pairs",
        )
        for one in made.against
    ]
    return Table(AGAINST, ("method", "against", *figures), rows, figures)


def _rows(made: Standings, methods: Mapping[str, Method], keys: Sequence[str]) -> list[tuple[str, ...]]:
    rows = [(row.title, str(row.n_cells), *(figure_text(key, row.figures[key]) for key in keys)) for row in made.rows]
    return rows + [(one.title, "–", *("–" for _ in keys)) for one in methods.values() if one.unavailable is not None]


def figure_text(key: str, made: Estimate) -> str:
    """A figure with its interval, where it has one, as people read it; a dash where there is none."""
    if key in RATES:
        return rate_text(made)
    if made.value is None:
        return "–"
    number = _FORMATS.get(key, "{:.1f}".format)
    known = made.low is not None and made.high is not None
    return number(made.value) + (f" ({number(made.low)} to {number(made.high)})" if known else "")


def sentences(made: Standings, methods: Mapping[str, Method]) -> list[str]:
    """What the tables rest on, and what could not be had."""
    said = [
        f"Kinds are rarefied to {made.n_calls} calls, or to {made.n_wrong} WRONG probes, which every cell has. "
        "Intervals are over seeds within each organism, and need three that differ.",
        "How many times as many is the mean over organisms of what it is on each.",
    ]
    return said + [f"{one.title}: {one.unavailable}." for one in methods.values() if one.unavailable is not None]

"""From cells to a table: means over organisms and seeds, and ours against the best of the others. Knows no runs.

Counts that grow with effort are rarefied to what all methods have: to the fewest calls of any cell, and to the fewest
WRONG probes. The raw ones stand beside them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from statistics import fmean
from typing import Any

from gadfly.analysis.statistics import Estimate
from gadfly.bench.found import curve, rarefied
from gadfly.bench.methods import Method
from gadfly.bench.paired import Cells, Paired, best_of, mean_of, paired

Cell = Mapping[str, Any]
"""What `cell.measured` says of a search, with "method", "organism" and "seed"."""


RATES = ("planted_recall", "mode_precision", "fdr", "excess_fdr", "valid_rate")
FOUND = ("failing", "area", "planted_recall", "modes", "mode_precision", "fdr", "excess_fdr", "valid_rate")
DISTINCT = (
    *("wrong_skills", "wrong_combinations", "valid_combinations"),
    *("wrong_skills_at_wrong", "wrong_combinations_at_wrong"),
)
RAW = ("calls", "wrong", "raw_skills", "raw_combinations", "five_images")
OFTEN = ("failing", "failing_10", "failing_20")
DIVERSITY = ("texts", "self_bleu", "mean_cosine", "nearest_cosine", "vendi")
"""The figures of a cell. DISTINCT kinds are rarefied, by calls unless they say by WRONG probes; RAW ones are counted as
they are, `five_images` the combinations that were WRONG on five, failing or not; OFTEN are the failing combinations
that were WRONG in at least so many distinct probes; diversity is that of WRONG questions, so many `texts` of them.
"""

ON_ORGANISM = ("failing", "planted_recall", "modes", "mode_precision")
"""The figures that stand organism by organism too."""

_SHARES = (*RATES, "self_bleu")


@dataclass(frozen=True, slots=True)
class Standing:
    """One method: of each figure the mean over organisms of its mean over seeds (`mean_of`)."""

    method: str
    title: str
    ours: bool
    n_cells: int
    figures: Mapping[str, Estimate]


@dataclass(frozen=True, slots=True)
class OnOrganism:
    """One method on one organism: the means over seeds, and in how many of them every planted spot was recalled."""

    method: str
    title: str
    organism: str
    n_cells: int
    figures: Mapping[str, Estimate]
    all_recalled: int


@dataclass(frozen=True, slots=True)
class Against:
    """Failing combinations of one of ours against another method's: on all organisms that both have, and on each."""

    method: str
    other: str
    overall: Paired
    on: Mapping[str, Paired]


@dataclass(frozen=True, slots=True)
class Standings:
    """All methods, the same organism by organism, and failing combinations of each of ours against the best of the
    others, and of what we train against what we do not. `n_calls` and `n_wrong` are what was rarefied to."""

    rows: tuple[Standing, ...]
    on_organisms: tuple[OnOrganism, ...]
    n_calls: int
    n_wrong: int
    best_other: str | None
    against: tuple[Against, ...]


def standings(cells: Sequence[Cell], methods: Mapping[str, Method]) -> Standings:
    """The table of some cells; what no cell has is None."""
    n_calls = min((cell["calls"] for cell in cells), default=0)
    n_wrong = min((cell["wrong"] for cell in cells), default=0)
    rows: list[Standing] = []
    on_organisms: list[OnOrganism] = []
    for name, method in methods.items():
        of = [cell for cell in cells if cell["method"] == name]
        if of:
            made = means(of, [figures_of(cell, n_calls, n_wrong) for cell in of])
            rows.append(Standing(name, method.title, method.ours, len(of), made))
            on_organisms += _on_organisms(method, of)
    failing = {
        row.method: {(c["organism"], c["seed"]): float(len(c["failing"])) for c in cells if c["method"] == row.method}
        for row in rows
    }
    best = best_of(failing, [row.method for row in rows if not row.ours])
    ours = [methods[row.method] for row in rows if row.ours]
    pairs = [(one.name, best) for one in ours if best]
    pairs += [(one.name, other.name) for one in ours for other in ours if one.trained and not other.trained]
    against = tuple(_against(one, other, failing[one], failing[other]) for one, other in pairs)
    return Standings(tuple(rows), tuple(on_organisms), n_calls, n_wrong, best, against)


def _on_organisms(method: Method, cells: Sequence[Cell]) -> Iterator[OnOrganism]:
    for organism in dict.fromkeys(cell["organism"] for cell in cells):
        of = [cell for cell in cells if cell["organism"] == organism]
        made = means(of, [figures_of(cell, 0, 0) for cell in of])
        recalled = sum(_rate(cell, "planted_recall") == 1 for cell in of)
        yield OnOrganism(
            method.name, method.title, organism, len(of), {key: made[key] for key in ON_ORGANISM}, recalled
        )


def _against(method: str, other: str, a: Cells, b: Cells) -> Against:
    organisms = sorted({organism for organism, _ in set(a) & set(b)})
    on = {
        organism: paired(*({pair: n for pair, n in one.items() if pair[0] == organism} for one in (a, b)))
        for organism in organisms
    }
    return Against(method, other, paired(a, b), on)


def means(cells: Sequence[Cell], figures: Sequence[Mapping[str, float | None]]) -> dict[str, Estimate]:
    """Of each figure the mean over those cells that have it; `figures` are the cells', in their order."""
    by_figure: dict[str, Cells] = {}
    for key in figures[0]:
        values = ((cell, one[key]) for cell, one in zip(cells, figures, strict=True))
        by_figure[key] = {(cell["organism"], cell["seed"]): n for cell, n in values if n is not None}
    return {key: mean_of(found, (0.0, 1.0 if key in _SHARES else inf)) for key, found in by_figure.items()}


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

    def at_wrong(kind: str) -> float | None:
        return rarefied(cell[kind], cell["wrong"], n_wrong)

    return {
        "failing": float(len(cell["failing"])),
        **{f"failing_{least}": float(_often(cell, least)) for least in (10, 20)},
        "area": cell["area"],
        **{kind: _rate(cell, kind) for kind in RATES},
        **{kind: at_calls(kind) for kind in ("wrong_skills", "wrong_combinations", "valid_combinations")},
        **{f"{kind}_at_wrong": at_wrong(kind) for kind in ("wrong_skills", "wrong_combinations")},
        **{kind: float(cell[kind]) for kind in ("calls", "wrong", "modes")},
        "raw_skills": float(len(cell["wrong_skills"])),
        "raw_combinations": float(len(cell["wrong_combinations"])),
        "five_images": float(len(cell["found_at_call"])),
        "texts": float(diverse["n"]),
        **{kind: diverse[kind] for kind in DIVERSITY if kind != "texts"},
    }


def _often(cell: Cell, least: int) -> int:
    return sum(cell["wrong_combinations"][one] >= least for one in cell["failing"])


def _rate(cell: Cell, kind: str) -> float | None:
    value: float | None = (cell.get(kind) or [None])[0]
    return value

"""Tuning: as many trials for each way of asking, on one organism, and what came of them. Runs nothing.

What is chosen is kept with all that was tried in one JSON file. Put beside settings.toml as tuning.json it is what
`read_methods` sets the methods up with: that commit freezes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, final

from gadfly.bench.methods import Method, read_toml, varied
from gadfly.errors import ConfigError

TRIALS = Path(__file__).parent / "trials.toml"
ORGANISM = "a"
"""Nothing is tuned on any other: those are what is measured on."""

Cell = Mapping[str, Any]


@final
@dataclass(frozen=True, slots=True)
class Trial:
    """One way of setting a method up: what it changes, and the method that it makes."""

    changes: Mapping[str, Any]
    method: Method


def read_trials(methods: Mapping[str, Method], path: Path = TRIALS) -> dict[str, list[Trial]]:
    """The trials of each method that has settings. Raises ConfigError for a file that cannot be used: a method that is
    left out, or has more trials than another."""
    tables = read_toml(path, "the trials").get("trials", {})
    wanted = {name for name, method in methods.items() if method.unavailable is None}
    if wanted ^ set(tables):
        raise ConfigError(f"{path}: the trials are not those of the methods: {', '.join(sorted(wanted ^ set(tables)))}")
    tried = {name: trials for name, trials in tables.items() if not isinstance(trials, str)}
    if len({len(trials) for trials in tried.values()}) > 1:
        counts = ", ".join(f"{name} {len(trials)}" for name, trials in tried.items())
        raise ConfigError(f"{path}: each method has the same number of trials, or one is favoured; there are {counts}")
    return {
        name: [
            Trial(changes, varied(methods[name], changes, f"{name}.{at}", f"{methods[name].title}, trial {at}"))
            for at, changes in enumerate(trials, start=1)
        ]
        for name, trials in tried.items()
    }


def tuning(cells: Sequence[Cell], trials: Mapping[str, Sequence[Trial]]) -> dict[str, Any]:
    """What was tried and what came of it, as plain data. Chosen is the trial with the most failing combinations, the
    mean over seeds; of equal ones that with the larger area under the curve, and of those the first. Nothing is chosen
    for a method of which a trial has fewer cells than another."""
    made = {}
    for name, some in trials.items():
        of = [[cell for cell in cells if cell["method"] == trial.method.name] for trial in some]
        results = [_result(trial, its) for trial, its in zip(some, of, strict=True)]
        whole = bool(of[0]) and len({len(its) for its in of}) == 1
        best = max(range(len(some)), key=lambda at: (*_score(of[at]), -at)) if whole else None
        made[name] = {"chosen": None if best is None else dict(some[best].changes), "trials": results}
    return {"organism": ORGANISM, "budget": sorted({cell["budget"] for cell in cells}), "methods": made}


def _score(cells: Sequence[Cell]) -> tuple[float, float]:
    return fmean(len(cell["failing"]) for cell in cells), fmean(cell["area"] for cell in cells)


def _result(trial: Trial, cells: Sequence[Cell]) -> dict[str, Any]:
    return {
        "changes": dict(trial.changes),
        "seeds": [cell["seed"] for cell in cells],
        "failing": [len(cell["failing"]) for cell in cells],
        "area": [round(cell["area"], 3) for cell in cells],
        "calls": [cell["calls"] for cell in cells],
        **{kind: [cell[kind][0] for cell in cells] for kind in ("fdr", "valid_rate", "planted_recall")},
    }

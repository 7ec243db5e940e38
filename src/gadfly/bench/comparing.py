"""The benchmark of methods: every method on every organism with every seed, at the same number of calls. No table."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from gadfly.bench.cell import measured
from gadfly.bench.fresh import N_UNIFORM
from gadfly.bench.grid import Grid, OnCell, Place, filled
from gadfly.bench.methods import Method
from gadfly.bench.search import OnProgress, config_of, images_of, search
from gadfly.bench.yardstick import Yardsticks


@final
@dataclass(frozen=True, slots=True)
class Comparison:
    """What is to be run, into the folder `out`. `calls` are calls of the target in each cell, `n_uniform` the fresh
    uniform probes of each organism."""

    out: Path
    methods: Sequence[Method]
    organisms: Sequence[str]
    seeds: Sequence[int]
    calls: int
    n_uniform: int = N_UNIFORM

    @property
    def grid(self) -> Grid[Method]:
        return Grid(self.out, self.methods, self.organisms, self.seeds)


def run_comparison(
    comparison: Comparison,
    on_cell: OnCell | None = None,
    on_progress: OnProgress | None = None,
    until_s: float | None = None,
) -> list[dict[str, Any]]:
    """All cells, made where they are not there; `on_cell` and `until_s` as in `filled`.

    Raises ConfigError for two organisms of one name, or one without checkpoint; StoreError where a cell that is there
    was made with other settings or another budget.
    """
    yardsticks = Yardsticks(comparison.out, comparison.organisms, comparison.n_uniform)

    def what(place: Place[Method]) -> dict[str, Any]:
        method = place.way
        return {
            "method": method.name,
            "budget": comparison.calls,
            "plan": method.plan,
            "collect": method.collect,
            "settings": json.loads(json.dumps(method.settings)),
            **yardsticks.what(place),
        }

    def make(place: Place[Method]) -> dict[str, Any]:
        target = yardsticks.target(place.organism)
        images, folder = images_of(comparison.out, place.seed), comparison.out / "runs" / place.name
        began = time.monotonic()
        stretches = search(place.way, target, images, folder, place.seed, comparison.calls, on_progress)
        searched = time.monotonic()
        config = config_of(place.way, target, images, folder, place.seed, comparison.calls)
        cell = measured(stretches, config, yardsticks.of(place.organism))
        seconds = {"search": round(searched - began, 1), "measure": round(time.monotonic() - searched, 1)}
        return {**cell, "seconds": seconds}

    return filled(comparison.grid, what, make, on_cell, until_s)

"""The grid of the benchmark of methods: every method on every organism with every seed, one JSON a cell, resumable.

A cell that is there is not made again; one that was broken off is made anew from its beginning.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from gadfly.asking import cached
from gadfly.bench.cell import Yardstick, measured, yardstick_of
from gadfly.bench.fresh import N_UNIFORM, weights_identity
from gadfly.bench.kept import keep, known
from gadfly.bench.making import checkpoint_folders
from gadfly.bench.methods import Method
from gadfly.bench.search import OnProgress, config_of, images_of, search
from gadfly.config import RewardConfig
from gadfly.testbed.checkpoints import bundled
from gadfly.wiring import build_embedder


@final
@dataclass(frozen=True, slots=True)
class Grid:
    """What is to be run, into the folder `out`. Organisms are bundled ones by name, or folders with a key beside them.
    `n_uniform` are the fresh uniform probes of each."""

    out: Path
    methods: Sequence[Method]
    organisms: Sequence[str]
    seeds: Sequence[int]
    calls: int
    n_uniform: int = N_UNIFORM

    def cells(self) -> Iterator[tuple[str, int, Method]]:
        """(organism, seed, method): the methods of a seed one after the other, so that a grid that is broken off has
        them side by side."""
        for seed in self.seeds:
            for organism in self.organisms:
                for method in self.methods:
                    yield organism, seed, method

    def path(self, organism: str, seed: int, method: Method) -> Path:
        return self.out / "cells" / f"{Path(organism).name}-{method.name}-{seed}.json"


def run_grid(
    grid: Grid,
    on_cell: Callable[[int, int, str], None] | None = None,
    on_progress: OnProgress | None = None,
    until_s: float | None = None,
) -> list[dict[str, Any]]:
    """Make the cells that are not there, and return all of them. `on_cell` gets (cells done, cells in all, the name of
    the next). No cell is begun after `until_s` of `time.monotonic`.

    Raises ConfigError for two organisms of one name, or one without checkpoint; StoreError where a cell that is there
    was made with other settings or another budget.
    """
    folders = checkpoint_folders(grid.organisms)
    targets = {organism: folders[Path(organism).name] for organism in grid.organisms}
    embedder = cached(build_embedder(RewardConfig()))
    yardsticks: dict[str, Yardstick] = {}
    cells = list(grid.cells())
    made = []
    for done, (organism, seed, method) in enumerate(cells):
        path = grid.path(organism, seed, method)
        what = _what(grid, organism, seed, method, weights_identity(targets[organism]))
        if (there := known(path, what)) is not None:
            made.append(there)
            continue
        if until_s is not None and time.monotonic() >= until_s:
            continue
        if on_cell is not None:
            on_cell(done, len(cells), f"{Path(organism).name}, seed {seed}, {method.title}")
        if organism not in yardsticks:
            yardsticks[organism] = yardstick_of(organism, grid.out, embedder, grid.n_uniform)
        began = time.monotonic()
        images, folder = images_of(grid.out, seed), grid.out / "runs" / path.stem
        stretches = search(method, targets[organism], images, folder, seed, grid.calls, on_progress)
        searched = time.monotonic()
        config = config_of(method, targets[organism], images, folder, seed, grid.calls)
        cell = {**what, **measured(stretches, config, yardsticks[organism])}
        seconds = {"search": round(searched - began, 1), "measure": round(time.monotonic() - searched, 1)}
        keep(path, {**cell, "seconds": seconds})
        made.append({**cell, "seconds": seconds})
    return made


def _what(grid: Grid, organism: str, seed: int, method: Method, weights: str) -> dict[str, Any]:
    """What a cell is of. One that is there is taken for made only where all of this is the same."""
    return {
        "method": method.name,
        "organism": Path(organism).name,
        "seed": seed,
        "budget": grid.calls,
        "plan": method.plan,
        "collect": method.collect,
        "settings": json.loads(json.dumps(method.settings)),
        "weights": weights[:16],
        "questioner": weights_identity(bundled("questioner"))[:16],
        "fresh_probes": grid.n_uniform,
    }

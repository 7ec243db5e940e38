"""The benchmark of methods: every method on every organism with every seed, at the same number of calls. No table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from gadfly.bench.cell import measured
from gadfly.bench.clock import Clock
from gadfly.bench.fresh import N_UNIFORM
from gadfly.bench.grid import Grid, OnProgress, Place
from gadfly.bench.methods import Method
from gadfly.bench.search import config_of, images_of, search
from gadfly.bench.yardstick import Yardsticks, yardsticks_of


@final
@dataclass(frozen=True, slots=True)
class Comparison:
    """What is to be run, into the folder `out`: a `Work` for a grid. `calls` are calls of the target in each cell,
    `n_uniform` the fresh uniform probes of each organism.

    Its methods raise ConfigError for two organisms of one name, TestbedError for one without checkpoint."""

    out: Path
    methods: Sequence[Method]
    organisms: Sequence[str]
    seeds: Sequence[int]
    calls: int
    n_uniform: int = N_UNIFORM

    @property
    def grid(self) -> Grid[Method]:
        return Grid(self.out, self.methods, self.organisms, self.seeds)

    def what(self, place: Place[Method]) -> dict[str, Any]:
        method = place.way
        return {
            "method": method.name,
            "budget": self.calls,
            "plan": method.plan,
            "collect": method.collect,
            "settings": json.loads(json.dumps(method.settings)),
            **self._yardsticks.what(place),
        }

    def make(self, place: Place[Method], on_progress: OnProgress | None) -> dict[str, Any]:
        target, images = self._yardsticks.target(place.organism), images_of(self.out, place.seed)
        folder, clock = self.out / "runs" / place.name, Clock()
        stretches = search(place.way, target, images, folder, place.seed, self.calls, on_progress)
        clock.stage("search")
        config = config_of(place.way, target, images, folder, place.seed, self.calls)
        cell = measured(stretches, config, self._yardsticks.of(place.organism), self.calls)
        clock.stage("measure")
        return {**cell, "seconds": clock.seconds, "processor_seconds": clock.processor_seconds}

    @property
    def _yardsticks(self) -> Yardsticks:
        return yardsticks_of(self.out, tuple(self.organisms), self.n_uniform)

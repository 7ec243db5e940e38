"""Runs the ablations: a questioner trained under each row's settings, measured before, during and after, by the exact
oracle whoever judged the training. Makes no table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from gadfly import run_folder, runs
from gadfly.analysis.rates import rates
from gadfly.bench.ablations import Ablation
from gadfly.bench.cell import measured
from gadfly.bench.clock import Clock
from gadfly.bench.exploiting import exploited, judged_exactly
from gadfly.bench.found import Stretch, found
from gadfly.bench.fresh import N_UNIFORM
from gadfly.bench.grid import Grid, OnProgress, Place
from gadfly.bench.pooled import kept_rate
from gadfly.bench.search import MAIN, drop_weights, images_of, search
from gadfly.bench.yardstick import Yardstick, Yardsticks, yardsticks_of
from gadfly.config import Config, override
from gadfly.errors import ConfigError
from gadfly.records import Probe
from gadfly.store.sqlite import SqliteStore
from gadfly.wiring import Wiring

BEFORE, AFTER = "before", "after"
PARTS = 3
"""Of a training, in each of which it is looked how far wrong verdicts are exploited."""


@final
@dataclass(frozen=True, slots=True)
class Ablations:
    """What is to be run, into the folder `out`: a `Work` for a grid, each row on each organism with each seed. A
    training takes `calls` calls of the target, and a frozen questioner asks `n` questions about held-out images before
    and after.

    Its methods raise ConfigError for two organisms of one name, and for calls that no step can be had of; TestbedError
    for an organism that is not there."""

    out: Path
    rows: Sequence[Ablation]
    organisms: Sequence[str]
    seeds: Sequence[int]
    calls: int
    n: int
    n_uniform: int = N_UNIFORM

    @property
    def grid(self) -> Grid[Ablation]:
        return Grid(self.out, self.rows, self.organisms, self.seeds)

    def what(self, place: Place[Ablation]) -> dict[str, Any]:
        method = place.way.method
        settings = {key: value for key, value in method.settings.items() if key != "verifier.model"}
        return {
            "row": place.way.name,
            "budget": self.calls,
            "asked": self.n,
            "collect": method.collect,
            "settings": json.loads(json.dumps(settings)),
            **self._yardsticks.what(place),
        }

    def make(self, place: Place[Ablation], on_progress: OnProgress | None) -> dict[str, Any]:
        target, method = self._yardsticks.target(place.organism), place.way.method
        images, folder = images_of(self.out, place.seed), self.out / "runs" / place.name
        clock = Clock()
        stretches = search(method, target, images, folder, place.seed, self.calls, on_progress, keep_weights=True)
        clock.stage("search")
        config, frozen = _ask_frozen(folder / MAIN, self.n, on_progress)
        clock.stage("ask")
        cell = _measured(stretches, frozen, config, self._yardsticks.of(place.organism))
        clock.stage("measure")
        return {**cell, "seconds": clock.seconds, "processor_seconds": clock.processor_seconds}

    @property
    def _yardsticks(self) -> Yardsticks:
        return yardsticks_of(self.out, tuple(self.organisms), self.n_uniform)


def _ask_frozen(run: Path, n: int, on_progress: OnProgress | None) -> tuple[Config, dict[str, list[Probe]]]:
    """(the run's configuration, the probes of the questioner as it was before and as it is after the training), about
    held-out images. The weights are deleted then: the probes are what is kept."""
    config = override(run_folder.config_of(run), {"limits.max_target_calls": None, "sweep.n": n})
    if not (run / run_folder.TRAINED).exists():
        raise ConfigError("the calls were spent before the first step of training; give more --calls")
    found = {}
    with SqliteStore.open(run) as store:
        for phase, questioner in ((BEFORE, None), (AFTER, run / run_folder.TRAINED)):
            runs.sweep(
                Wiring(config),
                store,
                phase=phase,
                split="heldout",
                questioner=questioner,
                on_progress=None if on_progress is None else lambda done, total, _: on_progress(done, total),
            )
            found[phase] = list(store.probes(phase))
    drop_weights(run)
    return config, found


def _measured(
    stretches: Sequence[Stretch], frozen: Mapping[str, Sequence[Probe]], config: Config, yardstick: Yardstick
) -> dict[str, Any]:
    """All that is said of a row. Every rate is by the exact oracle, but for `said_fdr`, the verifier's own."""
    by_oracle = override(config, {"verifier": {"kind": "oracle"}})
    exact = Wiring(by_oracle).verifier
    exactly = {phase: judged_exactly(probes, exact) for phase, probes in frozen.items()}
    trained = [Stretch(judged_exactly(one.probes, exact), one.calls) for one in stretches]
    course = found(trained)
    failing = yardstick.fresh.failing(course.at_call)
    after = exactly[AFTER]
    return {
        "calls": course.calls,
        "before": _rates(exactly[BEFORE]),
        "after": {**_rates(after), **measured([Stretch(after, len(after))], by_oracle, yardstick, len(after))},
        "failing_in_training": sorted("+".join(skills) for skills in failing),
        "verifier": [
            _judged(name, said, true)
            for name, said, true in (
                (BEFORE, frozen[BEFORE], exactly[BEFORE]),
                *_parts([p for s in stretches for p in s.probes], [p for s in trained for p in s.probes]),
                (AFTER, frozen[AFTER], after),
            )
        ],
    }


def _rates(probes: Sequence[Probe]) -> dict[str, Any]:
    made = rates(probes, np.random.default_rng(0))
    return {"fdr_n": kept_rate(made.fdr), "valid_n": kept_rate(made.valid), "failure_n": kept_rate(made.failure)}


def _parts(said: Sequence[Probe], true: Sequence[Probe]) -> Iterator[tuple[str, Sequence[Probe], Sequence[Probe]]]:
    """The probes of a training in parts of equal size, in the order in which they were asked."""
    bounds = [len(said) * at // PARTS for at in range(PARTS + 1)]
    for at in range(PARTS):
        part = slice(bounds[at], bounds[at + 1])
        yield f"training {at + 1}/{PARTS}", said[part], true[part]


def _judged(stage: str, said: Sequence[Probe], true: Sequence[Probe]) -> dict[str, Any]:
    """Each rate with a generator of its own: equal verdicts have equal intervals, whatever was computed before."""
    lived_on = exploited(said, true, np.random.default_rng(0))
    return {
        "stage": stage,
        "said_fdr": kept_rate(rates(said, np.random.default_rng(0)).fdr),
        "fdr": kept_rate(rates(true, np.random.default_rng(0)).fdr),
        "unshared": kept_rate(lived_on.unshared),
        "favoured": kept_rate(lived_on.favoured),
    }

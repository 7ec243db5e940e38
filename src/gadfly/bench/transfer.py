"""Questioners trained against one target, their questions put to all: a JSON for each pair, resumable. Makes no table.

Every questioner asks once, about held-out images, as frozen as training left it. Its questions are put to each target
as they are, so that a column differs from its neighbour by the target alone.
"""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from gadfly import followups, run_folder, runs
from gadfly.analysis.conditions import conditions, measure_all
from gadfly.analysis.items import items_by_probe, tabulate
from gadfly.analysis.modes import find_modes
from gadfly.analysis.rates import rates
from gadfly.analysis.transfer import transfers
from gadfly.bench.fresh import weights_identity
from gadfly.bench.grid import OnCell, OnProgress, keep, known
from gadfly.bench.methods import read_methods
from gadfly.bench.pooled import kept_rate
from gadfly.bench.search import config_of, images_of
from gadfly.config import Config, override
from gadfly.records import Probe
from gadfly.store.sqlite import SqliteStore
from gadfly.testbed.checkpoints import ORGANISMS
from gadfly.wiring import Wiring

TARGETS = ("clean", *ORGANISMS, "clean-large")
QUESTIONERS = ("questioner", "questioner-large")

UNTRAINED = "untrained"
_PHASE = "sweep"
_HELDOUT_SHARE = 0.25
_SAVE_EVERY = 20


@final
@dataclass(frozen=True, slots=True)
class Row:
    """A questioner by its short name, and the target that it is trained against: None for as it is."""

    questioner: str
    trained_on: str | None
    seed: int

    @property
    def name(self) -> str:
        return f"{self.questioner}-{self.trained_on or UNTRAINED}-{self.seed}"


@final
@dataclass(frozen=True, slots=True)
class Transfer:
    """What is to be run, into the folder `out`. Targets and questioners are folders by short name. Every questioner is
    trained against each target for `steps` steps, and asks `n` questions then."""

    out: Path
    targets: Mapping[str, Path]
    questioners: Mapping[str, Path]
    seeds: Sequence[int]
    steps: int
    n: int

    def rows(self) -> Iterator[Row]:
        """All rows of a seed one after the other, untrained questioners first: they cost least."""
        for seed in self.seeds:
            for trained_on in (None, *self.targets):
                for questioner in self.questioners:
                    yield Row(questioner, trained_on, seed)

    def path(self, row: Row, target: str) -> Path:
        return self.out / "cells" / f"{row.name}-{target}.json"

    def modes_path(self, row: Row) -> Path:
        return self.out / "modes" / f"{row.name}.json"


def run_transfer(
    transfer: Transfer,
    on_row: OnCell | None = None,
    on_progress: OnProgress | None = None,
    until_s: float | None = None,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Make what is not there, and return (the cells of all rows that are done, the failure modes of each trained one).
    `on_row` gets (rows done, rows in all, the next). No row is begun after `until_s` of `time.monotonic`.

    Raises StoreError and ConfigError where a row that is there was made with other settings.
    """
    identities = {
        path: weights_identity(path)[:16] for path in (*transfer.targets.values(), *transfer.questioners.values())
    }
    cells: list[dict[str, Any]] = []
    modes: list[dict[str, Any]] = []
    rows = list(transfer.rows())
    for done, row in enumerate(rows):
        what = _what(transfer, row, identities)
        whats = {name: {**what, "target": name, "weights": identities[path]} for name, path in transfer.targets.items()}
        there = [cell for name, one in whats.items() if (cell := known(transfer.path(row, name), one)) is not None]
        found = known(transfer.modes_path(row), what) or {}
        # A target that is new changes what is universal.
        judged = row.trained_on is None or found.get("targets") == list(transfer.targets)
        if len(there) < len(whats) or not judged:
            if until_s is not None and time.monotonic() >= until_s:
                continue
            if on_row is not None:
                on_row(done, len(rows), row.name)
            there, found = _make(transfer, row, what, whats, on_progress)
        cells += there
        modes += [found] if found else []
    return cells, modes


def _make(
    transfer: Transfer,
    row: Row,
    what: Mapping[str, Any],
    whats: Mapping[str, Mapping[str, Any]],
    on_progress: OnProgress | None,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """(the cells of a row, its modes: none for an untrained questioner), made and kept."""
    began = time.monotonic()
    config = config_of_row(transfer, row)
    answered = _answered(transfer, row, config, on_progress)
    seconds = round(time.monotonic() - began, 1)
    cells = [{**one, **_measured(answered[name]), "row_seconds": seconds} for name, one in whats.items()]
    for cell in cells:
        keep(transfer.path(row, cell["target"]), cell)
    if row.trained_on is None:
        return cells, {}
    shared = shared_modes(row.trained_on, answered, Wiring(config))
    found = {**what, "targets": list(transfer.targets), **shared}
    keep(transfer.modes_path(row), found)
    return cells, found


def config_of_row(transfer: Transfer, row: Row) -> Config:
    """The configuration of a row's run. An untrained questioner asks of the first target first."""
    method = read_methods()["zero-shot" if row.trained_on is None else "rl"]
    own = transfer.targets[row.trained_on or next(iter(transfer.targets))]
    images, folder = images_of(transfer.out, row.seed), transfer.out / "runs" / row.name
    return override(
        config_of(method, own, images, folder, row.seed, calls=1),
        {
            "questioner.model": str(transfer.questioners[row.questioner]),
            "images.heldout_share": _HELDOUT_SHARE,
            "limits.max_target_calls": None,  # steps are counted here, so that a resume asks what was left to ask
            "train.steps": transfer.steps,
            "train.save_every": _SAVE_EVERY,
            "sweep.n": transfer.n,
        },
    )


def _what(transfer: Transfer, row: Row, identities: Mapping[Path, str]) -> dict[str, Any]:
    """What a row is of. One that is there is taken for made only where all of this is the same."""
    against = None if row.trained_on is None else identities[transfer.targets[row.trained_on]]
    return {
        "questioner": row.questioner,
        "trained_on": row.trained_on,
        "seed": row.seed,
        "steps": 0 if row.trained_on is None else transfer.steps,
        "asked": transfer.n,
        "questioner_weights": identities[transfer.questioners[row.questioner]],
        "trained_on_weights": against,
    }


def _answered(
    transfer: Transfer, row: Row, config: Config, on_progress: OnProgress | None
) -> dict[str, Sequence[Probe]]:
    """The probes of each target: the same questions, paired by step and index."""
    folder = run_folder.folder_of(config)
    resume = run_folder.is_begun(config)

    def tell(done: int, total: int, _: object) -> None:
        if on_progress is not None:
            on_progress(done, total)

    with run_folder.opened(config, resume=resume) as store:
        wiring, trained = Wiring(config), None
        if row.trained_on is not None and not _asked(store, config):
            trained = runs.train(wiring, store, resume=resume, on_step=tell)
        runs.sweep(wiring, store, phase=_PHASE, split="heldout", questioner=trained, on_progress=tell)
        shutil.rmtree(folder / "train", ignore_errors=True)
        found: dict[str, Sequence[Probe]] = {}
        for name, path in transfer.targets.items():
            phase = _PHASE
            if str(path) != config.target.model:
                phase = f"{_PHASE}.transfer.{name}"
                other = Wiring(config).with_target(dataclasses.replace(config.target, model=str(path)))
                followups.transfer(other, store, source=_PHASE, phase=phase, on_progress=tell)
            found[name] = list(store.probes(phase))
    return found


def _asked(store: SqliteStore, config: Config) -> bool:
    """Whether the frozen questioner has asked all that it is to ask, so that it is needed no more."""
    last = max((one.step for one in store.steps(_PHASE)), default=-1)
    return (last + 1) * config.sweep.batch_size >= config.sweep.n


def _measured(probes: Sequence[Probe]) -> dict[str, Any]:
    made = rates(probes, np.random.default_rng(0))
    return {
        "fdr": kept_rate(made.fdr),
        "valid_rate": kept_rate(made.valid),
        "failure_rate": kept_rate(made.failure),
        "n_probes": made.n_probes,
        "n_images": made.n_images,
    }


def shared_modes(own: str, answered: Mapping[str, Sequence[Probe]], wiring: Wiring) -> dict[str, Any]:
    """The failure modes of a questioner's own target, and which other targets have them (`analysis/transfer.py`), as
    plain data. `reason` says why no mode was looked for, None where some were."""
    probes = answered[own]
    images = {image.id: image for probe in probes for image in probe.images}
    pictures = conditions(measure_all(wiring.source, images.values(), {}, wiring.object_sizes))
    search = find_modes(tabulate(probes, wiring.annotator, pictures, grounder=wiring.grounder))
    others = {name: some for name, some in answered.items() if name != own}
    found = transfers(
        [mode for mode in search.modes if mode.held_up],
        probes,
        lambda some: items_by_probe(some, wiring.annotator, pictures, wiring.grounder),
        others,
    )
    return {"reason": search.reason, "modes": [dataclasses.asdict(one) for one in found]}

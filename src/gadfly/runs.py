"""A run's life: its folder and store, attempts, training and sweeps, resume. Knows the parts only through wiring.

A run folder holds config.json (the resolved configuration), store.sqlite (every probe), train/ (checkpoints,
metrics.jsonl), questioner/ (the trained one) and pictures/.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import gadfly
from gadfly.config import Config, from_dict
from gadfly.counts import Counts, Metric
from gadfly.errors import ConfigError, GadflyError, StoreError
from gadfly.store.sqlite import STORE_NAME, SqliteStore
from gadfly.wiring import Wiring

CONFIG_NAME = "config.json"
TRAINED = "questioner"
RECORDED_PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "sentence-transformers", "numpy", "pillow")

OnStep = Callable[[int, int, Mapping[str, Metric]], None]
OnSweep = Callable[[int, int, Counts], None]


def folder_of(config: Config) -> Path:
    """Where a run lives: out/name."""
    return Path(config.out) / config.name


@contextmanager
def opened(config: Config, *, resume: bool) -> Iterator[SqliteStore]:
    """The run's store, made new or taken up again.

    Raises StoreError where the run is there already and `resume` was not asked for, or the other way round, and
    ConfigError where a resumed run was begun under another configuration (it names the differences).
    """
    folder = folder_of(config)
    exists = (folder / STORE_NAME).exists()
    if exists and not resume:
        raise StoreError(f"{folder} holds a run already; --resume goes on with it, another --name starts a new one")
    if resume and not exists:
        raise StoreError(f"{folder} holds no run to resume; leave --resume out to start it")
    if exists:
        store = SqliteStore.open(folder)
        differences = list(_differences(store.run.config, _as_stored(config)))
        if differences:
            store.close()
            raise ConfigError(f"{folder} was begun under another configuration: {'; '.join(differences)}")
    else:
        store = SqliteStore.create(folder, config.name, _as_stored(config), versions(), config.seed)
        (folder / CONFIG_NAME).write_text(json.dumps(_as_stored(config), indent=2) + "\n", encoding="utf-8")
    try:
        with store:
            yield store
    except GadflyError:
        if not exists:
            _remove_if_empty(folder)
        raise


def config_of(run: Path) -> Config:
    """The configuration that a run was begun with. Raises StoreError where there is no run."""
    with SqliteStore.open(run, read_only=True) as store:
        return from_dict(store.run.config)


def train(wiring: Wiring, store: SqliteStore, *, resume: bool, on_sft_step: OnStep, on_step: OnStep) -> Path:
    """Train the questioner; returns the folder of the trained one. Whatever ends it early, what is stored stays."""
    from gadfly.train.checkpoints import resume_step
    from gadfly.train.grpo import PHASE
    from gadfly.train.method import train as train_by_method

    config, folder = wiring.config, folder_of(wiring.config)
    pairs = wiring.sft_pairs()
    first_step = resume_step(folder, config.train.num_iterations) if resume else 0
    with _attempt(store, PHASE, first_step) as attempt:
        reward = wiring.reward()
        # Only what stands below the checkpoint is current now: the attempt has superseded the rest.
        reward.remember(store.valid_questions(PHASE, config.reward.window))
        return train_by_method(
            config.train,
            sampling=wiring.questioner_sampling,
            seed=config.seed,
            images=wiring.images("train"),
            pairs=pairs,
            open_image=wiring.source.open,
            prompt_chat=wiring.prompt_chat,
            questioner_path=config.questioner.model,
            probing=wiring.probing(store, reward),
            run_dir=folder,
            attempt=attempt,
            resume=resume,
            on_sft_step=on_sft_step,
            on_step=on_step,
        )


def sweep(
    wiring: Wiring,
    store: SqliteStore,
    *,
    phase: str = "sweep",
    split: str = "train",
    questioner: Path | None = None,
    on_progress: OnSweep | None = None,
) -> Counts:
    """Ask `config.sweep.n` questions with a frozen questioner; goes on where an earlier attempt of the phase ended.

    The novelty terms of a sweep are scored against the sweep's own history.
    """
    from gadfly.sweep import sweep as ask_all

    config = wiring.config
    steps = store.steps(phase)
    first_step = max((s.step for s in steps), default=-1) + 1
    done = Counts.of(p.verdict for p in store.probes(phase))
    if first_step * config.sweep.batch_size >= config.sweep.n:
        return done
    with _attempt(store, phase, first_step) as attempt:
        reward = wiring.reward()
        reward.remember(store.valid_questions(phase, config.reward.window))
        return done + ask_all(
            wiring.images(split),
            wiring.questioner(questioner),
            wiring.probing(store, reward),
            n=config.sweep.n,
            batch=config.sweep.batch_size,
            seed=config.seed,
            phase=phase,
            attempt=attempt,
            first_step=first_step,
            on_progress=on_progress,
        )


def versions() -> dict[str, str]:
    """What the run was made with: Python, Gadfly, and the libraries that can change a result."""
    found = {"python": platform.python_version(), "gadfly": gadfly.__version__}
    for package in RECORDED_PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


@contextmanager
def _attempt(store: SqliteStore, phase: str, first_step: int) -> Iterator[int]:
    """One sitting of a phase, ended in the store however it ends here."""
    attempt = store.begin_attempt(phase, first_step)
    try:
        yield attempt
    except KeyboardInterrupt:
        store.end_attempt(attempt, "interrupted")
        raise
    except BaseException as fault:
        store.end_attempt(attempt, f"failed: {type(fault).__name__}")
        raise
    store.end_attempt(attempt, "finished")


def _remove_if_empty(folder: Path) -> None:
    """Take a run back that failed before its first probe, so that the same command can be given again once the cause
    is mended."""
    with SqliteStore.open(folder, read_only=True) as store:
        began = any(store.counts(include_superseded=True).values())
    if not began:
        for path in (*folder.glob("store.*"), folder / CONFIG_NAME):
            path.unlink(missing_ok=True)
        if not any(folder.iterdir()):
            folder.rmdir()


def _as_stored(config: Config) -> dict[str, Any]:
    """The configuration as JSON gives it back: lists for tuples."""
    stored: dict[str, Any] = json.loads(json.dumps(config.to_dict()))
    return stored


def _differences(then: Mapping[str, Any], now: Mapping[str, Any], where: str = "") -> Iterator[str]:
    for key in sorted({*then, *now}):
        before, after = then.get(key), now.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from _differences(before, after, f"{where}{key}.")
        elif before != after:
            yield f"{where}{key} was {before!r} and is now {after!r}"

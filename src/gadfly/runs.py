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
from gadfly.records import Verdict
from gadfly.store.sqlite import LOCK_NAME, STORE_NAME, SqliteStore
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
    """The run's store, made new or taken up again. A new run that fails for a reason that the user can mend (a missing
    checkpoint, say) before anything was made leaves no folder behind, so that the mended command can be given again.

    Raises StoreError where the run is there already and `resume` was not asked for, or the other way round, or where
    the folder holds something else, and ConfigError where a resumed run was begun under another configuration (it
    names the differences).
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
        _check_unused(folder)
        store = SqliteStore.create(folder, config.name, _as_stored(config), versions(), config.seed)
        (folder / CONFIG_NAME).write_text(json.dumps(_as_stored(config), indent=2) + "\n", encoding="utf-8")
    try:
        with store:
            yield store
    except GadflyError:
        if not exists:
            _remove_if_nothing_was_made(folder)
        raise


def config_of(run: Path) -> Config:
    """The configuration that a run was begun with. Raises StoreError where there is no run."""
    with SqliteStore.open(run, read_only=True) as store:
        return from_dict(store.run.config)


def train(wiring: Wiring, store: SqliteStore, *, resume: bool, on_sft_step: OnStep, on_step: OnStep) -> Path:
    """Train the questioner; returns the folder of the trained one. Whatever ends it early, what is stored stays.
    A training that had ended is not begun anew."""
    from gadfly.train.checkpoints import resume_step
    from gadfly.train.grpo import PHASE
    from gadfly.train.method import train as train_by_method

    config, folder = wiring.config, folder_of(wiring.config)
    by_rl = config.train.method != "sft"
    first_step = resume_step(folder, config.train.num_iterations) if resume else 0
    if resume and (folder / TRAINED).exists() and (first_step >= config.train.steps or not by_rl):
        return folder / TRAINED
    # What can be found wanting is built before the attempt begins; SFT needs neither target nor verifier.
    trainee, images, pairs = wiring.trainee, wiring.images("train"), wiring.sft_pairs()
    probing = wiring.probing(store, wiring.reward()) if by_rl else None
    with _attempt(store, PHASE, first_step) as attempt:
        if probing is not None:
            # Only what stands below the checkpoint is current now: the attempt has superseded the rest.
            probing.reward.remember(store.valid_questions(PHASE, config.reward.window))
        return train_by_method(
            config.train,
            sampling=wiring.questioner_sampling,
            seed=config.seed,
            images=images,
            pairs=pairs,
            open_image=wiring.source.open,
            prompt_chat=wiring.prompt_chat,
            questioner_path=trainee,
            probing=probing,
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
    split: str | None = None,
    questioner: Path | None = None,
    on_progress: OnSweep | None = None,
) -> Counts:
    """Ask `config.sweep.n` questions with a frozen questioner; goes on where an earlier attempt of the phase ended.

    `split` and `questioner` stand in for those of the configuration. Novelty is scored against the phase's own
    history. The counts, those given to `on_progress` too, are of the whole phase.
    """
    from gadfly.sweep import sweep as ask_all

    config = wiring.config
    # A step is whole once its metrics are there; probes without them are made again, and superseded.
    first_step = max((s.step for s in store.steps(phase)), default=-1) + 1
    if first_step * config.sweep.batch_size >= config.sweep.n:
        return _counts(store, phase)
    images, asker, reward = wiring.images(split or config.sweep.split), wiring.questioner(questioner), wiring.reward()
    probing = wiring.probing(store, reward)
    with _attempt(store, phase, first_step) as attempt:
        done = _counts(store, phase)
        reward.remember(store.valid_questions(phase, config.reward.window))
        return done + ask_all(
            images,
            asker,
            probing,
            n=config.sweep.n,
            batch=config.sweep.batch_size,
            seed=config.seed,
            phase=phase,
            attempt=attempt,
            first_step=first_step,
            on_progress=None if on_progress is None else lambda n, total, c: on_progress(n, total, done + c),
        )


def rejudge(
    wiring: Wiring, store: SqliteStore, *, source: str, phase: str, on_progress: OnSweep | None = None
) -> Counts:
    """Judge the stored answers of the phase `source` with the configured verifier, without asking the target. The
    judgements are a phase of their own, which is gone on with if it was broken off.

    Raises StoreError where there is nothing to judge, or where `phase` is there already and is anything else.
    """
    return _replay(wiring, store, "rejudged", source, phase, on_progress)


def null(wiring: Wiring, store: SqliteStore, *, source: str, phase: str, on_progress: OnSweep | None = None) -> Counts:
    """Put the questions of the phase `source` to the verifier in the target's place, and have it judge its own answers:
    the noise floor of WRONG. Kept and resumed as by `rejudge`."""
    return _replay(wiring, store, "null", source, phase, on_progress)


def _replay(
    wiring: Wiring, store: SqliteStore, kind: str, source: str, phase: str, on_progress: OnSweep | None
) -> Counts:
    from gadfly.probing import Probing
    from gadfly.replay import RecordedTarget, replay

    probes = list(store.probes(source))
    if not probes:
        raise StoreError(f"the phase {source!r} has no probes to judge; name another phase, as RUN:PHASE")
    own = wiring.null_target if kind == "null" else None
    probing = Probing(own or RecordedTarget(()), wiring.verifier, wiring.reward(), store, str)
    store.begin_replay(phase, kind, source, _as_stored(wiring.config)["verifier"])
    first_step = max((s.step for s in store.steps(phase)), default=-1) + 1
    if first_step > max(probe.key.step for probe in probes):
        return _counts(store, phase)
    with _attempt(store, phase, first_step) as attempt:
        done = _counts(store, phase)
        probing.reward.remember(store.valid_questions(phase, wiring.config.reward.window))
        return done + replay(
            probes,
            probing,
            lambda some: own or RecordedTarget(some),
            phase=phase,
            attempt=attempt,
            first_step=first_step,
            on_progress=None if on_progress is None else lambda n, total, c: on_progress(n, total, done + c),
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


def _counts(store: SqliteStore, phase: str) -> Counts:
    """The verdicts of a phase, superseded probes left out."""
    n = store.counts(phase)
    return Counts(n[Verdict.RIGHT], n[Verdict.WRONG], n[Verdict.INVALID], n[Verdict.UNDECIDED])


_OURS = (STORE_NAME, f"{STORE_NAME}-wal", f"{STORE_NAME}-shm", f"{STORE_NAME}.new", LOCK_NAME, CONFIG_NAME)


def _check_unused(folder: Path) -> None:
    """Raise StoreError where something else lives in the folder: a run must not spread among other files."""
    if folder.exists() and (not folder.is_dir() or {path.name for path in folder.iterdir()} - set(_OURS)):
        raise StoreError(f"{folder} is there already and is not a run; give another --name or --out")


def _remove_if_nothing_was_made(folder: Path) -> None:
    """Take a run back that failed before its first probe and its first weights."""
    with SqliteStore.open(folder, read_only=True) as store:
        made = any(store.counts(include_superseded=True).values())
    if made or any(path.is_file() for path in (folder / "train").rglob("*")) or (folder / TRAINED).exists():
        return
    for name in _OURS:
        (folder / name).unlink(missing_ok=True)
    for path in (*sorted((folder / "train").rglob("*"), reverse=True), folder / "train", folder):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def _as_stored(config: Config) -> dict[str, Any]:
    """The configuration as JSON gives it back: lists for tuples."""
    stored: dict[str, Any] = json.loads(json.dumps(config.to_dict()))
    return stored


def _differences(then: Mapping[str, Any], now: Mapping[str, Any], where: str = "") -> Iterator[str]:
    for key in sorted({*then, *now}):
        if not where and key in ("name", "out"):  # where the run lies, and by which way it was reached
            continue
        before, after = then.get(key), now.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from _differences(before, after, f"{where}{key}.")
        elif before != after:
            yield f"{where}{key} was {before!r} and is now {after!r}"

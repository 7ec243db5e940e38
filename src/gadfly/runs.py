"""A run's life: its folder and store, attempts, training and sweeps, resume. Knows the parts only through wiring.

A run folder holds config.json (the resolved configuration), images.jsonl (the images that the run is about, in
order), store.sqlite (every probe), train/ (checkpoints, metrics.jsonl), questioner/ (the trained one), pictures/ and
findings/ (what `gadfly analyze` wrote).
"""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from itertools import groupby
from pathlib import Path
from typing import Any, final

import gadfly
from gadfly.config import Config, from_dict
from gadfly.counts import Counts, Metric
from gadfly.errors import BudgetSpent, ConfigError, GadflyError, ImageError, StoreError
from gadfly.models.ledger import Ledger
from gadfly.records import Image, Probe, Verdict
from gadfly.store.file import LOCK_NAME, STORE_NAME
from gadfly.store.sqlite import SqliteStore
from gadfly.wiring import Wiring

CONFIG_NAME = "config.json"
IMAGES_NAME = "images.jsonl"
TRAINED = "questioner"
AT_LIMIT = "limit: "
"""How the outcome of an attempt begins that a limit has ended; what follows says which."""
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
        try:
            _check_same(store, config, folder)
        except ConfigError:
            store.close()
            raise
    else:
        _check_unused(folder)
        store = SqliteStore.create(folder, config.name, as_stored(config), versions(), config.seed)
    try:
        with store:
            if not (folder / CONFIG_NAME).exists():  # a copy for people; a kill may have come between the two
                _write_whole(folder / CONFIG_NAME, json.dumps(store.run.config, indent=2) + "\n")
            yield store
    except GadflyError:
        if not exists:
            _remove_if_nothing_was_made(folder)
        raise


def config_of(run: Path) -> Config:
    """The configuration that a run was begun with. Raises StoreError where there is no run."""
    with SqliteStore.open(run, read_only=True) as store:
        return from_dict(store.run.config)


def train(
    wiring: Wiring,
    store: SqliteStore,
    *,
    resume: bool,
    on_sft_step: OnStep | None = None,
    on_step: OnStep | None = None,
) -> Path:
    """Train the questioner; returns the folder of the trained one. Whatever ends it early, what is stored stays.
    A training that had ended is not begun anew."""
    from gadfly.train.checkpoints import resume_step
    from gadfly.train.grpo import PHASE
    from gadfly.train.method import train as train_by_method
    from gadfly.train.placement import settle

    config, folder = wiring.config, folder_of(wiring.config)
    if config.train.method == "sft_own":
        return _train_on_own_failures(wiring, store, resume, on_sft_step, on_step)
    by_rl = config.train.method != "sft"
    first_step = resume_step(folder, config.train.num_iterations) if resume else 0
    if resume and (folder / TRAINED).exists() and (first_step >= config.train.steps or not by_rl):
        return folder / TRAINED
    # What can be found wanting is built before the attempt begins; SFT needs neither target nor verifier.
    trainee, placed = wiring.trainee, settle(config.train, config.questioner)
    images, pairs = _images(wiring, "train"), wiring.sft_pairs()
    probing = wiring.probing(UsageKept(store, wiring.ledger), wiring.reward()) if by_rl else None
    with sitting(store, PHASE, first_step, wiring.ledger) as attempt:
        if probing is not None:
            # Only what stands below the checkpoint is current now: the attempt has superseded the rest.
            probing.reward.remember(store.valid_questions(PHASE, config.reward.remembered))
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
            placed=placed,
            attempt=attempt,
            resume=resume,
            on_sft_step=on_sft_step,
            on_step=on_step,
        )


def _train_on_own_failures(
    wiring: Wiring, store: SqliteStore, resume: bool, on_sft_step: OnStep | None, on_step: OnStep | None
) -> Path:
    from gadfly.analysis.thinning import thinned
    from gadfly.sweep import sweep as ask_all
    from gadfly.train.grpo import PHASE
    from gadfly.train.own_failures import train_on_own_failures
    from gadfly.train.placement import settle

    config, folder = wiring.config, folder_of(wiring.config)
    per_step, steps = config.train.probes_per_step, config.train.steps
    first_step = max((s.step for s in store.steps(PHASE)), default=-1) + 1
    if first_step >= steps and (folder / TRAINED).exists():
        return folder / TRAINED
    trainee, placed = wiring.trainee, settle(config.train, config.questioner)
    images, reward = _images(wiring, "train"), wiring.reward()
    probing = wiring.probing(UsageKept(store, wiring.ledger), reward)

    def failures(before: int) -> list[tuple[Image, str]]:
        wrong = [probe for probe in store.probes(PHASE, verdict=Verdict.WRONG) if probe.key.step < before]
        kept = thinned(wrong, config.train.sft.most_per_combination, config.seed)
        return [(probe.images[0], probe.question) for probe in kept]

    with sitting(store, PHASE, first_step, wiring.ledger) as attempt:
        reward.remember(store.valid_questions(PHASE, config.reward.remembered))
        if resume and first_step < steps:
            # What an earlier sitting left when it reached a limit knows fewer failures than this one will.
            shutil.rmtree(folder / TRAINED, ignore_errors=True)

        def ask(questioner: str | Path, first: int, n_steps: int) -> None:
            ask_all(
                images,
                wiring.questioner(questioner),
                probing,
                n=steps * per_step,
                batch=per_step,
                seed=config.seed,
                phase=PHASE,
                attempt=attempt,
                first_step=first,
                steps=n_steps,
                on_progress=None if on_step is None else lambda n, _, c: on_step(n // per_step, steps, {"fdr": c.fdr}),
            )

        return train_on_own_failures(
            config.train,
            seed=config.seed,
            first_step=first_step,
            ask=ask,
            failures=failures,
            open_image=wiring.source.open,
            prompt_chat=wiring.prompt_chat,
            questioner_path=trainee,
            run_dir=folder,
            placed=placed,
            on_sft_step=on_sft_step,
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
        return counts_of(store, phase)
    images, reward = _images(wiring, split or config.sweep.split), wiring.reward()
    learner = wiring.learner(questioner)
    asker = wiring.questioner(questioner) if learner is None else learner
    probing = wiring.probing(UsageKept(store, wiring.ledger), reward)
    with sitting(store, phase, first_step, wiring.ledger) as attempt:
        done = counts_of(store, phase)
        reward.remember(store.valid_questions(phase, config.reward.remembered))
        if learner is not None:
            for _, probes in groupby(store.probes(phase), key=lambda probe: probe.key.step):
                learner.learn_from(list(probes))
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
            learner=learner,
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
def sitting(store: SqliteStore, phase: str, first_step: int, ledger: Ledger) -> Iterator[int]:
    """One sitting of a phase, ended in the store however it ends here, with what its models were used for."""
    ledger.begin([used for _, by_role in store.usages() for used in by_role.items()], store.seconds())
    attempt = store.begin_attempt(phase, first_step)
    outcome = "finished"
    try:
        yield attempt
    except KeyboardInterrupt:
        outcome = "interrupted"
        raise
    except BudgetSpent as spent:
        outcome = f"{AT_LIMIT}{spent}"
        raise
    except BaseException as fault:
        outcome = f"failed: {type(fault).__name__}"
        raise
    finally:
        store.set_usage(attempt, ledger.usages())
        store.end_attempt(attempt, outcome)


@final
class UsageKept:
    """A ProbeStore that writes, beside the metrics of each step, what the models have been used for so far: a process
    that is killed loses at most a step of it."""

    def __init__(self, store: SqliteStore, ledger: Ledger) -> None:
        self._store = store
        self._ledger = ledger

    def add(self, probes: Sequence[Probe]) -> None:
        self._store.add(probes)

    def add_step(self, phase: str, attempt: int, step: int, metrics: Mapping[str, Any]) -> None:
        self._store.add_step(phase, attempt, step, metrics)
        self._store.set_usage(attempt, self._ledger.usages())


def _images(wiring: Wiring, split: str) -> list[Image]:
    """The images of a part, in the order in which the run first saw them: what is asked about at which step must not
    change with the folder. An image is known by its hash, so it may be renamed and moved; one that was added later is
    no part of the run. Raises ImageError where one is gone.
    """
    file, source = folder_of(wiring.config) / IMAGES_NAME, wiring.source
    if not file.exists():
        _write_whole(file, "".join(json.dumps({"id": image.id, "path": image.path}) + "\n" for image in source))
    within, by_id = {image.id for image in wiring.images(split)}, {image.id: image for image in source}
    recorded = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    gone = [image["path"] for image in recorded if image["id"] not in by_id]
    if gone:
        raise ImageError(
            f"{len(gone)} of the {len(recorded)} images that the run was begun with are no more in "
            f"{wiring.config.images.path}, {gone[0]} among them; put them back, under any name, or start a new run"
        )
    return [by_id[image["id"]] for image in recorded if image["id"] in within]


def _write_whole(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all."""
    partial = path.with_name(path.name + ".new")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def counts_of(store: SqliteStore, phase: str) -> Counts:
    """The verdicts of a phase, superseded probes left out."""
    n = store.counts(phase)
    return Counts(n[Verdict.RIGHT], n[Verdict.WRONG], n[Verdict.INVALID], n[Verdict.UNDECIDED])


_OURS = frozenset(
    f"{name}{suffix}"
    for name in (STORE_NAME, LOCK_NAME, CONFIG_NAME, IMAGES_NAME)
    for suffix in ("", ".new", ".new-journal", "-journal", "-wal", "-shm")
)
"""What a run that was killed before its first probe may leave in its folder."""


def _check_unused(folder: Path) -> None:
    """Raise StoreError where something else lives in the folder: a run must not spread among other files."""
    if folder.exists() and (not folder.is_dir() or {path.name for path in folder.iterdir()} - _OURS):
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


def as_stored(config: Config) -> dict[str, Any]:
    """The configuration as JSON gives it back: lists for tuples."""
    stored: dict[str, Any] = json.loads(json.dumps(config.to_dict()))
    return stored


def _check_same(store: SqliteStore, config: Config, folder: Path) -> None:
    """Raise ConfigError where a run was begun under another configuration. What is new since it was begun has its
    default there."""
    differences = list(_differences(as_stored(from_dict(store.run.config)), as_stored(config)))
    if differences:
        raise ConfigError(f"{folder} was begun under another configuration: {'; '.join(differences)}")


_BESIDES_RESULTS = (
    *("key_env", "max_concurrency", "timeout_s", "retries"),
    *("price_prompt", "price_completion", "price_call"),
)
"""What may change of a model in a resume: how it is reached and what it costs. So may where the run lies, its limits (a
run that reached one goes on with a higher one) and the cache."""


def _differences(then: Mapping[str, Any], now: Mapping[str, Any], where: str = "") -> Iterator[str]:
    for key in sorted({*then, *now}):
        if key in (_BESIDES_RESULTS if where else ("name", "out", "limits", "cache")):
            continue
        before, after = then.get(key), now.get(key)
        if key == "base_url" and before and after:  # the server may have moved; what it serves is under the same name
            continue
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from _differences(before, after, f"{where}{key}.")
        elif before != after:
            yield f"{where}{key} was {before!r} and is now {after!r}"

"""One search: a method with a budget of calls of the target, on one organism with one seed. Measures nothing.

All calls of the target count: those of training, of what is fine-tuned on, and those that a reward makes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from gadfly import run_folder, runs
from gadfly.bench.found import Stretch
from gadfly.bench.grid import OnProgress
from gadfly.bench.methods import Method
from gadfly.config import Config, from_dict, override
from gadfly.errors import BudgetSpent, ConfigError
from gadfly.models.ledger import TARGET
from gadfly.store.sqlite import SqliteStore
from gadfly.testbed.album import render
from gadfly.testbed.recipe import demo_settings
from gadfly.wiring import Wiring

N_IMAGES = 600
COLLECT, MAIN = "collect", "run"
_SPARE = 4.0
"""More steps than the budget needs if every question took a call: those that repeat or cannot be read take none."""


def images_of(out: Path, seed: int) -> Path:
    """The images of a seed, drawn unless they are there. All methods ask about the same."""
    folder = out / f"images-{seed}"
    if not folder.exists():
        partial = out / f"images-{seed}.{os.getpid()}"  # another worker may draw them too
        shutil.rmtree(partial, ignore_errors=True)
        render(partial, n=N_IMAGES, split="probe", seed=seed)
        try:
            partial.rename(folder)
        except OSError:
            if not folder.exists():
                raise
            shutil.rmtree(partial)
    return folder


def config_of(method: Method, target: Path, images: Path, out: Path, seed: int, calls: int) -> Config:
    """The configuration of a search with `calls` calls of the target."""
    base = demo_settings(images, out, steps=1, seed=seed, heldout_share=0.0, n=1)
    # Topics are part of a way of asking: one that names them says so in its own settings.
    config = override(from_dict(base), {"questioner.focus": (), **method.settings, "target.model": str(target)})
    exact = config.train.method == "sft_own"  # its rounds divide its steps, and it hardly repeats itself
    most = round(calls * (1.0 if exact else _SPARE))
    steps = max(1, most // config.train.probes_per_step)
    return override(
        config,
        {
            "cache.max_bytes": 0,  # a call that the cache answered would count for nothing
            "limits.max_target_calls": calls,
            "sweep.n": most,
            "train.steps": steps,
        },
    )


def check(methods: Iterable[Method]) -> None:
    """Raises ConfigError for a setting that no run has, before hours are spent on others."""
    for method in methods:
        try:
            config_of(method, Path("target"), Path("images"), Path("out"), seed=0, calls=1000)
        except ConfigError as fault:
            raise ConfigError(f"{method.name}: {fault}") from fault


def search(
    method: Method,
    target: Path,
    images: Path,
    out: Path,
    seed: int,
    calls: int,
    on_progress: OnProgress | None = None,
    *,
    keep_weights: bool = False,
) -> list[Stretch]:
    """Spend `calls` calls of the target; what was asked, in its order. `out` is a folder of this search alone, made
    anew; the trained questioner stays in it if it is wanted. `on_progress` gets (done, in all) of what is under way.
    Up to a step's calls are left over, since a step that would pass the limit is not begun. Raises ConfigError where
    not one step can be had of them, and where nothing was WRONG that could be fine-tuned on."""
    shutil.rmtree(out, ignore_errors=True)
    stretches = []
    settings: dict[str, Any] = {}
    if method.plan.startswith("collect"):
        collecting = config_of(method, target, images, out, seed, round(calls * method.collect))
        # Nobody looks at how novel these are.
        collecting = override(collecting, {"name": COLLECT, "train.method": "rl", "reward.embedder": "hash"})
        stretches += _swept(collecting, on_progress)
        calls -= sum(stretch.calls for stretch in stretches)
        settings["train.sft.data"] = str(out / COLLECT)
    config = override(config_of(method, target, images, out, seed, calls), settings)
    match method.plan:
        case "sweep":
            stretches += _swept(config, on_progress)
        case "collect, sweep":
            stretches += _swept(override(config, {"train.method": "sft"}), on_progress, tune=True)
        case "train" | "collect, train":
            stretches += _trained(config, on_progress)
        case "train, sweep" | "collect, train, sweep":
            stretches += _trained_to_sweep(config, round(calls * method.train), on_progress)
    if not keep_weights:  # the probes are what is kept
        drop_weights(out / MAIN)
    if not any(stretch.probes for stretch in stretches):
        raise ConfigError(f"the calls were spent before the first step of {method.title} was done; give more --calls")
    return stretches


def drop_weights(run: Path) -> None:
    """Delete the checkpoints of a run, the trained questioner among them."""
    for weights in ("train", run_folder.TRAINED):
        shutil.rmtree(run / weights, ignore_errors=True)


def _swept(config: Config, on_progress: OnProgress | None, *, tune: bool = False) -> list[Stretch]:
    with run_folder.opened(config, resume=False) as store, suppress(BudgetSpent):
        tuned = runs.train(Wiring(config), store, resume=False) if tune else None
        runs.sweep(
            Wiring(config),
            store,
            split="train",
            questioner=tuned,
            on_progress=_told(on_progress, config, per=1),
        )
    return _stretches(config)


def _trained(config: Config, on_progress: OnProgress | None) -> list[Stretch]:
    with run_folder.opened(config, resume=False) as store, suppress(BudgetSpent):
        runs.train(
            Wiring(config),
            store,
            resume=False,
            on_step=_told(on_progress, config, per=config.train.probes_per_step),
        )
    return _stretches(config)


def _trained_to_sweep(config: Config, calls: int, on_progress: OnProgress | None) -> list[Stretch]:
    """Trained with `calls` of the calls or a step less, but with one step at least, then asked with for the rest."""
    wanted = config.limits.max_target_calls
    assert wanted is not None
    training = override(config, {"limits.max_target_calls": max(calls, config.train.probes_per_step)})
    spent = sum(stretch.calls for stretch in _trained(training, on_progress))
    with run_folder.opened(training, resume=True) as store, suppress(BudgetSpent):
        runs.sweep(
            Wiring(config),  # what the training took counts against its limit
            store,
            split="train",
            questioner=run_folder.folder_of(config) / run_folder.TRAINED,
            on_progress=_told(on_progress, config, per=1, spent=spent),
        )
    return _stretches(config)


def _told(
    on_progress: OnProgress | None, config: Config, per: int, spent: int = 0
) -> Callable[[int, int, object], None] | None:
    """Tells how far the budget is spent, if each of `per` probes of a step takes a call, after `spent` before them."""
    wanted = config.limits.max_target_calls
    if on_progress is None or wanted is None:
        return None
    return lambda done, _, __: on_progress(min(wanted, spent + done * per), wanted)


def _stretches(config: Config) -> list[Stretch]:
    """The phases of a run in the order in which they were begun, each with the calls of the target it took."""
    with SqliteStore.open(run_folder.folder_of(config), read_only=True) as store:
        used = sorted(store.usages(), key=lambda one: one[0].attempt)
        calls: dict[str, int] = {}
        for attempt, by_role in used:
            calls[attempt.phase] = calls.get(attempt.phase, 0) + (by_role[TARGET].calls if TARGET in by_role else 0)
        return [Stretch(list(store.probes(phase)), n) for phase, n in calls.items() if n]

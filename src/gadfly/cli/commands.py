"""`gadfly run` and `gadfly sweep`: options to a configuration, a call, and what comes of it printed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gadfly.cli.options import configure
from gadfly.cli.output import Bar, progress, remark

if TYPE_CHECKING:
    from gadfly.config import Config
    from gadfly.images.folder import FolderSource
    from gadfly.store.sqlite import SqliteStore
    from gadfly.wiring import Wiring

MAX_SKIPPED_SHOWN = 10

ConfigFile = Annotated[Path | None, typer.Argument(help="A TOML file; the options below override it.")]
Images = Annotated[str | None, typer.Option(help="Folder of images.")]
TargetModel = Annotated[str | None, typer.Option("--target", help="Model under test: a folder or a hub id.")]
QuestionerModel = Annotated[str | None, typer.Option("--questioner", help="Model that asks: a folder or a hub id.")]
SweepQuestioner = Annotated[
    str | None, typer.Option("--questioner", help="Who asks: a folder, a hub id, or uniform (testbed images only).")
]
VerifierName = Annotated[
    str | None, typer.Option("--verifier", help="Who judges: oracle, reference:PAIRS.jsonl, or a model.")
]
TargetUrl = Annotated[
    str | None,
    typer.Option(help="Server of the target, such as http://127.0.0.1:8000/v1; --target is the model's name there."),
]
QuestionerUrl = Annotated[str | None, typer.Option(help="Server of the questioner, likewise.")]
VerifierUrl = Annotated[str | None, typer.Option(help="Server of the verifier, likewise.")]
MaxCalls = Annotated[int | None, typer.Option(help="End after so many calls of models, cached ones not counted.")]
MaxCost = Annotated[float | None, typer.Option(help="End at this cost, in the currency of the prices in the settings.")]
MaxTime = Annotated[float | None, typer.Option(help="End after so many seconds.")]
Name = Annotated[str | None, typer.Option(help="Name of the run; its folder is OUT/NAME.")]
Out = Annotated[str | None, typer.Option(help="Folder of the runs.")]
Seed = Annotated[int | None, typer.Option(help="Seed of everything random in the run.")]
Focus = Annotated[str | None, typer.Option(help="A topic for the questioner to ask about.")]
Settings = Annotated[list[str] | None, typer.Option("--set", help="Any setting: --set train.steps=100. Repeatable.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with a run that was broken off.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


def run(
    config_file: ConfigFile = None,
    images: Images = None,
    target: TargetModel = None,
    questioner: QuestionerModel = None,
    verifier: VerifierName = None,
    name: Name = None,
    out: Out = None,
    seed: Seed = None,
    focus: Focus = None,
    steps: Annotated[int | None, typer.Option(help="Training steps.")] = None,
    target_url: TargetUrl = None,
    verifier_url: VerifierUrl = None,
    max_calls: MaxCalls = None,
    max_cost: MaxCost = None,
    max_time: MaxTime = None,
    settings: Settings = None,
    resume: Resume = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Train a questioner to find what the target gets wrong, and say what it found."""
    more = {"train.steps": steps, **served_and_limited(target_url, None, verifier_url, max_calls, max_cost, max_time)}
    config = configure(config_file, images, target, questioner, verifier, name, out, seed, focus, settings, more)
    from gadfly.config_checks import refuse_served_trainee

    refuse_served_trainee(config)  # before anything is read or loaded
    if dry_run:
        from gadfly.cli.plan import say_plan

        say_plan(config, "train", as_json)
        return
    from gadfly import runs
    from gadfly.cli.findings import finish, training_line

    with begun(config, resume, "training") as (wiring, store, bar):
        runs.train(
            wiring,
            store,
            resume=resume,
            on_sft_step=lambda done, total, m: bar.update(done, total, title="fine-tuning"),
            on_step=lambda done, total, m: bar.update(done, total, training_line(m), "training"),
        )
    finish(wiring, "train", as_json)


def sweep(
    config_file: ConfigFile = None,
    images: Images = None,
    target: TargetModel = None,
    questioner: SweepQuestioner = None,
    verifier: VerifierName = None,
    name: Name = None,
    out: Out = None,
    seed: Seed = None,
    focus: Focus = None,
    n: Annotated[int | None, typer.Option("--n", help="How many questions.")] = None,
    split: Annotated[str | None, typer.Option(help="Which images: train or heldout.")] = None,
    target_url: TargetUrl = None,
    questioner_url: QuestionerUrl = None,
    verifier_url: VerifierUrl = None,
    max_calls: MaxCalls = None,
    max_cost: MaxCost = None,
    max_time: MaxTime = None,
    settings: Settings = None,
    resume: Resume = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Ask with a given questioner, without training it."""
    limited = served_and_limited(target_url, questioner_url, verifier_url, max_calls, max_cost, max_time)
    more = {"sweep.n": n, "sweep.split": split, **limited}
    config = configure(config_file, images, target, questioner, verifier, name, out, seed, focus, settings, more)
    if dry_run:
        from gadfly.cli.plan import say_plan

        say_plan(config, "sweep", as_json)
        return
    from gadfly import runs
    from gadfly.cli.findings import finish, sweep_line

    with begun(config, resume, "asking") as (wiring, store, bar):
        runs.sweep(
            wiring,
            store,
            on_progress=lambda done, total, counts: bar.update(done, total, sweep_line(counts), "asking"),
        )
    finish(wiring, "sweep", as_json)


def served_and_limited(
    target_url: str | None,
    questioner_url: str | None,
    verifier_url: str | None,
    max_calls: int | None,
    max_cost: float | None,
    max_time: float | None,
) -> dict[str, Any]:
    """The settings that these options stand for."""
    urls = {"target.base_url": target_url, "questioner.base_url": questioner_url, "verifier.base_url": verifier_url}
    return {**urls, "limits.max_calls": max_calls, "limits.max_cost": max_cost, "limits.max_seconds": max_time}


@contextmanager
def begun(config: Config, resume: bool, title: str) -> Iterator[tuple[Wiring, SqliteStore, Bar]]:
    """A run with its folder read, its store open, and a bar. Ctrl-C is passed on with a word on what is kept; a limit
    that is reached ends what is within, and the command goes on to its tables."""
    from gadfly import runs
    from gadfly.errors import BudgetSpent
    from gadfly.wiring import Wiring

    wiring = Wiring(config, lambda done, total: reading.update(done, total))
    with progress("reading images", passing=True) as reading:
        source = wiring.source
    say_skipped(source)
    try:
        with runs.opened(config, resume=resume) as store, progress(title) as bar:
            warn_of_one_model_for_two(config)
            with suppress(BudgetSpent):  # the tables say it, as the store has it
                yield wiring, store, bar
    except KeyboardInterrupt:
        folder = runs.folder_of(config)
        raise KeyboardInterrupt(f"; what was stored is kept in {folder}, and --resume goes on from there") from None


def say_skipped(source: FolderSource) -> None:
    """Name the files that were left out, on standard error: the first ten, and how many more."""
    for skipped in source.skipped[:MAX_SKIPPED_SHOWN]:
        remark(f"left out {skipped.path}: {skipped.reason}")
    if len(source.skipped) > MAX_SKIPPED_SHOWN:
        remark(f"and {len(source.skipped) - MAX_SKIPPED_SHOWN} more; --dry-run lists them all")


def warn_of_one_model_for_two(config: Config) -> None:
    from gadfly.config_checks import ONE_MODEL_FOR_TWO, judges_itself

    if judges_itself(config):
        remark(ONE_MODEL_FOR_TWO)

"""`gadfly run` and `gadfly sweep`: options to a configuration, a call, and what comes of it printed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gadfly.cli.options import configure, limits, roles, servers
from gadfly.cli.output import Bar, progress
from gadfly.cli.parameters import (
    AnyQuestioner,
    AsJson,
    ConfigFile,
    DryRun,
    Focus,
    Images,
    MaxCalls,
    MaxCost,
    MaxTime,
    Name,
    Out,
    QuestionerModel,
    QuestionerUrl,
    Resume,
    Seed,
    Settings,
    TargetModel,
    TargetUrl,
    VerifierName,
    VerifierUrl,
    unset,
)
from gadfly.cli.remarks import say_skipped, warn_of_one_model_for_two

if TYPE_CHECKING:
    from gadfly.config import Config
    from gadfly.store.sqlite import SqliteStore
    from gadfly.wiring import Wiring


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
    steps: Annotated[int | None, typer.Option(help="Training steps.", show_default=unset(150))] = None,
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
    """Train a questioner to find what the target gets wrong. It ends with a table of what was found."""
    given = {
        **roles(images, target, questioner, verifier),
        **servers(target=target_url, verifier=verifier_url),
        **limits(max_calls, max_cost, max_time),
        "name": name,
        "out": out,
        "seed": seed,
        "questioner.focus": focus,
        "train.steps": steps,
    }
    config = configure(config_file, settings, given)
    from gadfly.config_checks import refuse_served_trainee

    refuse_served_trainee(config)  # before anything is read or loaded
    if dry_run:
        from gadfly.cli.plan import say_plan

        say_plan(config, "train", as_json)
        return
    from gadfly import runs
    from gadfly.cli.summary import finish, training_line

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
    questioner: AnyQuestioner = None,
    verifier: VerifierName = None,
    name: Name = None,
    out: Out = None,
    seed: Seed = None,
    focus: Focus = None,
    n: Annotated[int | None, typer.Option("--n", help="How many questions.", show_default=unset(1000))] = None,
    split: Annotated[
        Literal["train", "heldout"] | None,
        typer.Option(help="Which part of the images.", show_default=unset("train")),
    ] = None,
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
    given = {
        **roles(images, target, questioner, verifier),
        **servers(target_url, questioner_url, verifier_url),
        **limits(max_calls, max_cost, max_time),
        "name": name,
        "out": out,
        "seed": seed,
        "questioner.focus": focus,
        "sweep.n": n,
        "sweep.split": split,
    }
    config = configure(config_file, settings, given)
    if dry_run:
        from gadfly.cli.plan import say_plan

        say_plan(config, "sweep", as_json)
        return
    from gadfly import runs
    from gadfly.cli.summary import finish, sweep_line

    with begun(config, resume, "asking") as (wiring, store, bar):
        runs.sweep(
            wiring,
            store,
            on_progress=lambda done, total, counts: bar.update(done, total, sweep_line(counts), "asking"),
        )
    finish(wiring, "sweep", as_json)


@contextmanager
def begun(config: Config, resume: bool, title: str) -> Iterator[tuple[Wiring, SqliteStore, Bar]]:
    """A run with its folder read, its store open, and a bar. Ctrl-C is passed on with a word on what is kept; a limit
    that is reached ends what is within, and the command goes on to its tables."""
    from gadfly import run_folder
    from gadfly.errors import BudgetSpent
    from gadfly.wiring import Wiring

    wiring = Wiring(config, lambda done, total: reading.update(done, total))
    with progress("reading images", passing=True) as reading:
        source = wiring.source
    say_skipped(source)
    try:
        with run_folder.opened(config, resume=resume) as store, progress(title) as bar:
            warn_of_one_model_for_two(config)
            with suppress(BudgetSpent):  # the tables say it, as the store has it
                yield wiring, store, bar
    except KeyboardInterrupt:
        folder = run_folder.folder_of(config)
        raise KeyboardInterrupt(f"; what was stored is kept in {folder}, and --resume goes on from there") from None

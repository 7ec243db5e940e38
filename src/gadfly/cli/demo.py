"""`gadfly demo`: the main job from end to end on bundled images and models, in minutes on two cores."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gadfly.cli.output import Bar, print_json, progress, remark, say
from gadfly.cli.parameters import AsJson
from gadfly.errors import StoreError
from gadfly.plain_data import as_plain

if TYPE_CHECKING:
    from gadfly.records import Probe
    from gadfly.store.sqlite import SqliteStore
    from gadfly.wiring import Wiring

N_IMAGES = 1600
HELDOUT_SHARE = 0.25
N_MEASURED = 512


def demo(
    out: Annotated[Path, typer.Option(help="Folder for images and run.")] = Path("runs/demo"),
    steps: Annotated[int, typer.Option(min=1, help="Training steps of 128 questions.")] = 240,
    seed: Annotated[int, typer.Option(help="Seed of images and training.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a demo that was broken off.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train a questioner against a bundled model. It ends with what that model gets wrong, as tables and as a
    report."""
    import torch

    from gadfly import run_folder
    from gadfly.analysis.bootstrap import bootstrap_rng
    from gadfly.analysis.comparison import compared
    from gadfly.cli.rate_tables import print_combinations, print_compared, print_summary
    from gadfly.cli.report import build as build_report
    from gadfly.cli.summary import draw_pictures, summarise_over
    from gadfly.config import from_dict
    from gadfly.testbed.recipe import demo_settings
    from gadfly.wiring import Wiring

    torch.set_num_threads(1)  # models so small gain nothing by a second one, and beside other work lose tenfold by it
    images, tell = out / "images", remark if as_json else say
    began = (out / "run").exists()
    if began and not resume:
        raise StoreError(f"{out} holds a demo already; --resume goes on with it, another --out starts a new one")
    if not images.exists():
        tell("1. Drawing images whose content is known exactly, a quarter of them kept for measuring.")
        with progress("drawing") as bar:
            _draw(images, seed, bar)
    config = from_dict(demo_settings(images, out, steps=steps, seed=seed, heldout_share=HELDOUT_SHARE, n=N_MEASURED))
    wiring, run = Wiring(config), run_folder.folder_of(config)
    with _said_what_is_kept(out), run_folder.opened(config, resume=began) as store:
        tell("2. Asking about the kept images with the questioner as it is.")
        before = _asked(wiring, store, "before", None)
        tell("3. Training the questioner: what the target answers wrongly pays, and so does what is new.")
        trained = _trained(wiring, store, resume=began)
        tell("4. Asking about the kept images again, with the trained questioner.")
        after = _asked(wiring, store, "after", trained)
        everything = list(store.probes("train"))
        pictures = draw_pictures(wiring, everything, store)
    found, summary = compared({"before": before, "after": after}, bootstrap_rng()), summarise_over(everything, before)
    if not as_json:
        say()
        print_compared(found, {})
        say()
        say("Found while training", style="bold")
        print_summary(summary)
        print_combinations(everything)
        say()
        say(f"The run is in {run}. Three pictures of it:")
        for path in pictures:
            say(f"  {path}")
    tell("5. Looking for what the wrong answers have in common, and writing the report.")
    built = build_report([str(run)], None, None)
    if as_json:
        files = {"run": str(run), "questioner": str(trained), "report": str(built.index)}
        made = {**files, "pictures": [str(path) for path in pictures]}
        print_json({**made, "compared": as_plain(found), "training": as_plain(summary)})
        return
    say()
    say(f"The report: open {built.index} in a browser.", style="bold")


def _draw(images: Path, seed: int, bar: Bar) -> None:
    """The folder is there whole or not at all: without its last file the oracle could judge nothing."""
    from gadfly.testbed.album import render

    partial = images.with_name("images.partial")
    if partial.exists():
        shutil.rmtree(partial)
    render(partial, n=N_IMAGES, split="probe", seed=seed, on_progress=lambda done: bar.update(done, N_IMAGES))
    partial.rename(images)


def _asked(wiring: Wiring, store: SqliteStore, phase: str, questioner: Path | None) -> list[Probe]:
    """What a questioner (None is the one as it came) asks about the images that were kept."""
    from gadfly import runs
    from gadfly.cli.summary import sweep_line

    with progress("asking") as bar:
        runs.sweep(
            wiring,
            store,
            phase=phase,
            split="heldout",
            questioner=questioner,
            on_progress=lambda done, total, counts: bar.update(done, total, sweep_line(counts)),
        )
    return list(store.probes(phase))


def _trained(wiring: Wiring, store: SqliteStore, *, resume: bool) -> Path:
    from gadfly import runs
    from gadfly.cli.summary import training_line

    with progress("training") as bar:
        return runs.train(
            wiring,
            store,
            resume=resume,
            on_step=lambda done, total, metrics: bar.update(done, total, training_line(metrics)),
        )


@contextmanager
def _said_what_is_kept(out: Path) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"; what was done is kept in {out}, and `gadfly demo --resume` goes on") from None

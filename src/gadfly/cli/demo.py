"""`gadfly demo`: the main job from end to end on bundled images and models, in minutes on two cores."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from gadfly.cli.output import Bar, progress, say
from gadfly.errors import StoreError

N_IMAGES = 600
HELDOUT_SHARE = 0.25
N_MEASURED = 512


def demo(
    out: Annotated[Path, typer.Option(help="Folder for images and run.")] = Path("runs/demo"),
    steps: Annotated[int, typer.Option(min=1, help="Training steps of 128 questions.")] = 240,
    seed: Annotated[int, typer.Option(help="Seed of images and training.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a demo that was broken off.")] = False,
) -> None:
    """Train a questioner against a bundled model and show what that model gets wrong."""
    from gadfly import run_folder, runs
    from gadfly.cli.rate_tables import print_combinations, print_comparison, print_summary
    from gadfly.cli.report import build as build_report
    from gadfly.cli.summary import draw_pictures, summarise_over, sweep_line, training_line
    from gadfly.config import from_dict
    from gadfly.testbed.recipe import demo_settings
    from gadfly.wiring import Wiring

    images = out / "images"
    began = (out / "run").exists()
    if began and not resume:
        raise StoreError(f"{out} holds a demo already; --resume goes on with it, another --out starts a new one")
    if not images.exists():
        say("1. Drawing images whose content is known exactly, a quarter of them kept for measuring.")
        with progress("drawing") as bar:
            _draw(images, seed, bar)
    config = from_dict(demo_settings(images, out, steps=steps, seed=seed, heldout_share=HELDOUT_SHARE, n=N_MEASURED))
    wiring = Wiring(config)
    with _said_what_is_kept(out), run_folder.opened(config, resume=began) as store:
        say("2. Asking about the kept images with the questioner as it is.")
        with progress("asking") as bar:
            runs.sweep(
                wiring,
                store,
                phase="before",
                split="heldout",
                on_progress=lambda done, total, r: bar.update(done, total, sweep_line(r)),
            )
        say("3. Training the questioner: what the target answers wrongly pays, and so does what is new.")
        with progress("training") as bar:
            trained = runs.train(
                wiring,
                store,
                resume=began,
                on_step=lambda done, total, m: bar.update(done, total, training_line(m)),
            )
        say("4. Asking about the kept images again, with the trained questioner.")
        with progress("asking") as bar:
            runs.sweep(
                wiring,
                store,
                phase="after",
                split="heldout",
                questioner=trained,
                on_progress=lambda done, total, r: bar.update(done, total, sweep_line(r)),
            )
        phases = {name: list(store.probes(name)) for name in ("before", "after")}
        say()
        print_comparison(phases, as_json=False)
        everything = list(store.probes("train"))
        say()
        say("Found while training", style="bold")
        print_summary(summarise_over(everything, phases["before"]))
        print_combinations(everything)
        say()
        say(f"The run is in {run_folder.folder_of(config)}. Three pictures of it:")
        for path in draw_pictures(wiring, everything, store):
            say(f"  {path}")
    say("5. Looking for what the wrong answers have in common, and writing the report.")
    built = build_report([str(run_folder.folder_of(config))], None, None)
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


@contextmanager
def _said_what_is_kept(out: Path) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"; what was done is kept in {out}, and `gadfly demo --resume` goes on") from None

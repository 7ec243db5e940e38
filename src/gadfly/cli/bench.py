"""`gadfly bench …`: ways of asking side by side, questioners put to other targets, each setting by itself."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from gadfly.cli.output import as_plain, print_json, progress, say, table
from gadfly.cli.parameters import AsJson

app = typer.Typer(help="Ways of asking, measured on models with planted blind spots.", no_args_is_help=True)

QUICK_CALLS, QUICK_UNIFORM, QUICK_S = 384, 2000, 8 * 60.0
"""The quick look: calls, fresh probes, and seconds after which no cell is begun, so that ten minutes are kept."""
QUICK_STEPS, QUICK_ASKED = 8, 256
"""Of the other benchmarks' quick looks: training steps, and questions that a frozen questioner asks."""


@app.command()
def discovery(
    out: Annotated[Path, typer.Option(help="Folder for cells, table and figure.")] = Path("runs/discovery"),
    method: Annotated[list[str] | None, typer.Option(help="Which methods; all if left out. Repeatable.")] = None,
    organism: Annotated[
        list[str] | None, typer.Option(help="Which targets: bundled names, or folders with a key beside. Repeatable.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, from 0 on.")] = 5,
    calls: Annotated[int, typer.Option(min=64, help="Calls of the target in each cell.")] = 5000,
    settings: Annotated[
        Path | None, typer.Option(help="How the methods are set up; the shipped file if left out.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A first look in ten minutes: organism a, one seed, few calls.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Find failures by every method at the same number of calls of the target, and count what holds up. Each method,
    organism and seed is a cell of its own, kept in OUT/cells; the command goes on where it was broken off."""
    import numpy as np

    from gadfly.bench.figure import draw_discovery
    from gadfly.bench.grid import Grid, run_grid
    from gadfly.bench.methods import SETTINGS, chosen, read_methods
    from gadfly.bench.standings import curves, standings
    from gadfly.bench.standings_text import TABLES, as_markdown, columns_of, rows_of, sentences

    began = time.monotonic()
    methods = read_methods(settings or SETTINGS)
    wanted = chosen(methods, method or [])
    if quick:
        grid = Grid(out, wanted, organism or ["a"], [0], QUICK_CALLS, QUICK_UNIFORM)
    else:
        grid = Grid(out, wanted, organism or ["a", "b", "c"], range(seeds), calls)
    with progress("cells") as bar:
        cells = run_grid(
            grid,
            lambda done, total, name: bar.update(done, total, name),
            until_s=began + QUICK_S if quick else None,
        )
    standing = standings(cells, methods, np.random.default_rng(0))
    (out / "table.md").write_text(as_markdown(standing, methods), encoding="utf-8")
    ours = {one.title for one in methods.values() if one.ours}
    figure = draw_discovery(curves(cells, methods), ours, out / "discovery.png")
    if as_json:
        print_json({"standings": as_plain(standing), "cells": str(out / "cells"), "figure": str(figure)})
        return
    for title, keys in TABLES.items():
        columns = columns_of(keys)
        table(f"{title} (means)", columns, rows_of(standing, methods, keys), numeric=columns[1:])
        say()
    for sentence in sentences(standing, methods):
        say(sentence)
    _say_unbegun(len(list(grid.cells())), len(cells), "cells")
    say(f"The tables are in {out / 'table.md'}, the figure in {figure}.")


@app.command()
def transfer(
    out: Annotated[Path, typer.Option(help="Folder for cells, table and figure.")] = Path("runs/transfer"),
    target: Annotated[
        list[str] | None,
        typer.Option(help="Bundled names or folders; all bundled targets if left out. Repeatable."),
    ] = None,
    questioner: Annotated[
        list[str] | None,
        typer.Option(help="Bundled names or folders; all bundled questioners if left out. Repeatable."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, from 0 on.")] = 1,
    steps: Annotated[int, typer.Option(min=1, help="Training steps of 128 questions.")] = 120,
    n: Annotated[int, typer.Option("--n", min=1, help="Questions that each questioner asks of all targets.")] = 2000,
    quick: Annotated[
        bool, typer.Option("--quick", help="A first look in ten minutes: one seed, few steps, few questions.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train a questioner against each target, and put what it asks then to all of them: whether what was learned about
    one is of use for another, and which failure modes they share. Each pair is a cell of its own, kept in OUT/cells;
    the command goes on where it was broken off."""
    from gadfly.bench import transfer_text as text
    from gadfly.bench.heatmap import draw_heatmap
    from gadfly.bench.making import checkpoint_folders
    from gadfly.bench.transfer import QUESTIONERS, TARGETS, Transfer, run_transfer
    from gadfly.bench.transfer_table import matrix, reached
    from gadfly.testbed.checkpoints import is_bundled

    began = time.monotonic()
    named = (target or TARGETS, questioner or QUESTIONERS)
    usual = {*(() if target else TARGETS), *(() if questioner else QUESTIONERS)}
    missing = sorted(name for name in usual if not is_bundled(name))
    targets, questioners = (checkpoint_folders(one for one in names if one not in missing) for names in named)
    if quick:
        grid = Transfer(out, targets, questioners, [0], QUICK_STEPS, QUICK_ASKED)
    else:
        grid = Transfer(out, targets, questioners, range(seeds), steps, n)
    with progress("questioners") as bar:
        cells, modes = run_transfer(
            grid,
            lambda done, total, name: bar.update(done, total, name),
            until_s=began + QUICK_S if quick else None,
        )
    made, found = matrix(cells), reached(modes)
    out.mkdir(parents=True, exist_ok=True)
    (out / "table.md").write_text(text.as_markdown(made, found, missing), encoding="utf-8")
    figure = draw_heatmap(made, out / "transfer.png")
    if as_json:
        print_json({"cells": as_plain(cells), "modes": as_plain(modes), "missing": missing, "figure": str(figure)})
        return
    for title, columns, rows in text.tables_of(made, found):
        table(title, columns, rows, numeric=[name for name in columns[1:] if not name.endswith("ones")])
        say()
    for sentence in text.sentences(made, missing):
        say(sentence)
    _say_unbegun(len(list(grid.rows())), len(cells) // len(targets), "questioners")
    say(f"The tables are in {out / 'table.md'}, the figure in {figure}.")


@app.command()
def ablations(
    out: Annotated[Path, typer.Option(help="Folder for cells, tables and figure.")] = Path("runs/ablations"),
    only: Annotated[
        list[str] | None,
        typer.Option(help="Rows or factors by name, beside the default; all if left out. Repeatable."),
    ] = None,
    organism: Annotated[
        list[str] | None, typer.Option(help="Which targets: bundled names, or folders with a key beside. Repeatable.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, from 0 on.")] = 3,
    calls: Annotated[int, typer.Option(min=256, help="Calls of the target that each training takes.")] = 15000,
    n: Annotated[int, typer.Option("--n", min=1, help="Questions on held-out images before and after.")] = 1024,
    settings: Annotated[Path | None, typer.Option(help="What is varied; the shipped file if left out.")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A first look in ten minutes: one seed, few calls, as many rows as fit.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Change one setting at a time, and see what becomes of what is found: reward terms, window, groups, neighbours,
    KL, entropy, LoRA, SFT first, scaling, and a verifier that errs. Each row, organism and seed is a cell of its own,
    kept in OUT/cells; the command goes on where it was broken off."""
    import numpy as np

    from gadfly.bench import ablation_text as text
    from gadfly.bench.ablating import Ablations, run_ablations
    from gadfly.bench.ablation_figure import draw_ablations
    from gadfly.bench.ablation_table import ablation_table
    from gadfly.bench.ablations import SETTINGS, chosen, read_ablations

    began = time.monotonic()
    rows = read_ablations(settings or SETTINGS)
    wanted = chosen(rows, only or [])
    if quick:
        grid = Ablations(out, wanted, organism or ["a"], [0], QUICK_CALLS, QUICK_ASKED, QUICK_UNIFORM)
    else:
        grid = Ablations(out, wanted, organism or ["a"], range(seeds), calls, n)
    with progress("cells") as bar:
        cells = run_ablations(
            grid,
            lambda done, total, name: bar.update(done, total, name),
            until_s=began + QUICK_S if quick else None,
        )
    made = ablation_table(cells, rows, np.random.default_rng(0))
    out.mkdir(parents=True, exist_ok=True)
    (out / "table.md").write_text(text.as_markdown(made, list(rows.values())), encoding="utf-8")
    figure = draw_ablations(made, out / "ablations.png")
    if as_json:
        print_json({"table": as_plain(made), "cells": str(out / "cells"), "figure": str(figure)})
        return
    for title, columns, shown in text.tables_of(made):
        table(title, columns, shown, numeric=[name for name in columns if name not in ("factor", "row", "verifier")])
        say()
    for sentence in text.sentences(made, list(rows.values())):
        say(sentence)
    _say_unbegun(len(list(grid.cells())), len(cells), "cells")
    say(f"The tables are in {out / 'table.md'}, the figure in {figure}.")


def _say_unbegun(n_wanted: int, n_made: int, what: str) -> None:
    if n_made < n_wanted:
        say(f"{n_wanted - n_made} of {n_wanted} {what} were not begun in time; the same command goes on with them.")

"""`gadfly bench …`: ways of asking side by side, at the same number of calls of the target, on organisms."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from gadfly.cli.commands import AsJson
from gadfly.cli.output import as_plain, print_json, progress, say, table

app = typer.Typer(help="Ways of asking, side by side, on models with planted blind spots.", no_args_is_help=True)

QUICK_CALLS, QUICK_UNIFORM, QUICK_S = 384, 2000, 8 * 60.0
"""The quick look: calls, fresh probes, and seconds after which no cell is begun, so that ten minutes are kept."""


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
    n_wanted = len(list(grid.cells()))
    if len(cells) < n_wanted:
        say(f"{n_wanted - len(cells)} of {n_wanted} cells were not begun in time; the same command goes on with them.")
    say(f"The tables are in {out / 'table.md'}, the figure in {figure}.")

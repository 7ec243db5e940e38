"""`gadfly bench …`: ways of asking side by side, questioners put to other targets, each setting by itself."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gadfly.cli.output import Bar, complain, print_json, progress, say, table
from gadfly.cli.parameters import AsJson
from gadfly.errors import ConfigError
from gadfly.plain_data import as_plain

if TYPE_CHECKING:
    from gadfly.bench.grid import Filled, Grid, OnCell, OnProgress
    from gadfly.bench.tables import Table

app = typer.Typer(help="Ways of asking, measured on models with planted blind spots.", no_args_is_help=True)

QUICK_CALLS, QUICK_UNIFORM, QUICK_MINUTES = 320, 1000, 8.0
"""The quick look: calls, fresh probes, and minutes after which no cell is begun, so that ten are kept."""
QUICK_STEPS, QUICK_ASKED = 8, 256
"""Of the other benchmarks' quick looks: training steps, and questions that a frozen questioner asks."""

Organisms = Annotated[
    list[str] | None,
    typer.Option("--organism", help="Which targets: bundled names, or folders with a key beside. Repeatable."),
]
Seeds = Annotated[int, typer.Option(min=1, help="How many seeds, from 0 on.")]
Workers = Annotated[
    int, typer.Option(min=1, help="Cells at a time, each in a process of its own with one thread and about 2 GB.")
]
Minutes = Annotated[
    float | None,
    typer.Option(min=0, help="Begin nothing new after so many; 0 makes the tables of what there is, and no more."),
]
SettingsFile = Annotated[Path | None, typer.Option("--settings", help="Another settings file than the shipped one.")]


@app.command()
def discovery(
    out: Annotated[Path, typer.Option(help="Folder for cells, tables and figure.")] = Path("runs/discovery"),
    method: Annotated[list[str] | None, typer.Option(help="Which methods; all if left out. Repeatable.")] = None,
    organism: Organisms = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="How many seeds, from 0 on.", show_default="5; quick 1")
    ] = None,
    calls: Annotated[
        int | None, typer.Option(min=64, help="Calls of the target in each cell.", show_default="5000; quick 320")
    ] = None,
    settings: SettingsFile = None,
    workers: Workers = 1,
    minutes: Minutes = None,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="A first look in ten minutes: organism a, one seed, few calls, unless they are said."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare ways of asking at equal numbers of calls. Failures are found by every method at the same number of calls
    of the target, and what holds up is counted. Each method, organism and seed is a cell of its own, kept in OUT/cells;
    the command goes on where it was broken off."""
    from gadfly.bench import standings_text as text
    from gadfly.bench.comparing import Comparison
    from gadfly.bench.fresh import N_UNIFORM
    from gadfly.bench.grid import filled
    from gadfly.bench.methods import SETTINGS, chosen, read_methods
    from gadfly.bench.search import check
    from gadfly.bench.standings import curves, standings
    from gadfly.bench.standings_figure import draw_discovery

    until_s = _until(minutes, quick)
    methods = read_methods(settings or SETTINGS)
    wanted = chosen(methods, method or [])
    check(wanted)
    if quick:
        size = (organism or ["a"], range(seeds or 1), calls or QUICK_CALLS, QUICK_UNIFORM)
    else:
        size = (organism or ["a", "b", "c"], range(seeds or 5), calls or 5000, N_UNIFORM)
    comparison = Comparison(out, wanted, *size)
    with progress("cells") as bar:
        found = filled(comparison, *_telling(bar), until_s, workers)
    cells = found.cells
    made = standings(cells, methods)
    ours = {one.title for one in methods.values() if one.ours}
    figure = draw_discovery(curves(cells, methods), ours, out / "discovery.png")
    _tell(
        out,
        text.tables_of(made, methods),
        [*text.sentences(made, methods), *_unmade(comparison.grid, found)],
        figure,
        {"standings": as_plain(made), **_of_cells(out, found)} if as_json else None,
    )
    _fail_where_broken(found)


@app.command()
def tune(
    out: Annotated[Path, typer.Option(help="Folder for cells, table and tuning.json.")] = Path("runs/tuning"),
    method: Annotated[list[str] | None, typer.Option(help="Which methods; all if left out. Repeatable.")] = None,
    seeds: Seeds = 1,
    calls: Annotated[int, typer.Option(min=64, help="Calls of the target in each cell.")] = 5000,
    workers: Workers = 1,
    minutes: Minutes = None,
    as_json: AsJson = False,
) -> None:
    """Try settings, the same number for each way of asking. All trials are on organism a; what was tried, what came of
    it and what is chosen is OUT/tuning.json. Put into the package beside settings.toml, it is what the other benchmarks
    use. The command goes on where it was broken off."""
    from gadfly.bench import tuning_text as text
    from gadfly.bench.comparing import Comparison
    from gadfly.bench.grid import filled, keep
    from gadfly.bench.methods import chosen, read_methods
    from gadfly.bench.search import check
    from gadfly.bench.tuning import ORGANISM, read_trials, tuning

    methods = read_methods(tuned=None)
    wanted = [one.name for one in chosen(methods, method or [])]
    trials = {name: some for name, some in read_trials(methods).items() if name in wanted}
    if not trials:
        raise ConfigError(f"{', '.join(wanted)}: nothing of it can be set, so there is nothing to try")
    check(trial.method for some in trials.values() for trial in some)
    tried = Comparison(out, [one.method for some in trials.values() for one in some], [ORGANISM], range(seeds), calls)
    with progress("cells") as bar:
        found = filled(tried, *_telling(bar), _until(minutes), workers)
    made = tuning(found.cells, trials)
    keep(out / "tuning.json", made)
    said = [f"What is chosen is in {out / 'tuning.json'}.", *_unmade(tried.grid, found)]
    _tell(out, [text.table_of(made, methods)], said, None, {**made, **_of_cells(out, found)} if as_json else None)
    _fail_where_broken(found)


@app.command()
def transfer(
    out: Annotated[Path, typer.Option(help="Folder for cells, tables and figure.")] = Path("runs/transfer"),
    target: Annotated[
        list[str] | None,
        typer.Option(help="Bundled names or folders; all bundled targets if left out. Repeatable."),
    ] = None,
    questioner: Annotated[
        list[str] | None,
        typer.Option(help="Bundled names or folders; all bundled questioners if left out. Repeatable."),
    ] = None,
    seeds: Seeds = 1,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Training steps of 128 questions.", show_default="120; quick 8")
    ] = None,
    n: Annotated[
        int | None,
        typer.Option(
            "--n", min=1, help="Questions that each questioner asks of all targets.", show_default="2000; quick 256"
        ),
    ] = None,
    minutes: Minutes = None,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="A first look in ten minutes: few steps, few questions, unless they are said."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put questioners trained against one target to all. It says whether what was learned about one is of use for
    another, and which failure modes they share. Each pair is a cell of its own, kept in OUT/cells; the command goes on
    where it was broken off."""
    from gadfly.bench import transfer_text as text
    from gadfly.bench.making import checkpoint_folders
    from gadfly.bench.transfer import QUESTIONERS, TARGETS, Transfer, run_transfer
    from gadfly.bench.transfer_figure import draw_heatmap
    from gadfly.bench.transfer_table import matrix, reached

    until_s = _until(minutes, quick)
    targets, questioners = map(checkpoint_folders, (target or TARGETS, questioner or QUESTIONERS))
    usual_steps, usual_n = (QUICK_STEPS, QUICK_ASKED) if quick else (120, 2000)
    grid = Transfer(out, targets, questioners, range(seeds), steps or usual_steps, n or usual_n)
    with progress("questioners") as bar:
        cells, modes = run_transfer(grid, *_telling(bar), until_s)
    made, found = matrix(cells), reached(modes)
    figure = draw_heatmap(made, out / "transfer.png")
    n_done = len(cells) // len(targets)
    _tell(
        out,
        text.tables_of(made, found),
        [text.resting_on(made), *_unbegun(len(list(grid.rows())), n_done, "questioners")],
        figure,
        {"cells": as_plain(cells), "modes": as_plain(modes)} if as_json else None,
    )


@app.command()
def ablations(
    out: Annotated[Path, typer.Option(help="Folder for cells, tables and figure.")] = Path("runs/ablations"),
    only: Annotated[
        list[str] | None,
        typer.Option(help="Rows or factors by name, beside the default; all if left out. Repeatable."),
    ] = None,
    organism: Organisms = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="How many seeds, from 0 on.", show_default="3; quick 1")
    ] = None,
    calls: Annotated[
        int | None,
        typer.Option(min=256, help="Calls of the target that each training takes.", show_default="15000; quick 320"),
    ] = None,
    n: Annotated[
        int | None,
        typer.Option(
            "--n", min=1, help="Questions on held-out images before and after.", show_default="1024; quick 256"
        ),
    ] = None,
    settings: SettingsFile = None,
    workers: Workers = 1,
    minutes: Minutes = None,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            help="A first look in ten minutes: one seed, few calls, unless they are said; as many rows as fit.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Change one setting at a time, and see what becomes of it. What is changed: reward terms, window, groups,
    neighbours, KL, entropy, LoRA, SFT first, scaling, and a verifier that errs. Each row, organism and seed is a cell
    of its own, kept in OUT/cells; the command goes on where it was broken off."""
    from gadfly.bench import ablation_text as text
    from gadfly.bench.ablating import Ablations
    from gadfly.bench.ablation_figure import draw_ablations
    from gadfly.bench.ablation_table import ablation_table
    from gadfly.bench.ablations import SETTINGS, chosen, read_ablations
    from gadfly.bench.fresh import N_UNIFORM
    from gadfly.bench.grid import filled
    from gadfly.bench.search import check

    until_s = _until(minutes, quick)
    rows = read_ablations(settings or SETTINGS)
    wanted = chosen(rows, only or [])
    check(row.method for row in wanted)
    if quick:
        size = (range(seeds or 1), calls or QUICK_CALLS, n or QUICK_ASKED, QUICK_UNIFORM)
    else:
        size = (range(seeds or 3), calls or 15_000, n or 1024, N_UNIFORM)
    varied = Ablations(out, wanted, organism or ["a"], *size)
    with progress("cells") as bar:
        found = filled(varied, *_telling(bar), until_s, workers)
    made = ablation_table(found.cells, rows)
    figure = draw_ablations(made, out / "ablations.png")
    _tell(
        out,
        text.tables_of(made),
        [*text.sentences(made), *_unmade(varied.grid, found)],
        figure,
        {"table": as_plain(made), **_of_cells(out, found)} if as_json else None,
    )
    _fail_where_broken(found)


def _until(minutes: float | None, quick: bool = False) -> float | None:
    """The same on the clock of `time.monotonic`, which grids go by; a quick look has an end of its own."""
    if quick and minutes is None:
        minutes = QUICK_MINUTES
    return None if minutes is None else time.monotonic() + 60 * minutes


def _telling(bar: Bar) -> tuple[OnCell, OnProgress]:
    """What shows the cells that are done, and beside them which one is under way and how far."""
    at: tuple[int, int, str] = (0, 1, "")

    def begun(done: int, total: int, title: str) -> None:
        nonlocal at
        at = (done, total, title)
        bar.update(*at)

    def going_on(done: int, total: int) -> None:
        n_cells, of, title = at
        bar.update(n_cells, of, f"{title}: {done}/{total}")

    return begun, going_on


def _unmade(grid: Grid[Any], found: Filled) -> list[str]:
    broken = [f"{one.title} broke: {one.reason} ({one.file})." for one in found.broken]
    wanted = len(list(grid.places())) - len(broken)
    return broken + _unbegun(wanted, len(found.cells), "cells")


def _of_cells(out: Path, found: Filled) -> dict[str, Any]:
    return {"cells": str(out / "cells"), "broken": as_plain([(one.title, one.reason) for one in found.broken])}


def _fail_where_broken(found: Filled) -> None:
    """The tables stand, and yet the command has not done what it was asked for."""
    if found.broken:
        complain(f"{len(found.broken)} cells broke; the same command tries them again")
        raise typer.Exit(1)


def _unbegun(n_wanted: int, n_made: int, what: str) -> list[str]:
    if n_made == n_wanted:
        return []
    return [f"{n_wanted - n_made} of {n_wanted} {what} were not begun in time; the same command goes on with them."]


def _tell(
    out: Path, tables: Sequence[Table], sentences: Sequence[str], figure: Path | None, data: Mapping[str, Any] | None
) -> None:
    """Write OUT/table.md, and print the same; or `data` in its place as JSON, if there is any."""
    from gadfly.bench.tables import as_markdown

    written = out / "table.md"
    out.mkdir(parents=True, exist_ok=True)
    written.write_text(as_markdown(tables, sentences), encoding="utf-8")
    if data is not None:
        print_json({**data, "tables": str(written), "figure": None if figure is None else str(figure)})
        return
    for one in tables:
        table(one.title, one.columns, one.rows, numeric=one.numeric)
        say()
    for sentence in sentences:
        say(sentence)
    say(f"The tables are in {written}" + ("." if figure is None else f", the figure in {figure}."))

"""The `gadfly` command: its subcommands and what every one of them shares. Loads nothing heavy until a command runs."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

import gadfly
from gadfly.cli import commands, demo, testbed
from gadfly.cli.output import complain
from gadfly.errors import GadflyError

app = typer.Typer(
    name="gadfly",
    help="Find out what a vision-language model gets wrong on your own images.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("demo")(demo.demo)
app.command("run")(commands.run)
app.command("sweep")(commands.sweep)
app.command("compare")(commands.compare)
app.command("show")(commands.show)
app.add_typer(testbed.app, name="testbed")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"gadfly {gadfly.__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say it and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line. Status 2 and one line for what a user can mend, 130 after Ctrl-C."""
    # Read when the libraries load, which is later. Progress is ours to show, and a run calls nobody unasked.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        app()
    except GadflyError as fault:
        complain(str(fault))
        sys.exit(2)
    except KeyboardInterrupt:
        complain("interrupted; what was stored is kept, --resume goes on from there")
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)


if __name__ == "__main__":
    main()

"""The `gadfly` command: its subcommands and what every one of them shares. Loads nothing heavy until a command runs."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import gadfly
from gadfly.cli import (
    analyze,
    audit,
    bench,
    compare,
    confirm,
    demo,
    doctor,
    modes,
    rejudge,
    report,
    running,
    show,
    testbed,
    transfer,
    view,
)
from gadfly.cli.output import complain
from gadfly.errors import GadflyError

INTERRUPTED = 130  # 128 + SIGINT, as shells have it

_FULL = (errno.ENOSPC, errno.EDQUOT)

_USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]  # click's UsageError, wherever typer keeps its click


class _Commands(TyperGroup):
    """The group of all commands. Typer itself ends without a word on Ctrl-C; here it is said what is kept."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            complain(f"interrupted{stop}")
            raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    name="gadfly",
    cls=_Commands,
    help="Find out what a vision-language model gets wrong on your own images.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("demo")(demo.demo)
app.command("run")(running.run)
app.command("sweep")(running.sweep)
app.command("doctor")(doctor.doctor)
app.command("compare")(compare.compare)
app.command("show")(show.show)
app.command("analyze")(analyze.analyze)
app.command("modes")(modes.modes)
app.command("confirm")(confirm.confirm)
app.command("transfer")(transfer.transfer)
app.command("report")(report.report)
app.command("audit")(audit.audit)
app.command("rejudge")(rejudge.rejudge)
app.command("view")(view.view)
app.add_typer(testbed.app, name="testbed")
app.add_typer(bench.app, name="bench")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"gadfly {gadfly.__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line. Status 2 and one line for what a user can mend, a full disk or a folder that cannot be
    written to included; 130 after Ctrl-C."""
    # Read when the libraries load, which is later. Progress is ours to show, and a run calls nobody unasked.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character must not end a run
    try:
        status = app(prog_name="gadfly", standalone_mode=False)
    except GadflyError as fault:
        complain(str(fault))
        sys.exit(2)
    except OSError as fault:
        complain(_of_the_world(fault))
        sys.exit(2)
    except _USAGE_ERROR as fault:
        sys.exit(_misused(fault))
    sys.exit(status if isinstance(status, int) else 0)


def _of_the_world(fault: OSError) -> str:
    """What a fault of a disk, a file or a folder is, and what to do. Raises what names no file: that is one of ours."""
    if fault.errno in _FULL:
        return f"the disk is full ({fault}); free some space, and give --resume where a run was under way"
    if fault.filename is None:
        raise fault
    return f"{fault.filename} cannot be used ({fault.strerror}); see that its folder is there and can be written to"


def _misused(fault: Any) -> int:
    """Say in one line what is wrong with the command itself; without any command, the help."""
    message = fault.format_message()
    if "\n" in message.strip():
        typer.echo(message, err=True)
    else:
        command = fault.ctx.command_path if fault.ctx is not None else "gadfly"
        complain(f"{message.rstrip('.')}; `{command} --help` lists what there is")
    return 2

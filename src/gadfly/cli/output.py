"""How the command line prints: tables, rates with their intervals, progress with time left. Knows no computation.

Everything that a model wrote passes `plain` before it reaches a terminal: control characters could move the cursor,
and square brackets could be taken for markup.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table


class HasInterval(Protocol):
    """A rate as analysis gives it: None where there is no data."""

    @property
    def value(self) -> float | None: ...
    @property
    def low(self) -> float | None: ...
    @property
    def high(self) -> float | None: ...
    @property
    def n(self) -> int: ...


_LOG_WIDTH = 150  # of tables that go to a file or a pipe


def console() -> Console:
    """Standard output: as wide as the terminal, or wide enough for any table where it is none."""
    out = Console(highlight=False)
    return out if out.is_terminal else Console(highlight=False, width=_LOG_WIDTH)


def complain(message: str) -> None:
    """One line on standard error."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"[bold red]gadfly:[/] {escape(plain(message))}")


def remark(message: str) -> None:
    """One line on standard error that is no complaint."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"[dim]gadfly:[/] {escape(plain(message))}")


def plain(text: str, limit: int | None = None) -> str:
    """A text on one line without control, format and surrogate characters, cut to `limit` characters."""
    clean = "".join(" " if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") else c for c in text)
    clean = " ".join(clean.split())
    return clean if limit is None or len(clean) <= limit else clean[: limit - 1] + "…"


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[str] = ()) -> None:
    """Print a table; the columns named in `numeric` are aligned to the right."""
    shown = Table(title=title, title_justify="left", title_style="bold", header_style="dim", box=None, pad_edge=False)
    for column in columns:
        shown.add_column(column, justify="right" if column in numeric else "left", no_wrap=column in numeric)
    for row in rows:
        shown.add_row(*(escape(plain(cell)) for cell in row))
    console().print(shown)


def rate_text(rate: HasInterval) -> str:
    """`47.5% (44.1 to 50.9)`, or a dash where there is no data. n has a column of its own."""
    if rate.value is None:
        return "–"
    if rate.low is None or rate.high is None:
        return f"{rate.value:.1%}"
    return f"{rate.value:.1%} ({100 * rate.low:.1f} to {100 * rate.high:.1f})"


def print_json(data: Any) -> None:
    """On standard output, nothing else with it."""
    sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=True, allow_nan=False) + "\n")


class Bar:
    """One line of progress with time left."""

    def __init__(self, progress: Progress, title: str) -> None:
        self._progress = progress
        self._task = progress.add_task(title, total=None, said="")

    def update(self, done: int, total: int, said: str = "") -> None:
        self._progress.update(self._task, completed=done, total=total, said=said)


@contextmanager
def progress(title: str, quiet: bool = False) -> Iterator[Bar]:
    """A bar on standard error, so that standard output stays clean for --json. Where standard error is no terminal,
    a plain line is printed now and then."""
    terminal = Console(stderr=True, highlight=False)
    if not terminal.is_terminal and not quiet:
        yield _Lines(terminal, title)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[said]}"),
    )
    with Progress(*columns, console=terminal, disable=quiet) as bars:
        yield Bar(bars, title)


class _Lines(Bar):
    """Progress for logs: a line for every tenth of the way."""

    def __init__(self, terminal: Console, title: str) -> None:
        import time

        self._terminal, self._title, self._tenth = terminal, title, -1
        self._clock, self._began = time.monotonic, time.monotonic()

    def update(self, done: int, total: int, said: str = "") -> None:
        tenth = 10 * done // max(1, total)
        if tenth > self._tenth:
            self._tenth = tenth
            elapsed = self._clock() - self._began
            left = elapsed * (total - done) / done if done else 0.0
            self._terminal.print(
                f"{self._title}: {done}/{total}, {elapsed:.0f} s, about {left:.0f} s left  {said}", markup=False
            )

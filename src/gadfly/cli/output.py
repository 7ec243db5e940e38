"""How the command line prints: tables, progress with time left. Knows no computation.

Whatever a model or a file name brings along passes `plain` before it reaches a terminal, and is never read as markup:
control characters could move the cursor, square brackets could hide text, and `:words:` could turn into pictures.
rich loads when something is printed through it: it is a quarter of what `gadfly --help` would otherwise load.
"""

from __future__ import annotations

import json
import sys
import time
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, final

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

_LOG_WIDTH = 150  # of tables that go to a file or a pipe
_QUIET_S = 2.0  # what is over sooner needs no word about progress in a log
_SILENCE_S = 30.0  # no log stays without a word for longer, if there is anything to say
_SECONDS_SAY_LITTLE = 120.0  # a longer time is told in minutes or hours


def console() -> Console:
    """Standard output: as wide as the terminal, or wide enough for any table where it is none."""
    from rich.console import Console

    out = Console(highlight=False, emoji=False)
    return out if out.is_terminal else Console(highlight=False, emoji=False, width=_LOG_WIDTH)


def say(text: str = "", style: str = "") -> None:
    """A sentence on standard output, wrapped between words in a terminal. A path too long for the line is not cut."""
    from rich.text import Text

    out, words = console(), plain(text)
    whole = not out.is_terminal or any(len(word) > out.width for word in words.split())
    out.print(Text(words, style=style), soft_wrap=whole)


def complain(message: str) -> None:
    """One line on standard error."""
    _on_stderr(message, "bold red")


def remark(message: str) -> None:
    """One line on standard error that is no complaint."""
    _on_stderr(message, "dim")


def _on_stderr(message: str, style: str) -> None:
    from rich.console import Console
    from rich.text import Text

    line = Text.assemble(("gadfly:", style), " ", plain(message))
    Console(stderr=True, highlight=False, emoji=False).print(line, soft_wrap=True)


def plain(text: str, limit: int | None = None) -> str:
    """A text on one line without control, format and surrogate characters, cut to `limit` characters."""
    clean = "".join(" " if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") else c for c in text)
    clean = " ".join(clean.split())
    return clean if limit is None or len(clean) <= limit else clean[: limit - 1] + "…"


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[str] = ()) -> None:
    """Print a table; the columns named in `numeric` are aligned to the right. Only other ones are wrapped."""
    from rich.table import Table
    from rich.text import Text

    say(title, style="bold")
    shown = Table(header_style="dim", box=None, pad_edge=False)
    for column in columns:
        right = column in numeric
        shown.add_column(Text(plain(column)), justify="right" if right else "left", no_wrap=right, overflow="fold")
    for row in rows:
        shown.add_row(*(Text(plain(cell)) for cell in row))
    console().print(shown)


def print_json(data: Any) -> None:
    """On standard output, nothing else with it."""
    sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=True, allow_nan=False) + "\n")


class Bar(Protocol):
    """Where a command tells of its progress."""

    def update(self, done: int, total: int, said: str = "", title: str | None = None) -> None:
        """So much is done; `said` stands beside it. Another `title` begins another stage, with a clock of its own."""
        ...


@contextmanager
def progress(title: str, passing: bool = False) -> Iterator[Bar]:
    """Progress with time left on standard error, so that standard output stays clean for --json: a bar on a terminal
    (a passing one vanishes when it is done), elsewhere a plain line now and then."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    terminal = Console(stderr=True, highlight=False, emoji=False)
    if not terminal.is_terminal:
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
    with Progress(*columns, console=terminal, transient=passing) as bars:
        yield _TerminalBar(bars, title)


@final
class _TerminalBar:
    def __init__(self, bars: Progress, title: str) -> None:
        self._bars, self._title = bars, title
        self._task = bars.add_task(title, total=None, said="")

    def update(self, done: int, total: int, said: str = "", title: str | None = None) -> None:
        if title is not None and title != self._title:
            self._title = title
            self._bars.reset(self._task, description=title)
        self._bars.update(self._task, completed=done, total=total, said=said)


@final
class _Lines:
    """Progress for logs: a line for every tenth of the way, none for what is over in a moment. The time left is
    reckoned from the first word on: what is taken up again is not all done in this time."""

    def __init__(self, terminal: Console, title: str) -> None:
        self._terminal, self._title = terminal, title
        self._began = self._spoke = time.monotonic()
        self._tenth = 0
        self._first: tuple[int, float] | None = None

    def update(self, done: int, total: int, said: str = "", title: str | None = None) -> None:
        now = time.monotonic()
        if title is not None and title != self._title:
            self._title, self._began, self._spoke, self._tenth, self._first = title, now, now, 0, None
        there, since = self._first = self._first or (done, now)
        tenth = 10 * done // max(1, total)
        silence = now - self._spoke
        if silence < _QUIET_S or (tenth == self._tenth and silence < _SILENCE_S):
            return
        from rich.text import Text

        self._tenth, self._spoke = tenth, now
        left = ""
        if there < done < total:
            left = f", about {_span((now - since) * (total - done) / (done - there))} left"
        line = f"{self._title}: {done}/{total}, {_span(now - self._began)}{left}  {said}"
        self._terminal.print(Text(line.rstrip()), soft_wrap=True)


def _span(seconds: float) -> str:
    from gadfly.report.wording import duration

    return f"{seconds:.0f} s" if seconds < _SECONDS_SAY_LITTLE else duration(seconds)

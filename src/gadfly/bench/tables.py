"""A benchmark's tables as people read them, and a page of them as Markdown. Knows texts only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """The columns named in `numeric` hold numbers, the others words."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    numeric: tuple[str, ...]


def as_markdown(tables: Sequence[Table], sentences: Sequence[str]) -> str:
    """The tables, each under its title, and then the sentences."""
    lines = [line for table in tables for line in (*_heading(table.title), *_lines(table), "")]
    return "\n".join((*lines, *sentences)) + "\n"


def _heading(title: str) -> tuple[str, str]:
    return f"## {title[0].upper()}{title[1:]}", ""


def _lines(table: Table) -> list[str]:
    return [_line(table.columns), "|---" * len(table.columns) + "|", *map(_line, table.rows)]


def _line(cells: Sequence[str]) -> str:
    """A bar in a cell would end it, and is escaped."""
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"

"""Tables as Markdown. Knows texts only."""

from __future__ import annotations

from collections.abc import Sequence


def heading(title: str) -> list[str]:
    """A heading of the second level, and the line after it."""
    return [f"## {title[0].upper()}{title[1:]}", ""]


def lines_of(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table, a line for each row. A bar in a cell would end it, and is escaped."""
    return [_line(columns), "|---" * len(columns) + "|", *map(_line, rows)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"

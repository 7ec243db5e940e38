"""Numbers and untrusted texts as a reader sees them. Knows how things are written, not what they mean."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime

from gadfly.analysis.figures import HasInterval

NOTHING = "–"
MAX_TEXT = 2000
"""So many characters of a text are shown; the store has all of it."""


def percent(value: float | None) -> str:
    """49.2%"""
    return NOTHING if value is None else f"{value:.1%}"


def percent_interval(found: HasInterval) -> str:
    """47.8 to 50.5, in percent; a dash where there is none."""
    if found.low is None or found.high is None:
        return NOTHING
    return f"{100 * found.low:.1f} to {100 * found.high:.1f}"


def chance(q: float) -> str:
    """A small share: 0.8%, or that it is less than 0.1%."""
    return "less than 0.1%" if q < 0.001 else f"{q:.1%}"


def number(value: float | None, digits: int = 2) -> str:
    return NOTHING if value is None else f"{value:,.{digits}f}"


def interval(found: HasInterval, digits: int = 2) -> str:
    """1.90 to 2.10; a bound that cannot be had is said to be missing."""
    if found.low is None and found.high is None:
        return NOTHING
    if found.high is None:
        return f"at least {found.low:.{digits}f}"
    if found.low is None:
        return f"at most {found.high:.{digits}f}"
    return f"{found.low:.{digits}f} to {found.high:.{digits}f}"


def count(n: int | None) -> str:
    return NOTHING if n is None else f"{n:,}"


def duration(seconds: float) -> str:
    """In the largest two units: 1 h 12 min, 3 min 20 s, 4.2 s."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def moment(seconds: float | None) -> str:
    """A time of day in UTC."""
    return NOTHING if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def shown(text: str, limit: int = MAX_TEXT) -> str:
    """A text of a model or a file name as it can stand in a page: characters that HTML cannot hold, and those that
    only steer the direction of writing or hide, become a replacement character; cut where long, and that is said.
    It is not escaped yet: the template does that."""
    seen = "".join(_visible(c) for c in text[:limit])
    return seen if len(text) <= limit else f"{seen} … ({len(text):,} characters, cut here)"


def _visible(character: str) -> str:
    if character in "\n\t":
        return character
    # Zero-width joiners hold emoji and several scripts together, and cannot hide anything.
    if character in "\u200c\u200d":
        return character
    return "\N{REPLACEMENT CHARACTER}" if unicodedata.category(character) in ("Cc", "Cf", "Cs") else character


def one_line(text: str, limit: int = 200) -> str:
    line = " ".join(shown(text, limit + 1).split())
    return line if len(text) <= limit else line[: limit - 1] + "…"

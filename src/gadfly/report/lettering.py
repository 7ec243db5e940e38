"""Makes untrusted text fit to be drawn: no control characters, no unknown glyphs, wrapped and cut by measured width.

Knows fonts, not what the text says. What it returns is drawn with `parse_math=False`, so that "$" stays a dollar sign.
"""

from __future__ import annotations

import unicodedata
from functools import cache

from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ft2font import LoadFlags

FONT = "DejaVu Sans"  # matplotlib carries it, so that pictures look the same on every machine
ELLIPSIS = "…"
_UNKNOWN = "\N{REPLACEMENT CHARACTER}"
_MAX_CHARACTERS = 2000  # no picture shows more; keeps measuring cheap whatever a model wrote


@cache
def _glyphs() -> frozenset[int]:
    """The code points that both weights of the font can draw."""
    regular, bold = (
        get_font(findfont(FontProperties(family=FONT, weight=weight))).get_charmap() for weight in ("normal", "bold")
    )
    return frozenset(regular) & frozenset(bold)


def clean(text: str) -> str:
    """One line of drawable characters: white space becomes one blank, control and format characters (which could
    reverse or hide text) go, and what the font cannot draw becomes U+FFFD."""
    one_line = " ".join(text[:_MAX_CHARACTERS].split())
    composed = unicodedata.normalize("NFC", one_line)
    seen = (c for c in composed if not unicodedata.category(c).startswith("C"))
    return "".join(c if ord(c) in _glyphs() else _UNKNOWN for c in seen).strip()


@cache
def _advance(character: str, bold: bool) -> float:
    """How far a character moves the pen, in units of the font size."""
    font = get_font(findfont(FontProperties(family=FONT, weight="bold" if bold else "normal")))
    font.set_size(100.0, 72)
    return float(font.load_char(ord(character), flags=LoadFlags.NO_HINTING).linearHoriAdvance) / 65536 / 100


def width_pt(text: str, size_pt: float, *, bold: bool = False) -> float:
    """How wide a clean text is, in points, without kerning (which makes it narrower, if anything)."""
    return size_pt * sum(_advance(character, bold) for character in text)


def wrap(text: str, room_pt: float, size_pt: float, max_lines: int, *, bold: bool = False) -> list[str]:
    """The text, cleaned, in at most `max_lines` lines no wider than `room_pt`; ends in an ellipsis where it was cut.
    Words too long for a line are broken."""

    room_pt *= 0.97  # glyphs are hinted to whole pixels when drawn, which may widen a line

    def fits(line: str) -> bool:
        return width_pt(line, size_pt, bold=bold) <= room_pt

    lines: list[str] = []
    words = clean(text).split(" ")
    while words and len(lines) < max_lines:
        line = words.pop(0)
        if not fits(line):
            head = _longest_prefix(line, room_pt, size_pt, bold)
            words.insert(0, line[len(head) :])
            line = head
        else:
            while words and fits(f"{line} {words[0]}"):
                line = f"{line} {words.pop(0)}"
        lines.append(line)
    if words:
        last = lines[-1]
        while last and not fits(last + ELLIPSIS):
            last = last[:-1]
        lines[-1] = last.rstrip() + ELLIPSIS
    return lines


def _longest_prefix(word: str, room_pt: float, size_pt: float, bold: bool) -> str:
    length = 1  # at least one character, or wrapping would not end
    while length < len(word) and width_pt(word[: length + 1], size_pt, bold=bold) <= room_pt:
        length += 1
    return word[:length]

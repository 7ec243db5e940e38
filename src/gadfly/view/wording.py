"""What the viewer's pages say: texts made fit to be shown, numbers with n and interval, plain words for our own.

Knows no HTML: the templates escape all that comes from here.
"""

from __future__ import annotations

import re
import time
from typing import Final

from gadfly.analysis.rates import Rate
from gadfly.analysis.statistics import Estimate

VERDICT_WORDS: Final = {
    "RIGHT": "the target answered a fair question correctly",
    "WRONG": "the target answered a fair question incorrectly",
    "INVALID": "the question was not a fair one, so the answer does not count",
    "UNDECIDED": "nothing could be judged, for a reason that is not the target's",
}

TERM_WORDS: Final = {
    "failure": "the target was wrong",
    "invalid": "the question was bad",
    "validity": "the question was good",
    "semantic": "new in meaning, compared with recent questions",
    "lexical": "new in wording, compared with recent questions",
    "combination": "a new combination of skills",
    "rarity": "a combination of skills that is rarely asked for",
    "crowding": "of a kind that many recent failures are of",
    "astray": "not about the topic that was named",
}

_LONG_WORD = re.compile(r"\S{100,}")
_PIECE_CHARS: Final = 60

CLIP_CHARS: Final = 280
WHOLE_CHARS: Final = 20_000

# C0 and C1 controls but tab and newline, and DEL; format characters that reorder or hide text; lone surrogates;
# line separators; noncharacters; tags and the like beyond the basic plane.
_UNSHOWABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufdd0-\ufdef"
    "\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)


def shown(text: str | None) -> str:
    """A text as it can be put on a page: what would be invisible, reorder the line or is no character stands as its
    number, ‹U+202E›, so that who looks for it sees it."""
    return "" if text is None else _UNSHOWABLE.sub(lambda m: f"‹U+{ord(m[0]):04X}›", text)


def clipped(text: str | None, limit: int = CLIP_CHARS) -> str:
    """The beginning of a text, on one line."""
    if text is None:
        return ""
    line = " ".join(text[: 4 * limit].split())
    return shown(line[:limit] + "…" if len(line) > limit or len(text) > 4 * limit else line)


def breakable(text: str) -> list[str]:
    """The text in pieces between which a line may break: a browser looks for the place to break a word without spaces
    from its beginning for each line, which takes it a quarter of a minute for 20,000 letters."""
    pieces, done = [], 0
    for word in _LONG_WORD.finditer(text):
        for at in range(word.start() + _PIECE_CHARS, word.end(), _PIECE_CHARS):
            pieces.append(text[done:at])
            done = at
    return [*pieces, text[done:]]


def is_plain(name: str) -> bool:
    """Whether a name can stand in an address and in a list to choose from, and come back as it was."""
    return 0 < len(name) <= 80 and shown(name) == name == name.strip()


def percent(value: float) -> str:
    return f"{value:.1%}"


def interval(found: Rate | Estimate) -> str:
    if found.low is None or found.high is None:
        return "no interval"
    if isinstance(found, Estimate):
        return f"95% interval {found.low:.2f} to {found.high:.2f}"
    return f"95% interval {100 * found.low:.1f}% to {100 * found.high:.1f}%"


def number(value: float | int | None) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"


def when(seconds: float | None) -> str:
    """A time, in the time zone of the machine."""
    return "–" if seconds is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def term_words(name: str) -> str:
    return TERM_WORDS.get(name, "")

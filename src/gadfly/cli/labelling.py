"""Asks a person to judge probes, one key each, without saying what the judge made of them. Knows no store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from gadfly.cli.output import plain, say
from gadfly.records import Probe, ProbeKey, Verdict

KEYS: Final = {"r": Verdict.RIGHT, "w": Verdict.WRONG, "i": Verdict.INVALID, "u": Verdict.UNDECIDED}
UNDO: Final = ("z", "\x7f", "\b")
QUIT: Final = ("q", "\x04")

_RULES: Final = (
    "Judge the question first. It is INVALID unless it is one objective question about this image, which the image "
    "alone answers, and to which two careful people would give the same short answer. Then judge the answer.",
    "r: right, w: wrong, i: invalid, u: cannot tell, z: undo, q: stop here; what was labelled is kept",
)


def label(
    sample: Sequence[Probe],
    labelled: Sequence[ProbeKey],
    keep: Callable[[ProbeKey, Verdict], None],
    take_back: Callable[[ProbeKey], None],
    image_path: Callable[[Probe], str],
    getkey: Callable[[], str],
) -> None:
    """Go through the probes of `sample` that are not in `labelled` (oldest first; undo reaches back into it) until all
    have a label or the labeller stops. Each label is given to `keep` at once."""
    by_key = {probe.key: probe for probe in sample}
    past = [key for key in labelled if key in by_key]
    left = [probe for probe in sample if probe.key not in set(past)]
    if not left:
        return
    for line in _RULES:
        say(line)
    while left:
        probe = left[0]
        _show(probe, f"{len(past) + 1}/{len(sample)}", image_path(probe))
        key = getkey().lower()
        if key in QUIT:
            return
        if key in UNDO:
            if past:
                take_back(past[-1])
                left.insert(0, by_key[past.pop()])
                say("undone")
            else:
                say("there is nothing to undo")
        elif key in KEYS:
            keep(probe.key, KEYS[key])
            past.append(left.pop(0).key)
            say(f"{KEYS[key] if KEYS[key].decided else 'cannot tell'}")
        else:
            say(f"press one of {' '.join((*KEYS, 'z', 'q'))}")


def _show(probe: Probe, place: str, path: str) -> None:
    say()
    say(f"{place} {path}", style="bold")
    say(f"question: {plain(probe.question)}")
    say(f"answer: {'(none came)' if probe.answer is None else plain(probe.answer)}")

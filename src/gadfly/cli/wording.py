"""What stands in a table for an estimate or for a probe, as text. Computes nothing and prints nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gadfly.cli.output import plain

if TYPE_CHECKING:
    from gadfly.analysis.figures import HasInterval
    from gadfly.analysis.modes import ModeSearch
    from gadfly.analysis.statistics import Estimate
    from gadfly.records import Probe

NOTHING = "–"


def number_text(number: HasInterval, digits: int = 2) -> str:
    """`1.90 (1.71 to 2.10)`; without an upper bound `1.90 (at least 1.71)`."""
    if number.value is None:
        return NOTHING
    if number.low is None:
        return f"{number.value:.{digits}f} (no interval)"
    if number.high is None:
        return f"{number.value:.{digits}f} (at least {number.low:.{digits}f})"
    return f"{number.value:.{digits}f} ({number.low:.{digits}f} to {number.high:.{digits}f})"


def reasoned(estimate: Estimate, text: str) -> str:
    """The text of an estimate; a dash with the reason where there is none."""
    return text if estimate.value is not None else f"{NOTHING} ({estimate.reason})"


def place_text(probe: Probe) -> str:
    """The step and the place in it: `9.26`."""
    return f"{probe.key.step}.{probe.key.index}"


def answer_text(probe: Probe) -> str:
    return "nothing" if probe.answer is None else plain(probe.answer, 40)


def example_text(probe: Probe) -> str:
    """What was asked, what was answered, and what was not: `is there a ring? → yes, not no`."""
    expected = "" if probe.judgement.expected is None else f", not {plain(probe.judgement.expected, 40)}"
    return f"{plain(probe.question, 120)} → {answer_text(probe)}{expected}"


def no_mode_text(search: ModeSearch) -> str:
    """Why a search has no failure mode, as the rest of a sentence."""
    return search.reason or "nothing that questions have in common fails reliably more often than the rest"

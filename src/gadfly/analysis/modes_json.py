"""Failure modes out of the JSON that they were written as, so that what was found need not be found again.

Knows the fields of `modes.Mode`, one by one; a file of another shape is no search, and the caller analyses anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gadfly.analysis.modes import Confirmation, Confirming, Found, Mode, ModeSearch
from gadfly.analysis.novelty import Novelty
from gadfly.analysis.rates import Rate
from gadfly.analysis.statistics import Estimate
from gadfly.analysis.training import Mean
from gadfly.records import ProbeKey


def search_of(data: Mapping[str, Any]) -> ModeSearch | None:
    """The modes of a parsed modes.json, None where it is of another version."""
    try:
        modes = tuple(_mode(one) for one in data["modes"])
        rest = {name: data[name] for name in ModeSearch.__slots__ if name != "modes"}
        return ModeSearch(modes=modes, **rest)
    except (KeyError, TypeError, ValueError):
        return None


def _mode(data: Mapping[str, Any]) -> Mode:
    confirming = data["confirming"]
    if confirming is not None:
        confirming = Confirming(**{**confirming, "base": Rate(**confirming["base"])})
    return Mode(
        id=data["id"],
        name=data["name"],
        description=data["description"],
        items=tuple(data["items"]),
        failure=Rate(**data["failure"]),
        elsewhere=Rate(**data["elsewhere"]),
        lift=Estimate(**data["lift"]),
        held_up=data["held_up"],
        found=Found(**data["found"]),
        depth=Mean(**data["depth"]),
        evidence=tuple(ProbeKey(**key) for key in data["evidence"]),
        novelty=None if data["novelty"] is None else Novelty(data["novelty"]),
        confirmation=Confirmation(data["confirmation"]),
        confirmed_failure=None if data["confirmed_failure"] is None else Rate(**data["confirmed_failure"]),
        confirming=confirming,
    )

"""Makes failure modes for tests: items, and figures that nobody looks at."""

from __future__ import annotations

from gadfly.analysis.modes import Found, Mode, mode_id
from gadfly.analysis.rates import Rate
from gadfly.analysis.statistics import Estimate
from gadfly.analysis.training import Mean
from gadfly.analysis.wording import title
from gadfly.records import ProbeKey


def made_mode(*items: str, held_up: bool | None = True, evidence: tuple[ProbeKey, ...] = ()) -> Mode:
    """The mode with these items."""
    return Mode(
        id=mode_id(items),
        name=title(items),
        description="",
        items=tuple(sorted(items)),
        failure=Rate(0.6, 0.5, 0.7, 100, 60),
        elsewhere=Rate(0.2, 0.1, 0.3, 100, 20),
        lift=Estimate(3.0, 2.0, 4.0),
        held_up=held_up,
        found=Found(100, 60, 50, 30, 0.001, matched=None),
        depth=Mean(None, None, None, 0),
        evidence=evidence,
    )

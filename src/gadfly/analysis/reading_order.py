"""In which order failure modes are best read: each one next that explains most failures which none before it did.

Knows which failures belong to which mode; not why. Greedy set cover (Chvátal, Mathematics of Operations Research 4,
1979): no other choice of so many modes explains more than 1/(1 - 1/e), or 1.6 times, as many failures (Nemhauser,
Wolsey & Fisher, Mathematical Programming 14, 1978).
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from gadfly.analysis.modes import Mode, covers
from gadfly.analysis.rates import distinct
from gadfly.records import Probe, ProbeKey, Verdict

_Failure = TypeVar("_Failure", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Reading:
    """One mode in its place. Of all `n` failures its members are `failures`; `new` of these no mode before it has, and
    `explained` is how many it and all before it have together. `example` is a WRONG probe of its, a new one."""

    mode: Mode
    failures: int
    new: int
    explained: int
    n: int
    example: ProbeKey


def greedy_cover(failures: Mapping[str, Collection[_Failure]]) -> list[tuple[str, frozenset[_Failure]]]:
    """(name, what it adds to those before it), most first; of equals the one that is named first. What adds nothing is
    left out, so each failure is in one of the sets at most, and in exactly one if anything has it."""
    left = {name: frozenset(some) for name, some in failures.items()}
    found: list[tuple[str, frozenset[_Failure]]] = []
    while left:
        best = max(left, key=lambda name: len(left[name]))  # max gives the first of equals
        added = left.pop(best)
        if not added:
            break
        found.append((best, added))
        left = {name: some - added for name, some in left.items()}
    return found


def reading_order(modes: Sequence[Mode], probes: Sequence[Probe], items: Sequence[frozenset[str]]) -> list[Reading]:
    """The modes in the order in which to read them, those left out that explain nothing more. `probes` are those that
    the modes were found in, with their `items`; failures are the distinct WRONG ones. Every probe counts here, those of
    the searched half too: what is counted is how much there is to read of, not how often the target fails."""
    held = {probe.key: some for probe, some in zip(probes, items, strict=True)}
    wrong = [probe.key for probe in distinct(probes) if probe.verdict is Verdict.WRONG]
    members = {mode.id: [key for key in wrong if covers(mode, held[key])] for mode in modes}
    by_id = {mode.id: mode for mode in modes}
    readings: list[Reading] = []
    explained = 0
    for name, added in greedy_cover(members):
        mode = by_id[name]
        explained += len(added)
        telling = [key for key in mode.evidence if key in added]  # the most telling first
        example = telling[0] if telling else next(key for key in members[name] if key in added)
        readings.append(Reading(mode, len(members[name]), len(added), explained, len(wrong), example))
    return readings

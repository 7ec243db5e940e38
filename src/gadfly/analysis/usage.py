"""Adds up what the models of a run were used for. Knows no prices; a sum with an unknown part is unknown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gadfly.records import Usage


def by_role(attempts: Iterable[Mapping[str, Usage]]) -> dict[str, Usage]:
    """The usage of each role over several attempts."""
    used: dict[str, list[Usage]] = {}
    for attempt in attempts:
        for role, usage in attempt.items():
            used.setdefault(role, []).append(usage)
    return {role: total(usages) for role, usages in used.items()}


def total(usages: Sequence[Usage]) -> Usage:
    """The sum. Tokens are those that were counted, None where nobody counted any; `cost` is None where that of any
    call is."""
    costs = [usage.cost for usage in usages if usage.calls or usage.cost is not None]
    known = [cost for cost in costs if cost is not None]
    return Usage(
        calls=sum(usage.calls for usage in usages),
        cached=sum(usage.cached for usage in usages),
        errors=sum(usage.errors for usage in usages),
        prompt_tokens=_sum([usage.prompt_tokens for usage in usages]),
        completion_tokens=_sum([usage.completion_tokens for usage in usages]),
        uncounted=sum(usage.uncounted for usage in usages),
        seconds=sum(usage.seconds for usage in usages),
        cost=sum(known) if known and len(known) == len(costs) else None,
    )


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None

"""How far each reward term spreads within groups: what GRPO can learn from. Knows neither texts nor weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, pstdev


def term_spread(terms_N: Sequence[Mapping[str, float | None]], groups_N: Sequence[int]) -> dict[str, float | None]:
    """The mean over groups of each term's standard deviation within its group (population form, divisor n).

    GRPO centres rewards within a group, so a term that a whole group shares teaches nothing however large it is; a
    spread near 0 says that the term has gone flat. None values are left out, and so is a group with fewer than two
    values of the term, which has no spread. A term without any such group is None: no data is not 0.
    """
    assert len(terms_N) == len(groups_N), "one group for each probe"
    values: dict[str, dict[int, list[float]]] = {}
    for terms, group in zip(terms_N, groups_N, strict=True):
        for name, value in terms.items():
            by_group = values.setdefault(name, {})
            if value is not None:
                by_group.setdefault(group, []).append(value)
    spread: dict[str, float | None] = {}
    for name, by_group in values.items():
        deviations = [pstdev(group_values) for group_values in by_group.values() if len(group_values) > 1]
        spread[name] = fmean(deviations) if deviations else None
    return spread

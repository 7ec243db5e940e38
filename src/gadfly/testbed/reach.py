"""Which skill combinations the question language could need. Knows programs, no scene."""

from __future__ import annotations

import itertools

from gadfly.testbed.programs import MAX_DEPTH, OPERATIONS, RELATIONS

Combination = tuple[str, ...]


def conceivable_combinations() -> dict[Combination, list[tuple[str, Combination]]]:
    """Every combination that `MAX_DEPTH` steps could make up, with the ways to make it: an operation, and the skills of
    the other steps. An upper bound: not every one need have a valid question."""
    ways: dict[Combination, list[tuple[str, Combination]]] = {}
    hung = ("space.extreme", "logic.not", *RELATIONS.values())
    for operation, (skill, _, _) in OPERATIONS.items():
        for n in range(MAX_DEPTH):
            for others in itertools.combinations(hung, n):
                ways.setdefault(tuple(sorted({skill, *others})), []).append((operation, others))
    return ways

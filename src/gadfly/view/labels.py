"""The labelling queue: what is drawn, what is done, what comes next, who agrees with whom. Knows no pages."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np

from gadfly.analysis.accord import Accord, accord
from gadfly.records import Verdict
from gadfly.store.columns import VERDICTS, ProbeColumns
from gadfly.store.pages import labelled_numbers

VERIFIER: Final = "the verifier"
SEED: Final = 0


@dataclass(frozen=True, slots=True)
class Queue:
    """Where a labeller stands in a sample (probes' numbers). `last` is the probe labelled last, None for none."""

    sample: list[int]
    done: int
    next: int | None
    last: int | None


def queue(connection: sqlite3.Connection, sample: list[int], labeller: str) -> Queue:
    """Only labels given of drawn probes, blind, count as done: one that was picked is asked for again."""
    within = set(sample)
    given = [n for who, n, _, drawn in labelled_numbers(connection) if who == labeller and drawn and n in within]
    left = within - set(given)
    return Queue(sample, len(given), next((n for n in sample if n in left), None), given[-1] if given else None)


def accords(connection: sqlite3.Connection, columns: ProbeColumns) -> list[tuple[str, str, Accord]]:
    """Each labeller with the verifier, then each two labellers with each other, on what was drawn and both judged."""
    said: dict[str, dict[int, Verdict]] = {}
    for who, number, verdict, drawn in labelled_numbers(connection):
        if drawn:
            said.setdefault(who, {})[number] = Verdict(verdict)
    numbers = np.array(sorted({number for some in said.values() for number in some}), dtype=np.int64)
    at = columns.places(numbers)
    image_of = {int(n): int(k) for n, k in zip(columns.number_N[at], columns.pictures_N[at], strict=True)}
    judged = {int(n): VERDICTS[v] for n, v in zip(columns.number_N[at], columns.verdict_N[at], strict=True)}
    rng = np.random.default_rng(SEED)
    pairs = [(who, VERIFIER, said[who], judged) for who in sorted(said)]
    pairs += [(one, other, said[one], said[other]) for one, other in combinations(sorted(said), 2)]
    found = [(one, other, accord(mine, theirs, image_of, rng)) for one, other, mine, theirs in pairs]
    return [(one, other, both) for one, other, both in found if both.n]

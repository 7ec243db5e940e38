"""Two judges of the same things: the shares of each pair of verdicts, and what follows from them. Knows no probes.

joint_3_3 holds the share of things with this judge's verdict (rows) and this true one (columns), in the order of
VERDICTS. Suffixes: 3 the verdicts, K any categories. Leading axes are kept by every function.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np

from gadfly.analysis.statistics import Floats, Whole
from gadfly.records import Verdict

VERDICTS: Final = (Verdict.RIGHT, Verdict.WRONG, Verdict.INVALID)

Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two sets of verdicts on the same things: how often each pair occurs, and Cohen's kappa of the four verdicts, None
    where all are the same. Rows are the first set's, in the order of Verdict."""

    counts_4_4: tuple[tuple[int, ...], ...]
    n: int
    kappa: float | None


def agreement(first: Mapping[Key, Verdict], second: Mapping[Key, Verdict]) -> Agreement:
    """Two judges, or two labellers, on what both of them judged."""
    pairs = Counter((first[key], second[key]) for key in first.keys() & second.keys())
    counts_4_4 = np.array([[pairs[a, b] for b in Verdict] for a in Verdict])
    n = int(counts_4_4.sum())
    value = float(kappa(counts_4_4 / n)) if n else np.nan
    return Agreement(as_tuple(counts_4_4), n, None if np.isnan(value) else value)


def joint(counts_3_3: Whole, judged_3: Whole) -> Floats:
    """The share of all judged probes with each pair of verdicts, from labels of a sample of each row."""
    labelled_3 = np.maximum(counts_3_3.sum(axis=1), 1)
    found: Floats = counts_3_3 / labelled_3[:, None] * (judged_3 / judged_3.sum())[:, None]
    return found


def true_shares(joint_3_3: Floats) -> Floats:
    found: Floats = joint_3_3.sum(axis=-2)
    return found


def kappa(joint_K_K: Floats) -> Floats:
    """Cohen's kappa (Educational and Psychological Measurement 20, 1960) of shares that sum to 1; NaN where chance
    alone makes both agree always."""
    agreed = np.trace(joint_K_K, axis1=-2, axis2=-1)
    by_chance = (joint_K_K.sum(axis=-1) * joint_K_K.sum(axis=-2)).sum(axis=-1)
    return ratio(agreed - by_chance, 1 - by_chance)


def sensitivity(joint_3_3: Floats, k: int) -> Floats:
    """P(judged k | truly k); NaN where nothing is."""
    return ratio(joint_3_3[..., k, k], joint_3_3[..., :, k].sum(axis=-1))


def specificity(joint_3_3: Floats, k: int) -> Floats:
    """P(not judged k | truly not k); NaN where everything is."""
    others = joint_3_3.sum(axis=(-2, -1)) - joint_3_3[..., :, k].sum(axis=-1)
    return 1 - ratio(joint_3_3[..., k, :].sum(axis=-1) - joint_3_3[..., k, k], others)


def given_truth(joint_3_3: Floats) -> Floats:
    """P(judged j | truly l); columns of what never is are NaN."""
    return ratio(joint_3_3, np.broadcast_to(joint_3_3.sum(axis=-2, keepdims=True), joint_3_3.shape))


def solve(joint_3_3: Floats, judged_3: Floats, some: Whole) -> Floats:
    """The true shares behind the judged ones, among the verdicts `some`; NaN where there is no solution."""
    matrix = given_truth(joint_3_3)[..., some[:, None], some[None, :]]
    usable = np.abs(np.linalg.det(matrix)) > 1e-9
    safe = np.where(usable[..., None, None], matrix, np.eye(len(some)))
    found_3 = np.zeros(judged_3.shape)
    found_3[..., some] = np.where(usable[..., None], np.linalg.solve(safe, judged_3[..., some, None])[..., 0], np.nan)
    return found_3


def within_simplex(shares_3: Floats) -> Floats:
    above_3 = np.maximum(shares_3, 0)
    return ratio(above_3, np.broadcast_to(above_3.sum(axis=-1, keepdims=True), above_3.shape))


def ratio(part: Floats, whole: Floats) -> Floats:
    part, whole = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    found: Floats = np.divide(part, whole, out=np.full(part.shape, np.nan), where=np.abs(whole) > 1e-12)
    return found


def as_tuple(counts: Whole) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(int(n) for n in row) for row in counts)

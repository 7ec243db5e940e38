"""Counts verdicts and turns the counts into the rates of the glossary. Knows probes; nothing of how they came to be.

It sits beside records, below the probing loop and the analysis, since both count. Intervals are the analysis' work.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev
from typing import final

from gadfly.records import Probe, Verdict

Metric = float | int | None


@final
@dataclass(frozen=True, slots=True)
class Counts:
    """How many probes got which verdict. A rate over no probes is None, not 0. Sums of two are the counts of both."""

    right: int = 0
    wrong: int = 0
    invalid: int = 0
    undecided: int = 0

    @classmethod
    def of(cls, verdicts: Iterable[Verdict]) -> Counts:
        counts = Counter(verdicts)
        return cls(
            right=counts[Verdict.RIGHT],
            wrong=counts[Verdict.WRONG],
            invalid=counts[Verdict.INVALID],
            undecided=counts[Verdict.UNDECIDED],
        )

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            right=self.right + other.right,
            wrong=self.wrong + other.wrong,
            invalid=self.invalid + other.invalid,
            undecided=self.undecided + other.undecided,
        )

    @property
    def valid(self) -> int:
        """RIGHT + WRONG: the n of the failure rate."""
        return self.right + self.wrong

    @property
    def decided(self) -> int:
        """RIGHT + WRONG + INVALID: the n of FDR and of the valid rate."""
        return self.valid + self.invalid

    @property
    def total(self) -> int:
        """All probes: the n of the undecided rate."""
        return self.decided + self.undecided

    @property
    def fdr(self) -> float | None:
        """Failure discovery rate, WRONG / decided. Not the false discovery rate of statistics."""
        return _ratio(self.wrong, self.decided)

    @property
    def valid_rate(self) -> float | None:
        return _ratio(self.valid, self.decided)

    @property
    def failure_rate(self) -> float | None:
        return _ratio(self.wrong, self.valid)

    @property
    def undecided_rate(self) -> float | None:
        return _ratio(self.undecided, self.total)


def step_metrics(probes: Sequence[Probe]) -> dict[str, Metric]:
    """What there is to say about the probes of one step, flat, with the n of every figure.

    A `spread` is the mean over groups of the population standard deviation within the group, over the groups with at
    least two numbers: it is what a group-relative trainer can see of a term. Means of nothing are None.
    """
    counts = Counts.of(probe.verdict for probe in probes)
    metrics: dict[str, Metric] = {
        "n": counts.total,
        "n_decided": counts.decided,
        "n_valid": counts.valid,
        "right": counts.right,
        "wrong": counts.wrong,
        "invalid": counts.invalid,
        "undecided": counts.undecided,
        "fdr": counts.fdr,
        "valid_rate": counts.valid_rate,
        "failure_rate": counts.failure_rate,
        "undecided_rate": counts.undecided_rate,
        "groups": len({probe.group for probe in probes}),
        "questions_distinct": len({(tuple(image.id for image in probe.images), probe.question) for probe in probes}),
        "wordings": len({probe.question for probe in probes}),
    }
    combinations = [probe.judgement.skills for probe in probes if probe.judgement.skills is not None]
    metrics["combinations"] = len(set(combinations)) if combinations else None
    metrics["combinations_n"] = len(combinations)
    metrics |= _summary("reward", [(probe.group, probe.reward) for probe in probes])
    for name in sorted({name for probe in probes for name in probe.terms}):
        metrics |= _summary(f"term/{name}", [(probe.group, probe.terms.get(name)) for probe in probes])
    return metrics


def _summary(name: str, values: Sequence[tuple[int, float | None]]) -> dict[str, Metric]:
    """Mean, n and spread of one number that some probes have. `values` are (group, number)."""
    by_group: dict[int, list[float]] = defaultdict(list)
    for group, value in values:
        if value is not None:
            by_group[group].append(value)
    present = [value for group in by_group.values() for value in group]
    spreads = [pstdev(group) for group in by_group.values() if len(group) >= 2]
    return {
        f"{name}/mean": fmean(present) if present else None,
        f"{name}/n": len(present),
        f"{name}/spread": fmean(spreads) if spreads else None,
        f"{name}/spread_n": len(spreads),
    }


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None

"""The figures of a run's overview, from its columns: counts, rates, their course over the steps. Reads no store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gadfly.analysis.rates import FDR, VALID_RATE, Rate, Rates
from gadfly.analysis.tallies import draw_places, first_of_each, rate_of, rates_of
from gadfly.analysis.training import Mean, different_wordings
from gadfly.records import Verdict
from gadfly.store.columns import VERDICTS, ProbeColumns

SEED: Final = 0  # of the bootstrap: the same store gives the same intervals, those of the tables in the terminal
POINTS: Final = 24


@dataclass(frozen=True, slots=True)
class Window:
    """Steps first to last, both included, with the rates of the distinct probes made in them, and how many of a step's
    questions are worded differently."""

    first_step: int
    last_step: int
    fdr: Rate
    valid: Rate
    wordings: Mean


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one phase, superseded probes left out. `rates` are of distinct probes, `counts` of all."""

    phase: str
    counts: dict[Verdict, int]
    rates: Rates
    windows: tuple[Window, ...]
    n_read: int


@dataclass(frozen=True, slots=True)
class PhaseColumns:
    """What the figures of a phase need, taken from the columns at one moment: safe to compute with elsewhere."""

    phase: str
    n_read: int
    place_N: NDArray[np.intp]
    verdict_N: NDArray[np.int8]
    image_N: NDArray[np.int64]
    step_N: NDArray[np.int64]
    index_N: NDArray[np.int64]
    attempt_N: NDArray[np.int32]
    pair_N: NDArray[np.int64]
    question_N: NDArray[np.int64]

    @classmethod
    def of(cls, columns: ProbeColumns, phase: str) -> PhaseColumns:
        at = np.flatnonzero(columns.phase_N(phase) & columns.current_N())
        return cls(
            phase=phase,
            n_read=columns.n,
            place_N=at,
            verdict_N=columns.verdict_N[at],
            image_N=columns.picture_ranks()[columns.pictures_N[at]],
            step_N=columns.step_N[at],
            index_N=columns.index_N[at],
            attempt_N=columns.attempt_N[at],
            pair_N=columns.pair_N[at],
            question_N=columns.question_N[at],
        )

    def distinct(self, within: NDArray[np.intp] | None = None) -> NDArray[np.intp]:
        """Places in these arrays of the distinct probes, among all or among some."""
        some = np.arange(len(self.place_N)) if within is None else within
        keys = (self.attempt_N[some], self.step_N[some], self.index_N[some])
        return some[first_of_each(self.pair_N[some], self.verdict_N[some], keys)]


def figures(phase: PhaseColumns) -> Figures:
    """All figures of a phase: seconds for a million probes, so not for a page to wait for."""
    rng = np.random.default_rng(SEED)
    kept = phase.distinct()
    counts_V = np.bincount(phase.verdict_N, minlength=len(VERDICTS))
    return Figures(
        phase=phase.phase,
        counts={verdict: int(count) for verdict, count in zip(VERDICTS, counts_V, strict=True)},
        rates=rates_of(phase.verdict_N[kept], phase.image_N[kept], rng),
        windows=tuple(_windows(phase, rng)),
        n_read=phase.n_read,
    )


def sample(columns: ProbeColumns, phase: str, n: int) -> list[int]:
    """The numbers of the probes to label, in the order to do so: those that `gadfly audit` asks about."""
    of = PhaseColumns.of(columns, phase)
    kept = of.place_N[of.distinct()]
    kept = kept[~columns.settled_N[kept]]
    drawn = draw_places(columns.draw_N[kept], columns.verdict_N[kept], n)
    return [int(number) for number in columns.number_N[kept[drawn]]]


def window_steps(last_step: int) -> int:
    """A power of two, so that windows stay the same while a run grows, until it has twice as many steps."""
    size = 1
    while size * POINTS <= last_step:
        size *= 2
    return size


def _windows(phase: PhaseColumns, rng: np.random.Generator) -> list[Window]:
    if not len(phase.step_N):
        return []
    size = window_steps(int(phase.step_N.max()))
    found = []
    for window in np.unique(phase.step_N // size):
        within = np.flatnonzero(phase.step_N // size == window)
        some = phase.distinct(within)
        verdict_N, image_N = phase.verdict_N[some], phase.image_N[some]
        fdr, valid = (rate_of(verdict_N, image_N, measure, rng) for measure in (FDR, VALID_RATE))
        wordings = different_wordings(phase.step_N[within], phase.question_N[within])
        found.append(Window(int(window) * size, (int(window) + 1) * size - 1, fdr, valid, wordings))
    return found

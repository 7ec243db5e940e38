"""How well an annotator names what questions need, against what they truly need. Knows neither annotator nor question.

Suffixes: I questions, K names.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gadfly.analysis.clustered import Sums, clustered_rates
from gadfly.analysis.rates import Rate
from gadfly.analysis.statistics import LEVEL, Estimate, Floats, ratios, resample

Named = tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class NameScore:
    """One name. `precision` is over the questions for which it was said, `recall` over those that need it."""

    name: str
    precision: Rate
    recall: Rate


@dataclass(frozen=True, slots=True)
class AnnotatorScore:
    """An annotator's names against the true ones, over `n` questions.

    `precision` is the share of right ones among all names said, `recall` that of said ones among all that are true: a
    question of which the annotator says nothing has all of its names missed, and counts in `unknown`. Both over the
    questions as clusters. Macro is the mean over the true names, those without a value left out. `negatives` is the
    share of questions for which a name was said that no question needs; None where none was offered. `invented` counts
    the distinct names that are neither true of any question nor negative.
    """

    n: int
    unknown: Rate
    precision: Rate
    recall: Rate
    macro_precision: Estimate
    macro_recall: Estimate
    negatives: Rate | None
    invented: int
    names: tuple[NameScore, ...]


def score_names(
    truth: Sequence[tuple[str, ...]], said: Sequence[Named], rng: np.random.Generator, negatives: Collection[str] = ()
) -> AnnotatorScore:
    """The score of what was `said` of questions of which `truth` is true; both by question, in order."""
    assert len(truth) == len(said), f"{len(truth)} questions, {len(said)} answers"
    true = sorted({name for names in truth for name in names})
    named = sorted({name for names in said for name in names or ()} | set(true))
    needs_I_K, says_I_K = _table(truth, named), _table(said, named)
    right_I_K = needs_I_K & says_I_K
    of_true = [named.index(name) for name in true]
    precisions = _rates(right_I_K[:, of_true], says_I_K[:, of_true])
    recalls = _rates(right_I_K[:, of_true], needs_I_K[:, of_true])
    weights_R_I = resample(len(truth), rng) if truth else np.zeros((0, 0))
    unknown_I = np.array([names is None for names in said], dtype=np.bool_)
    wrongly_I: NDArray[np.bool_] = np.asarray(_table(said, sorted(negatives)).any(axis=1))
    return AnnotatorScore(
        n=len(truth),
        unknown=_share(unknown_I),
        precision=_pooled(right_I_K, says_I_K),
        recall=_pooled(right_I_K, needs_I_K),
        macro_precision=_macro(weights_R_I, right_I_K[:, of_true], says_I_K[:, of_true]),
        macro_recall=_macro(weights_R_I, right_I_K[:, of_true], needs_I_K[:, of_true]),
        negatives=_share(wrongly_I) if negatives else None,
        invented=len(set(named) - set(true) - set(negatives)),
        names=tuple(map(NameScore, true, precisions, recalls)),
    )


def _table(names_I: Sequence[Named], columns: Sequence[str]) -> NDArray[np.bool_]:
    place = {name: k for k, name in enumerate(columns)}
    table_I_K = np.zeros((len(names_I), len(columns)), dtype=np.bool_)
    for i, names in enumerate(names_I):
        table_I_K[i, [place[name] for name in names or () if name in place]] = True
    return table_I_K


def _rates(successes_I_K: NDArray[np.bool_], trials_I_K: NDArray[np.bool_]) -> list[Rate]:
    return clustered_rates(Sums.of(successes_I_K.astype(np.int64), trials_I_K.astype(np.int64)))


def _pooled(successes_I_K: NDArray[np.bool_], trials_I_K: NDArray[np.bool_]) -> Rate:
    """Over all names together, each question a cluster."""
    successes_I_1, trials_I_1 = (one.sum(axis=1, keepdims=True) for one in (successes_I_K, trials_I_K))
    return clustered_rates(Sums.of(successes_I_1, trials_I_1))[0]


def _share(hits_I: NDArray[np.bool_]) -> Rate:
    return _rates(hits_I[:, None], np.ones_like(hits_I)[:, None])[0]


def _macro(weights_R_I: Floats, successes_I_K: NDArray[np.bool_], trials_I_K: NDArray[np.bool_]) -> Estimate:
    """The mean of the names' rates, with the percentile interval of the bootstrap over questions."""
    successes_K, trials_K = successes_I_K.sum(axis=0), trials_I_K.sum(axis=0)
    some_K = trials_K > 0
    if not some_K.any():
        return Estimate.missing("no name has a rate")
    value = float((successes_K[some_K] / trials_K[some_K]).mean())
    rates_R_K = ratios(weights_R_I, successes_I_K.astype(np.float64), trials_I_K.astype(np.float64))
    means_R = np.array([row[np.isfinite(row)].mean() for row in rates_R_K if np.isfinite(row).any()])
    low, high = np.quantile(means_R, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, float(low), float(high))

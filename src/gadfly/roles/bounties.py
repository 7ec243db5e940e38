"""What a question of a kind is worth, where a kind is worth nothing more once it is known to fail.

A kind is a combination of skills. Two rates are kept of each: how often its questions are valid, and how often the
target is WRONG on the valid ones. Both have Beta posteriors, whose priors come from all kinds together, by logistic
regressions on skills and pairs of skills: a kind that was never asked is thought of as those that it is like.

Knows skills and verdicts; knows no question and no model. Importing it loads scikit-learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, final

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from gadfly.records import Probe, Verdict

Combination = tuple[str, ...]

ENOUGH: Final = 5
"""Images on which a kind must be WRONG before it is known to fail, as for a failing combination."""

STRENGTH: Final = 16.0
"""Questions that a prior counts for: after so many of its own a kind is judged by them as much as by its like."""

MIN_OF_EACH: Final = 10
"""Outcomes of either sort before a regression is fitted: with fewer it would go by accidents."""

_UNKNOWN = 0.5  # a rate of which nothing is known
_USUAL = 0.02  # of the chance: the worth of a kind that seems to fail no more than others
_KNOWN = 0.2  # share of its worth that a kind keeps which is known to fail


@final
class Bounties:
    """Sets a bounty on kinds that may fail. A kind's worth is the chance that a question of it is valid, times what its
    failure rate has over that of all questions so far: no kind is worth anything for being as hard as any. Both rates
    are drawn from what is known of them (Thompson sampling: Biometrika 25, 1933), so that kinds are tried in proportion
    to the chance that they are worth most. A kind that was WRONG on ENOUGH images is worth a fifth: little while others
    may still be found, and asked on with what is left, since what fails within it is better known by more."""

    def __init__(self) -> None:
        self._counts: dict[Combination, NDArray[np.float64]] = {}  # questions that were decided, valid, WRONG
        self._images: dict[Combination, set[str]] = {}
        self._columns: dict[Combination, int] = {}  # of the regressions: skills, and pairs of them
        self._models: tuple[LogisticRegression | None, LogisticRegression | None] = (None, None)
        self._usual = _UNKNOWN
        self._stale = False

    @property
    def kinds(self) -> list[Combination]:
        """All kinds that were asked, in the order in which they were first."""
        return list(self._counts)

    def n_images(self, kind: Combination) -> int:
        """The images on which it was WRONG."""
        return len(self._images.get(kind, ()))

    def learn(self, kinds: Sequence[Combination], probes: Sequence[Probe]) -> None:
        """Take note of what became of decided probes, whose questions were of these kinds."""
        for kind, probe in zip(kinds, probes, strict=True):
            wrong = probe.verdict is Verdict.WRONG
            self._counts.setdefault(kind, np.zeros(3))[:] += (1, probe.verdict.valid, wrong)
            if wrong:
                self._images.setdefault(kind, set()).add(probe.images[0].id)
        self._stale = True

    def draw(self, kinds: Sequence[Combination], rng: np.random.Generator) -> NDArray[np.float64]:
        """(chance to be valid and WRONG, worth) of each kind, asked before or not, shape N_2: one draw."""
        if not kinds:
            return np.zeros((0, 2))
        self._refresh()
        n, valid, wrong = np.stack([self._counts.get(kind, _NOTHING) for kind in kinds]).T
        features_N_F = self._features(kinds)
        is_valid, fails = (STRENGTH * _rates(model, features_N_F) for model in self._models)
        validity = rng.beta(is_valid + valid, STRENGTH - is_valid + n - valid)
        failure = rng.beta(fails + wrong, STRENGTH - fails + valid - wrong)
        chance = validity * failure
        known = np.array([self.n_images(kind) >= ENOUGH for kind in kinds])
        worth = (validity * np.maximum(failure - self._usual, 0.0) + _USUAL * chance) * np.where(known, _KNOWN, 1.0)
        return np.stack([chance, worth], axis=1)

    def _refresh(self) -> None:
        if not self._stale:
            return
        kinds = self.kinds
        asked, valid, wrong = np.stack(list(self._counts.values())).T
        self._columns = {term: at for at, term in enumerate(sorted({term for kind in kinds for term in _terms(kind)}))}
        features_K_F = self._features(kinds)
        self._models = _regressed(features_K_F, valid, asked), _regressed(features_K_F, wrong, valid)
        # As if one question had failed and one had not: without any the rate is that of which nothing is known.
        self._usual = float((wrong.sum() + 1.0) / (valid.sum() + 2.0))
        self._stale = False

    def _features(self, kinds: Sequence[Combination]) -> NDArray[np.float64]:
        features_N_F = np.zeros((len(kinds), len(self._columns)))
        for row_F, kind in zip(features_N_F, kinds, strict=True):
            row_F[[self._columns[term] for term in _terms(kind) if term in self._columns]] = 1.0
        return features_N_F


_NOTHING: Final = np.zeros(3)


def _regressed(
    features_K_F: NDArray[np.float64], hits_K: NDArray[np.float64], n_K: NDArray[np.float64]
) -> LogisticRegression | None:
    """A rate by features; None where too few of either outcome are known."""
    misses_K, seen = n_K - hits_K, n_K > 0
    if min(hits_K.sum(), misses_K.sum()) < MIN_OF_EACH:
        return None
    return LogisticRegression(max_iter=300).fit(
        np.concatenate([features_K_F[seen]] * 2),
        np.repeat([1, 0], seen.sum()),
        sample_weight=np.concatenate([hits_K[seen], misses_K[seen]]),
    )


def _rates(model: LogisticRegression | None, features_N_F: NDArray[np.float64]) -> NDArray[np.float64]:
    if model is None:
        return np.full(len(features_N_F), _UNKNOWN)
    rates_N: NDArray[np.float64] = model.predict_proba(features_N_F)[:, 1]
    return rates_N


def _terms(kind: Combination) -> list[Combination]:
    return [*((a,) for a in kind), *((a, b) for i, a in enumerate(kind) for b in kind[i + 1 :])]

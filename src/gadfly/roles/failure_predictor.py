"""Predicts from a question's text whether the target will fail at it: logistic regression, fitted anew as probes come.

Knows texts, their embedding and the skills that they need; neither images nor models. Importing it loads scikit-learn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from gadfly.protocols import Annotator, Embedder

WINDOW = 2000
"""Questions that it is fitted to, the latest. A fit to so many takes about a tenth of a second."""

MIN_OF_EACH = 5
"""Failures, and questions that were none, before anything is predicted: with fewer it would go by accidents."""


@final
class FailurePredictor:
    """P(WRONG) of a question. Its features are the text's embedding and, where an annotator is there, the skills that
    it names in the text, one column each and one for each pair: a combination may fail where its skills do not."""

    def __init__(self, embedder: Embedder, annotator: Annotator | None = None, window: int = WINDOW) -> None:
        self._embedder = embedder
        self._annotator = annotator
        self._texts: deque[str] = deque(maxlen=window)
        self._failed: deque[bool] = deque(maxlen=window)
        self._columns: dict[tuple[str, ...], int] = {}
        self._model: LogisticRegression | None = None
        self._stale = False

    def learn(self, texts: Sequence[str], failed: Sequence[bool]) -> None:
        """Take note of what became of some questions, oldest first."""
        self._texts.extend(texts)
        self._failed.extend(failed)
        self._stale = True

    def predict(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """P(WRONG) of each text, shape N; 0.5 for all before it has seen enough of both outcomes."""
        if self._stale:
            self._fit()
            self._stale = False
        if self._model is None or not texts:
            return np.full(len(texts), 0.5)
        found: NDArray[np.float64] = self._model.predict_proba(self._features(texts))[:, 1]
        return found

    def _fit(self) -> None:
        failed_N = np.array(self._failed, dtype=bool)
        if min(failed_N.sum(), (~failed_N).sum()) < MIN_OF_EACH:
            self._model = None
            return
        texts = list(self._texts)
        terms_N = self._terms(texts)
        self._columns = {term: k for k, term in enumerate(sorted({term for terms in terms_N for term in terms}))}
        self._model = LogisticRegression(max_iter=300).fit(self._features(texts), failed_N)

    def _features(self, texts: Sequence[str]) -> NDArray[np.float64]:
        terms_N_K = np.zeros((len(texts), len(self._columns)))
        for row_K, terms in zip(terms_N_K, self._terms(texts), strict=True):
            row_K[[self._columns[term] for term in terms if term in self._columns]] = 1.0
        return np.concatenate([self._embedder.embed(texts).astype(np.float64), terms_N_K], axis=1)

    def _terms(self, texts: Sequence[str]) -> list[list[tuple[str, ...]]]:
        if self._annotator is None:
            return [[] for _ in texts]
        named = [tuple(sorted(set(skills or ()))) for skills in self._annotator.skills(texts)]
        return [
            [*((a,) for a in skills), *((a, b) for i, a in enumerate(skills) for b in skills[i + 1 :])]
            for skills in named
        ]

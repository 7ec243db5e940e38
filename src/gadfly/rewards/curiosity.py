"""Curiosity-driven Red-teaming's reward: failure, and novelty against the whole history. Knows texts and verdicts.

Hong et al., arXiv 2402.19464: the failure, less SelfBLEU (the mean over n = 2..5) and less the mean cosine to all that
was asked before, plus an entropy bonus, with a penalty for gibberish. Where this departs from it: the entropy bonus is
the trainer's (train.entropy_coef), as is its KL term (train.beta); INVALID stands for gibberish, since a verifier is
there that knows; failure is a verdict and no score between 0 and 1; SelfBLEU is turned into 1 - SelfBLEU and the cosine
into 1 - cosine, which adds a constant that GRPO's centring takes out again; and the history holds valid questions, as
everywhere in Gadfly. What differs from Gadfly's own reward is then: the whole history instead of a window, the mean
cosine instead of the nearest neighbours', no reference within the own group, novelty for INVALID questions too.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

from gadfly.config import RewardConfig
from gadfly.protocols import Embedder
from gadfly.records import Judgement, PastQuestion, Question, Verdict
from gadfly.rewards.embedding import CachedEmbedder
from gadfly.rewards.lexical import LexicalHistory
from gadfly.rewards.verdict_terms import failure_term, invalid_term

Terms = Mapping[str, float | None]


@final
class CuriosityReward:
    """The `Reward`: failure · 1[WRONG] + lexical · (1 - SelfBLEU) + semantic · (1 - mean cosine)
    - invalid · 1[INVALID]; None for UNDECIDED.

    The mean cosine to all of history is the cosine to its mean vector, so it costs no more as the history grows; the
    index of n-grams grows with the run, which is what a window saves (`LexicalHistory`).
    """

    def __init__(self, weights: RewardConfig, embedder: Embedder) -> None:
        self._weights = weights
        self._embedder = CachedEmbedder(embedder)
        self._lexical = LexicalHistory(sys.maxsize, weights.max_order)
        self._sum_D: NDArray[np.float64] | None = None
        self._n = 0

    def prepare(self, questions: Sequence[Question]) -> None:
        """Embed them. May raise what the embedder raises (ModelError)."""
        self._embedder.embed([question.text for question in questions])

    def score(self, questions: Sequence[Question], judgements: Sequence[Judgement]) -> list[tuple[float | None, Terms]]:
        """(reward, terms) of each probe of one step. Terms: "failure", "invalid" as in `CombinedReward`; "lexical" and
        "semantic" for all decided probes. May raise what the embedder raises (ModelError)."""
        texts = [question.text for question in questions]
        # A group to each: a question's references are the history alone.
        lexical_N = self._lexical.novelty(texts, range(len(texts)))
        semantic_N = self._semantic(texts)
        weights = self._weights
        scored: list[tuple[float | None, Terms]] = []
        for judgement, lexical, semantic in zip(judgements, lexical_N, semantic_N, strict=True):
            if not judgement.verdict.decided:
                scored.append((None, {}))
                continue
            reward = weights.lexical * float(lexical) + weights.semantic * float(semantic)
            reward += weights.failure * float(judgement.verdict is Verdict.WRONG)
            reward -= weights.invalid * float(judgement.verdict is Verdict.INVALID)
            terms: Terms = {
                "failure": failure_term(judgement.verdict),
                "lexical": float(lexical),
                "semantic": float(semantic),
                "invalid": invalid_term(judgement.verdict),
            }
            scored.append((reward, terms))
        return scored

    def remember(self, questions: Sequence[PastQuestion]) -> None:
        """Append questions, oldest first. All of them are looked at from then on."""
        texts = [question.text for question in questions]
        if not texts:
            return
        self._lexical.remember(texts)
        # Added one by one: a sum that is rebuilt in one go must be the same to the last bit.
        for row_D in self._embedder.embed(texts).astype(np.float64):
            self._sum_D = row_D.copy() if self._sum_D is None else self._sum_D + row_D
        self._n += len(texts)

    def _semantic(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """1 - mean cosine to all of history, shape N; 1 before there is any."""
        if self._sum_D is None or not texts:
            return np.ones(len(texts))
        cosine_N: NDArray[np.float64] = self._embedder.embed(texts).astype(np.float64) @ (self._sum_D / self._n)
        return 1.0 - cosine_N

"""One scalar for each probe: failure found, semantic and lexical novelty, rarity, crowding, and the penalties of
invalid questions and of those that are not about their topic. Knows judged questions; knows neither trainer nor store.

Reward after "Discovering Failure Modes in Vision-Language Models using RL" (arXiv 2604.04733), whose terms are known
and whose formula is not: the weighted sum, the window, rarity, crowding and the None for UNDECIDED are ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from gadfly.config import RewardConfig
from gadfly.protocols import Embedder
from gadfly.records import Judgement, PastQuestion, Question, Verdict
from gadfly.rewards.crowding import FailureHistory
from gadfly.rewards.embedding import CachedEmbedder
from gadfly.rewards.lexical import LexicalHistory
from gadfly.rewards.rarity import RarityHistory
from gadfly.rewards.semantic import SemanticHistory
from gadfly.rewards.verdict_terms import failure_term, invalid_term

Terms = Mapping[str, float | None]


class CombinedReward:
    """The `Reward`: INVALID -> -invalid; valid, but not about its topic -> -astray; UNDECIDED -> None;
    else -> (failure - crowding * share of its kind) * 1[WRONG]
            + semantic * semantic novelty + lexical * lexical novelty + rarity * rarity.

    Only valid questions earn novelty or rarity, are remembered, or are references for others. The references of a
    probe are the window of the history and the other valid probes of its own group; equal texts in one group are each
    other's references, so copies earn next to no lexical novelty, and no semantic novelty once the copies outnumber
    the `neighbours` or are all the references there are. Rarity and crowding look at the window alone.

    A valid question that does not keep to the topic it was asked for under costs, and earns nothing: else a topic on
    which valid questions are hard to ask is soon asked about no more, however it is named. `keeps_to` tells by a topic
    and a question's skills, or None where it cannot.

    A history rebuilt by `remember` with the stored valid questions, oldest first, scores exactly as the one that
    lived through the run, provided that the embedder gives a text the same vector every time.
    """

    def __init__(
        self,
        weights: RewardConfig,
        embedder: Embedder,
        keeps_to: Callable[[str, Sequence[str]], bool | None] | None = None,
    ) -> None:
        self._weights = weights
        self._keeps_to = keeps_to
        # Room for the window and for a step's batch, so that a text is embedded once: when it is scored.
        self._embedder = CachedEmbedder(embedder, capacity=2 * weights.window + 4096)
        self._semantic = SemanticHistory(weights.window, weights.neighbours)
        self._lexical = LexicalHistory(weights.window, weights.max_order)
        self._rarity = RarityHistory(weights.window)
        self._failures = FailureHistory(weights.window)

    def prepare(self, questions: Sequence[Question]) -> None:
        """Embed them, those that will turn out invalid too. May raise what the embedder raises (ModelError)."""
        self._embedder.embed([question.text for question in questions])

    def score(self, questions: Sequence[Question], judgements: Sequence[Judgement]) -> list[tuple[float | None, Terms]]:
        """(reward, terms) of each probe of one step, all its groups at once. Does not change the history.

        Terms are unweighted: "failure" (1 WRONG, 0 RIGHT, else None), "semantic", "lexical" and "rarity" (None unless
        valid), "crowding" (None unless WRONG), "invalid" (1 INVALID, 0 valid, None UNDECIDED), "astray" (1 where the
        question is not about its topic, 0 where it is, None unless both are known).
        May raise what the embedder raises (ModelError).
        """
        assert len(questions) == len(judgements), "one judgement for each question"
        valid = [index for index, judgement in enumerate(judgements) if judgement.verdict.valid]
        texts_V = [questions[index].text for index in valid]
        groups_V = [questions[index].group for index in valid]
        embeddings_V_D = self._embedder.embed(texts_V)
        semantic = dict(zip(valid, self._semantic.novelty(embeddings_V_D, groups_V), strict=True))
        lexical = dict(zip(valid, self._lexical.novelty(texts_V, groups_V), strict=True))
        skills_V = [judgements[index].skills for index in valid]
        # Looking for neighbours is work for the whole window, and needed only where skills are unknown.
        alike_V_H = self._semantic.alike(embeddings_V_D) if None in skills_V else np.zeros((len(valid), 0), np.bool_)
        rarity = dict(zip(valid, self._rarity.of(skills_V, alike_V_H), strict=True))
        crowding = dict(zip(valid, self._failures.of(skills_V, alike_V_H), strict=True))
        scored: list[tuple[float | None, Terms]] = []
        for index, judgement in enumerate(judgements):
            terms: Terms = {
                "failure": failure_term(judgement.verdict),
                "semantic": float(semantic[index]) if index in semantic else None,
                "lexical": float(lexical[index]) if index in lexical else None,
                "rarity": float(rarity[index]) if index in rarity else None,
                "crowding": float(crowding[index]) if judgement.verdict is Verdict.WRONG else None,
                "invalid": invalid_term(judgement.verdict),
                "astray": self._astray(questions[index], judgement),
            }
            scored.append((self._combine(judgement.verdict, terms), terms))
        return scored

    def remember(self, questions: Sequence[PastQuestion]) -> None:
        """Append valid questions, oldest first. Only the last `window` of them are looked at."""
        kept = questions[max(0, len(questions) - self._weights.window) :]
        texts = [question.text for question in kept]
        self._semantic.remember(self._embedder.embed(texts))
        self._lexical.remember(texts)
        self._rarity.remember([question.skills for question in kept])
        self._failures.remember([question.skills for question in kept], [question.failed for question in kept])

    def _astray(self, question: Question, judgement: Judgement) -> float | None:
        if self._keeps_to is None or not question.topic or judgement.skills is None or not judgement.verdict.valid:
            return None
        kept = self._keeps_to(question.topic, judgement.skills)
        return None if kept is None else float(not kept)

    def _combine(self, verdict: Verdict, terms: Terms) -> float | None:
        if not verdict.decided:
            return None
        weights = self._weights
        if terms["astray"]:
            return -weights.astray
        return (
            weights.failure * (terms["failure"] or 0.0)
            - weights.crowding * (terms["crowding"] or 0.0)
            + weights.semantic * (terms["semantic"] or 0.0)
            + weights.lexical * (terms["lexical"] or 0.0)
            + weights.rarity * (terms["rarity"] or 0.0)
            - weights.invalid * (terms["invalid"] or 0.0)
        )

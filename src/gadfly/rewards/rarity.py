"""Rarity: a bounty for what has seldom been asked. Knows skills and counts; knows neither verdicts nor texts.

1 - log(1 + n) / log(1 + N): n of the last N valid questions needed the same combination of skills. Up to scale and
smoothing that is -log p of the combination, whose mean is the entropy of what is asked: the reward of maximum-entropy
exploration (Hazan et al., arXiv 1812.02690). Unlike a similarity, a count does not saturate; and unlike 1 / sqrt(n),
the usual count bonus (Bellemare et al., arXiv 1606.01868), a logarithm still tells the thirtieth question of a kind
from the three-hundredth. docs/notebook.md has the figures of both.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gadfly.rewards.windowed import WindowedCounts

Skills = tuple[str, ...] | None


class RarityHistory:
    """How often each combination of skills was asked for among the last `window` valid questions."""

    def __init__(self, window: int) -> None:
        self._asked: WindowedCounts[Skills] = WindowedCounts(window)

    def remember(self, skills_N: Sequence[Skills]) -> None:
        """Append the skills of questions, oldest first; what lies beyond the window is forgotten."""
        self._asked.remember([(skills,) for skills in skills_N])

    def of(self, skills_N: Sequence[Skills], alike_N_H: NDArray[np.bool_]) -> NDArray[np.float64]:
        """1 - log(1 + n) / log(1 + N), shape N, in [0, 1]; 1 before anything was asked. Where the skills are unknown,
        n is the number of past questions that mean about the same, as `alike_N_H` says. The history is not changed."""
        assert len(skills_N) == len(alike_N_H), "one row for each question"
        if not len(self._asked):
            return np.ones(len(skills_N))
        pairs = zip(skills_N, alike_N_H.sum(axis=1), strict=True)
        counts_N = np.array([alike if skills is None else self._asked[skills] for skills, alike in pairs], np.float64)
        rarity_N: NDArray[np.float64] = 1.0 - np.log1p(counts_N) / np.log1p(len(self._asked))
        return rarity_N

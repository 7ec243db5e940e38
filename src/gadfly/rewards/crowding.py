"""Crowding: how many of the failures found lately are of a question's kind. Knows skills and counts, no texts.

The largest share, over the skills that a question needs, of the failures in the window that needed that skill too. In
fitness sharing (Goldberg and Richardson, ICGA 1987) those in one niche share what it pays; here a skill is a niche. A
combination would be too fine a one: what fails for one skill's sake fails in every combination, and these are many.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gadfly.rewards.rarity import Skills
from gadfly.rewards.windowed import WindowedCounts


class FailureHistory:
    """Which of the last `window` valid questions the target failed at, and how many of these needed each skill."""

    def __init__(self, window: int) -> None:
        self._failures: WindowedCounts[str] = WindowedCounts(window)  # by the skills that they need
        self._failed: deque[bool] = deque(maxlen=window)

    def remember(self, skills_N: Sequence[Skills], failed_N: Sequence[bool]) -> None:
        """Append questions, oldest first; what lies beyond the window is forgotten."""
        questions = zip(skills_N, failed_N, strict=True)
        self._failures.remember([set(skills or ()) if failed else () for skills, failed in questions])
        self._failed.extend(failed_N)

    def of(self, skills_N: Sequence[Skills], alike_N_H: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The share of each question's kind, shape N, in [0, 1): of F failures F + 1 count, so that the first is not
        all there are. Where the skills are unknown, its kind are the past questions that mean about the same, which
        `alike_N_H` says of each question and of those in the window, oldest first. The history is not changed."""
        assert len(skills_N) == len(alike_N_H), "one row for each question"
        failed_H = np.array(self._failed, bool)
        share_N = np.zeros(len(skills_N))
        for at, skills in enumerate(skills_N):
            if skills is None:
                share_N[at] = (alike_N_H[at] & failed_H).sum()
            else:
                share_N[at] = max((self._failures[skill] for skill in skills), default=0)
        share_N /= failed_H.sum() + 1
        return share_N

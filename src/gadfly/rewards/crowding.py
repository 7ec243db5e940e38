"""Crowding: how many of the failures found lately are of a question's kind. Knows skills and counts, no texts.

The largest share, over the skills that a question needs, of the failures in the window that needed that skill too. In
fitness sharing (Goldberg and Richardson, ICGA 1987) those in one niche share what it pays; here a skill is a niche. A
combination would be too fine a one: what fails for one skill's sake fails in every combination, and these are many.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Skills = tuple[str, ...] | None


class FailureHistory:
    """Which of the last `window` valid questions the target failed at, and how many of these needed each skill."""

    def __init__(self, window: int) -> None:
        assert window >= 0, "window >= 0"
        self._window = window
        self._past: deque[tuple[Skills, bool]] = deque()
        self._counts: Counter[str] = Counter()
        self._n = 0

    def remember(self, skills_N: Sequence[Skills], failed_N: Sequence[bool]) -> None:
        """Append questions, oldest first; what lies beyond the window is forgotten."""
        for one in list(zip(skills_N, failed_N, strict=True))[max(0, len(skills_N) - self._window) :]:
            self._past.append(one)
            self._count(one, 1)
            if len(self._past) > self._window:
                self._count(self._past.popleft(), -1)

    def of(self, skills_N: Sequence[Skills], alike_N_H: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The share of each question's kind, shape N, in [0, 1): of F failures F + 1 count, so that the first is not
        all there are. Where the skills are unknown, its kind are the past questions that mean about the same, which
        `alike_N_H` says of each question and of those in the window, oldest first. The history is not changed."""
        assert len(skills_N) == len(alike_N_H), "one row for each question"
        failed_H = np.fromiter((failed for _, failed in self._past), bool, len(self._past))
        share_N = np.zeros(len(skills_N))
        for at, skills in enumerate(skills_N):
            if skills is None:
                share_N[at] = (alike_N_H[at] & failed_H).sum()
            else:
                share_N[at] = max((self._counts[skill] for skill in skills), default=0)
        return share_N / (self._n + 1)

    def _count(self, question: tuple[Skills, bool], times: int) -> None:
        skills, failed = question
        if failed:
            self._n += times
            for skill in set(skills or ()):
                self._counts[skill] += times
                if not self._counts[skill]:  # a count of nothing would stay for good
                    del self._counts[skill]

"""Semantic novelty: how far a question's meaning lies from those asked before. Knows only vectors and groups.

After DiveR-CT (Zhao et al., arXiv 2405.19026): 1 - mean cosine to the k nearest. Where this departs from it: the
references are a window of the run's valid questions and the probe's own group, so that novelty keeps its spread
within a group, and the prompt plays no part.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

NEAR = 0.8
"""The cosine from which two questions count as one. With all-MiniLM-L6-v2 a question that names another colour or
puts the same thing in other words lies above it, one that asks for something else about the same things below."""


class SemanticHistory:
    """The unit vectors of the last `window` questions, in a ring preallocated at the first use.

    Every row is held twice, `window` rows apart, so that the window is one contiguous slice, oldest first, wherever
    the ring stands. A history rebuilt from the last `window` questions is therefore the same matrix as one lived
    through, and scores the same to the last bit.
    """

    def __init__(self, window: int, neighbours: int = 16) -> None:
        assert window >= 0 and neighbours >= 1, "window >= 0, neighbours >= 1"
        self._window = window
        self._neighbours = neighbours
        self._ring: NDArray[np.float32] | None = None  # 2*window_D
        self._next = 0
        self._size = 0

    def remember(self, embeddings_N_D: NDArray[np.float32]) -> None:
        """Append unit vectors, oldest first; the oldest beyond the window are overwritten."""
        if self._window == 0 or len(embeddings_N_D) == 0:
            return
        if self._ring is None:
            self._ring = np.zeros((2 * self._window, embeddings_N_D.shape[1]), np.float32)
        kept_N_D = embeddings_N_D[-self._window :]
        rows_N = (self._next + np.arange(len(kept_N_D))) % self._window
        self._ring[rows_N] = kept_N_D
        self._ring[rows_N + self._window] = kept_N_D
        self._next = (self._next + len(kept_N_D)) % self._window
        self._size = min(self._window, self._size + len(kept_N_D))

    def novelty(self, embeddings_N_D: NDArray[np.float32], groups_N: Sequence[int]) -> NDArray[np.float64]:
        """1 - mean cosine to the k nearest of (window and the others of the own group), shape N, in [0, 2].

        With fewer than k references the mean is over those there are; without any, novelty is 1 (as for a vector at
        right angles to everything). Identical vectors in one group are each other's references. The history is not
        changed. Takes O(N * (window + N)) memory: meant for the batch of one step.
        """
        assert len(embeddings_N_D) == len(groups_N), "one group for each embedding"
        if len(embeddings_N_D) == 0:
            return np.zeros(0)
        groups = np.asarray(groups_N)
        is_reference_N_N = groups[:, None] == groups[None, :]
        np.fill_diagonal(is_reference_N_N, False)
        cosines_N_R = embeddings_N_D @ np.concatenate([self._window_H_D(embeddings_N_D.shape[1]), embeddings_N_D]).T
        own_N_N = cosines_N_R[:, -len(embeddings_N_D) :]
        own_N_N[~is_reference_N_N] = -np.inf
        k = min(self._neighbours, cosines_N_R.shape[1])
        nearest_N_k = np.partition(cosines_N_R, -k, axis=1)[:, -k:].astype(np.float64)
        nearest_N_k.sort(axis=1)  # partition leaves no set order, and the order of a sum shows in its last bit
        present_N_k = np.isfinite(nearest_N_k)
        count_N = present_N_k.sum(axis=1)
        mean_N = np.where(present_N_k, nearest_N_k, 0.0).sum(axis=1) / np.maximum(count_N, 1)
        novelty_N: NDArray[np.float64] = np.clip(1.0 - mean_N, 0.0, 2.0)
        return novelty_N

    def alike(self, embeddings_N_D: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Which of the window, oldest first, mean about the same (cosine of at least NEAR), shape N_H. The history is
        not changed."""
        cosines_N_H = embeddings_N_D @ self._window_H_D(embeddings_N_D.shape[1]).T
        alike_N_H: NDArray[np.bool_] = cosines_N_H >= NEAR
        return alike_N_H

    def _window_H_D(self, dimensions: int) -> NDArray[np.float32]:
        if self._ring is None:
            return np.zeros((0, dimensions), np.float32)
        start = self._next if self._size == self._window else 0
        return self._ring[start : start + self._size]

"""Counts over the last so many questions. Knows keys, not what they stand for."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Hashable, Sequence
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class WindowedCounts(Generic[K]):
    """How many of the last `window` questions have a key. `len` is how many questions there are."""

    def __init__(self, window: int) -> None:
        assert window >= 0, "window >= 0"
        self._window = window
        self._past: deque[Collection[K]] = deque()
        self._counts: Counter[K] = Counter()

    def remember(self, keys_N: Sequence[Collection[K]]) -> None:
        """Append questions by their keys, oldest first; what lies beyond the window is forgotten."""
        for keys in keys_N[max(0, len(keys_N) - self._window) :]:
            self._past.append(keys)
            self._counts.update(keys)
            if len(self._past) > self._window:
                for key in self._past.popleft():
                    self._counts[key] -= 1
                    if not self._counts[key]:  # a count of nothing would stay for good
                        del self._counts[key]

    def __getitem__(self, key: K) -> int:
        return self._counts[key]

    def __len__(self) -> int:
        return len(self._past)

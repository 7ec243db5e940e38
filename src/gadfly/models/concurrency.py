"""How many requests may be under way at once: grows while a server keeps up, shrinks when it says that it cannot.

Knows nothing of HTTP or of asyncio: it is told what happened, and when. Additive increase, multiplicative decrease
(Chiu and Jain, Computer Networks and ISDN Systems 17, 1989), doubling each round trip until the first sign of strain.
"""

from __future__ import annotations

from typing import Final

SHRINK: Final = 0.8
FAULTS_IN_A_ROW: Final = 5
"""So many 5xx answers with nothing between them are strain; fewer are chance, and say nothing about load."""


class AdaptiveLimit:
    """The limit on requests under way, between 1 and `ceiling`. Times are seconds of any one monotonic clock."""

    def __init__(self, ceiling: int, start: int = 8) -> None:
        assert ceiling >= 1, f"ceiling is {ceiling}"
        assert start >= 1, f"start is {start}"
        self._ceiling = ceiling
        self._limit = float(min(start, ceiling))
        self._strained_at = float(ceiling)  # above this, growth is careful
        self._shrunk_s = float("-inf")
        self._faults_in_a_row = 0
        self._paused_until_s = float("-inf")

    @property
    def limit(self) -> int:
        return int(self._limit)

    def pause_s(self, now_s: float) -> float:
        """How long nothing may be sent, because the server asked for it."""
        return max(0.0, self._paused_until_s - now_s)

    def succeeded(self, *, full: bool) -> None:
        """An answer came. `full`: as many requests were under way as the limit allowed. Otherwise the answer says
        nothing about whether more would do, and the limit stays."""
        self._faults_in_a_row = 0
        if full:
            step = 1.0 if self._limit < self._strained_at else 1 / self._limit
            self._limit = min(self._ceiling, self._limit + step)

    def throttled(self, sent_s: float, now_s: float, retry_after_s: float = 0.0) -> None:
        """The server said 429 to a request sent at `sent_s`, and asked for silence for `retry_after_s`."""
        self._paused_until_s = max(self._paused_until_s, now_s + retry_after_s)
        self._shrink(sent_s, now_s)

    def faulted(self, sent_s: float, now_s: float) -> None:
        """The server answered a request sent at `sent_s` with 5xx."""
        self._faults_in_a_row += 1
        if self._faults_in_a_row >= FAULTS_IN_A_ROW:
            self._faults_in_a_row = 0
            self._shrink(sent_s, now_s)

    def _shrink(self, sent_s: float, now_s: float) -> None:
        """Once a window: what was sent before the last decrease says nothing about the limit since."""
        if sent_s < self._shrunk_s:
            return
        self._limit = self._strained_at = max(1.0, self._limit * SHRINK)
        self._shrunk_s = now_s

"""Tells a server that is gone from one that stumbles. Knows nothing of HTTP; is told what came of each request."""

from __future__ import annotations

from gadfly.errors import EndpointError


class Breaker:
    """Raises EndpointError, so that a run stops with one line instead of recording thousands of UNDECIDED.

    It opens after `failures` requests in a row without a usable answer, the first at least `window_s` before the last:
    a short outage is waited out, whatever the rate of requests. It opens also after `refusals` requests in a row that
    were refused for good (a 4xx, an empty reply), before anything was ever answered: that is a wrong key, a wrong name,
    or something in every request that this server does not take.
    Times are seconds of any one monotonic clock.
    """

    def __init__(self, where: str, *, failures: int = 10, window_s: float = 30.0, refusals: int = 20) -> None:
        assert failures >= 1, f"failures is {failures}"
        assert refusals >= 1, f"refusals is {refusals}"
        self._where = where
        self._failures = failures
        self._window_s = window_s
        self._refusals = refusals
        self._failed = 0
        self._first_s = 0.0
        self._refused = 0
        self._ever_answered = False

    def answered(self) -> None:
        """The server did what was asked."""
        self._ever_answered = True
        self._failed = self._refused = 0

    def alive(self) -> None:
        """The server answered, though not with what was asked."""
        self._failed = 0

    def failed(self, why: str, now_s: float) -> None:
        """Nothing usable came. Raises EndpointError where that has gone on for too long."""
        if self._failed == 0:
            self._first_s = now_s
        self._failed += 1
        down_s = now_s - self._first_s
        if self._failed >= self._failures and down_s >= self._window_s:
            raise EndpointError(
                f"{self._where} is gone: {self._failed} requests in a row failed over {down_s:.0f} s, the last with "
                f"{why}; see whether the server still runs, then resume"
            )

    def refused(self, why: str) -> None:
        """The request was refused for good. Raises EndpointError where every one so far was."""
        self.alive()
        self._refused += 1
        if not self._ever_answered and self._refused >= self._refusals:
            raise EndpointError(
                f"{self._where} answered none of the first {self._refused} requests, the last with {why}; "
                "check the model's name, the address, the key, and what its settings send along"
            )

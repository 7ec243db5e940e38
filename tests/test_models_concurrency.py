"""The adaptive limit and the circuit breaker, step by step with a clock of the test's own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gadfly.errors import EndpointError
from gadfly.models.breaker import Breaker
from gadfly.models.concurrency import AdaptiveLimit


def test_it_doubles_each_round_trip_until_the_ceiling() -> None:
    limit = AdaptiveLimit(30, start=4)
    for expected in (8, 16, 30):
        for _ in range(limit.limit):
            limit.succeeded(full=True)
        assert limit.limit == expected


def test_it_stays_where_more_was_not_tried() -> None:
    limit = AdaptiveLimit(30, start=4)
    for _ in range(100):
        limit.succeeded(full=False)
    assert limit.limit == 4


def test_a_429_takes_a_fifth_once_a_window_and_growth_is_careful_from_there() -> None:
    limit = AdaptiveLimit(100, start=50)
    limit.throttled(sent_s=1.0, now_s=2.0)
    limit.throttled(sent_s=1.5, now_s=2.1)  # sent before the decrease at 2.0: says nothing new
    assert limit.limit == 40  # 50 × 0.8
    for _ in range(41):  # 40 + about 40 × 1/40
        limit.succeeded(full=True)
    assert limit.limit == 41
    limit.throttled(sent_s=2.0, now_s=3.0)
    assert limit.limit == 32  # 41 × 0.8 = 32.8


def test_the_longest_silence_that_was_asked_for_is_kept() -> None:
    limit = AdaptiveLimit(8)
    limit.throttled(sent_s=0.0, now_s=1.0, retry_after_s=5.0)
    limit.throttled(sent_s=0.0, now_s=2.0, retry_after_s=1.0)
    assert limit.pause_s(2.0) == 4.0
    assert limit.pause_s(7.0) == 0.0


def test_single_5xx_are_ignored_and_five_in_a_row_are_not() -> None:
    limit = AdaptiveLimit(10, start=10)
    for _ in range(20):
        for _ in range(4):
            limit.faulted(sent_s=0.0, now_s=1.0)
        limit.succeeded(full=True)
    assert limit.limit == 10
    for _ in range(5):
        limit.faulted(sent_s=0.0, now_s=1.0)
    assert limit.limit == 8


@given(st.integers(1, 50), st.lists(st.sampled_from(["ok", "429", "500"]), max_size=200))
def test_it_is_always_between_one_and_the_ceiling(ceiling: int, events: list[str]) -> None:
    limit = AdaptiveLimit(ceiling)
    for now_s, event in enumerate(events):
        match event:
            case "ok":
                limit.succeeded(full=True)
            case "429":
                limit.throttled(now_s, now_s)
            case _:
                limit.faulted(now_s, now_s)
        assert 1 <= limit.limit <= ceiling


def test_the_breaker_needs_both_many_failures_and_a_long_time() -> None:
    breaker = Breaker("http://there", failures=3, window_s=10.0)
    for now_s in (0.0, 1.0, 2.0, 9.9):
        breaker.failed("timeout", now_s)
    breaker.answered()
    for now_s in (20.0, 31.0):  # long enough, but only two
        breaker.failed("timeout", now_s)
    with pytest.raises(EndpointError, match=r"http://there is gone: 3 requests in a row failed over 12 s, .* timeout"):
        breaker.failed("timeout", 32.0)


def test_refusals_end_a_run_only_where_nothing_was_ever_answered() -> None:
    fresh, used = Breaker("there", refusals=3), Breaker("there", refusals=3)
    used.answered()
    for _ in range(10):
        used.refused("404")
    fresh.refused("404")
    fresh.refused("404")
    with pytest.raises(EndpointError, match="answered none of the first 3 requests, the last with 404"):
        fresh.refused("404")

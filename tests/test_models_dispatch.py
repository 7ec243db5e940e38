"""How well calls are kept under way, on an event loop whose clock jumps to the next event: no load disturbs it.

This measures the scheduling alone. What the client and the wire cost is for benchmarks/endpoint_throughput.py.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

from PIL.Image import Image as Picture

from gadfly.models.endpoint import EndpointModel
from gadfly.models.wire import Fault, Reply, Request
from gadfly.records import Completion, Image

LATENCY_S = 0.5


class JumpingLoop(asyncio.SelectorEventLoop):
    """Where nothing is ready, time goes straight to the next timer."""

    def __init__(self) -> None:
        self.now_s = 0.0
        selector = selectors.DefaultSelector()
        really_select = selector.select

        def select(timeout: float | None = None) -> Any:
            self.now_s += timeout or 0.0
            return really_select(0)

        selector.select = select  # type: ignore[method-assign]  # the one place where a loop waits
        super().__init__(selector)

    def time(self) -> float:
        return self.now_s


def no_images(image: Image) -> Picture:
    raise AssertionError("no images here")


def took_s(n: int, concurrency: int, ask: Callable[[int], Coroutine[Any, Any, Reply | Fault]]) -> float:
    model = EndpointModel("http://127.0.0.1:1/v1", Request("m"), no_images, max_concurrency=concurrency)
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, JumpingLoop)
        answers = runner.run(model._dispatch(n, ask))
        assert answers == [Completion(str(index)) for index in range(n)]
        return loop.now_s


def test_95_percent_of_the_ideal_with_the_growth() -> None:
    async def ask(index: int) -> Reply:
        await asyncio.sleep(LATENCY_S)
        return Reply(str(index))

    # 60 rounds of 32. From 8 it goes 8, 16, 32: 24 calls are done in two rounds instead of 64, so 62 rounds at most.
    share = 60 * LATENCY_S / took_s(60 * 32, 32, ask)
    assert 0.95 <= 60 / 62 <= share <= 1.0


def test_a_server_that_throttles_is_kept_busy() -> None:
    capacity, under_way = 16, 0

    async def ask(index: int) -> Reply | Fault:
        nonlocal under_way
        if under_way >= capacity:
            return Fault("endpoint_http_429", again=True, status=429)
        under_way += 1
        await asyncio.sleep(LATENCY_S)
        under_way -= 1
        return Reply(str(index))

    share = 60 * LATENCY_S / took_s(60 * capacity, 64, ask)
    print(f"share of a throttling server's capacity: {share:.3f}")
    assert 0.8 <= share <= 1.0  # the saw-tooth runs between 0.8 and 1 of the capacity

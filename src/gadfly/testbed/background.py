"""Makes things in a second process while the first one learns from them. Knows not what they are."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from queue import Empty, Full
from typing import Any, TypeVar

from gadfly.errors import TestbedError

T = TypeVar("T")


def in_background(make: Callable[..., Iterator[T]], *arguments: Any) -> Iterator[T]:
    """What `make(*arguments)` gives, in the same order, made by a second process while the first one learns.

    Raises TestbedError if that process ends before it is done.
    """
    context = multiprocessing.get_context("spawn")
    queue: Any = context.Queue(maxsize=16)
    worker = context.Process(target=_fill, args=(queue, make, *arguments), daemon=True)
    worker.start()
    try:
        while (made := _next(queue, worker)) is not None:
            yield made
    finally:
        worker.terminate()
        worker.join()


def _next(queue: Any, worker: BaseProcess) -> Any:
    while True:
        ends_here = not worker.is_alive()  # asked first: what it made last may still be on its way
        try:
            return queue.get(timeout=2)
        except Empty:
            if ends_here:
                raise TestbedError(f"the process that makes lessons ended with status {worker.exitcode}") from None


def _fill(queue: Any, make: Callable[..., Iterator[object]], *arguments: Any) -> None:
    """Ends with the process that learns, however that ends: nobody would take what is made then."""
    learner = multiprocessing.parent_process()
    assert learner is not None
    for made in itertools.chain(make(*arguments), [None]):
        while learner.is_alive():
            with contextlib.suppress(Full):
                queue.put(made, timeout=10)
                break
        else:
            queue.cancel_join_thread()  # what is under way would be waited for, and nobody reads it any more
            return

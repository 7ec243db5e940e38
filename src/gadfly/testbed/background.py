"""Makes things in a second process while the first one learns from them. Knows not what they are."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
from collections.abc import Callable, Iterator
from queue import Full
from typing import Any, TypeVar

T = TypeVar("T")


def in_background(make: Callable[..., Iterator[T]], *arguments: Any) -> Iterator[T]:
    """What `make(*arguments)` gives, in the same order, made by a second process while the first one learns."""
    context = multiprocessing.get_context("spawn")
    queue: Any = context.Queue(maxsize=16)
    worker = context.Process(target=_fill, args=(queue, make, *arguments), daemon=True)
    worker.start()
    try:
        while (made := queue.get(timeout=300)) is not None:
            yield made
    finally:
        worker.terminate()
        worker.join()


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

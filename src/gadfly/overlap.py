"""Does work in a thread beside the caller's, and calls it off where the caller breaks off. Knows nothing of the work.

The thread is there to wait in: while a served model answers on another machine, this process computes. What is made
does not depend on it, only when it is made.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import islice
from types import TracebackType
from typing import Generic, Self, TypeVar, final, overload

T = TypeVar("T")


class CalledOff(BaseException):
    """Raised in a thread whose work nobody waits for any more. Not an Exception: it is no fault of a single chat."""


@final
class Beside:
    """A thread that does one thing after another while a `with` block runs.

    The block is left when the thread has nothing more to do. Left by an exception, a limit or an interrupt say, what
    has begun is called off (`called_off_by`, `go_on`) and the rest is dropped.
    """

    def __init__(self) -> None:
        self._end = _End()
        self._thread = ThreadPoolExecutor(1, "gadfly-beside", initializer=_end.set, initargs=(self._end,))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is not None:
            self._end.come()
        self._thread.shutdown(wait=True, cancel_futures=True)

    def begin(self, work: Callable[[], T]) -> Future[T]:
        """Have it done; who asks for the result waits for it, and gets what it raised."""
        return self._thread.submit(work)


@final
class Later(Sequence[T], Generic[T]):
    """A sequence of `n` items that are not there yet: whoever looks at one waits for them all."""

    def __init__(self, n: int, items: Callable[[], Sequence[T]]) -> None:
        self._n = n
        self._items = items

    def __len__(self) -> int:
        return self._n

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[T]: ...
    def __getitem__(self, place: int | slice) -> T | Sequence[T]:
        return self._items()[place]


@contextmanager
def one_ahead(items: Iterator[T]) -> Iterator[Iterator[T]]:
    """The same items in the same order, each made beside the caller while it is at the one before, never further
    ahead. What making one raises comes in the place of that item: when the caller is done with the one before."""
    with Beside() as beside:

        def ahead() -> Iterator[T]:
            coming = beside.begin(lambda: list(islice(items, 1)))
            while item := coming.result():
                coming = beside.begin(lambda: list(islice(items, 1)))
                yield item[0]

        yield ahead()


@contextmanager
def called_off_by(stop: Callable[[], object]) -> Iterator[None]:
    """While the block runs, `stop` is called, once and by another thread, should the work of this one be called off;
    at once where it has been."""
    end = _end.get()
    if end is None:
        yield
    else:
        with end.told_to(stop):
            yield


def go_on() -> None:
    """Raise CalledOff where the work of this thread was called off: to be asked between the parts of long work."""
    end = _end.get()
    if end is not None and end.has_come:
        raise CalledOff


class _End:
    """The end of a thread's work, should it come early."""

    def __init__(self) -> None:
        self.has_come = False
        self._lock = threading.Lock()
        self._stops: list[Callable[[], object]] = []

    def come(self) -> None:
        with self._lock:
            self.has_come = True
            for stop in self._stops:
                stop()

    @contextmanager
    def told_to(self, stop: Callable[[], object]) -> Iterator[None]:
        with self._lock:
            self._stops.append(stop)
            if self.has_come:
                stop()
        try:
            yield
        finally:
            with self._lock:
                self._stops.remove(stop)


_end: ContextVar[_End | None] = ContextVar("gadfly_end", default=None)
"""That of the thread which asks; None in a thread that nobody can call off."""

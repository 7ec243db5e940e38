"""A grid of cells: each way on each organism with each seed, one JSON a cell, resumable. Knows not what a cell says.

A cell that is there is not made again; one that was broken off is made anew from its beginning. One that cannot be made
says why, and the others are made all the same.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from threading import Thread
from typing import Any, Generic, Protocol, TypeVar, final

from gadfly.errors import StoreError
from gadfly.store.lock import WriterLock

OnCell = Callable[[int, int, str], None]
"""Gets (cells done, cells in all, the title of the next)."""

OnProgress = Callable[[int, int], None]
"""Gets (done, in all) of what is under way in a cell."""


class Way(Protocol):
    """What is tried on each organism with each seed. `name` is unlike that of any other, and fit for a file."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...


W = TypeVar("W", bound=Way)


@final
@dataclass(frozen=True, slots=True)
class Place(Generic[W]):
    """Where a cell is. `organism` is a bundled one by name, or a folder with a key beside it."""

    way: W
    organism: str
    seed: int

    @property
    def title(self) -> str:
        return f"{Path(self.organism).name}, seed {self.seed}, {self.way.title}"

    @property
    def name(self) -> str:
        return f"{Path(self.organism).name}-{self.way.name}-{self.seed}"


@final
@dataclass(frozen=True, slots=True)
class Grid(Generic[W]):
    """The places of all cells, which are kept in the folder `out`."""

    out: Path
    ways: Sequence[W]
    organisms: Sequence[str]
    seeds: Sequence[int]

    def places(self) -> Iterator[Place[W]]:
        """All ways of a seed one after the other, so that a grid that is broken off has them side by side."""
        for seed in self.seeds:
            for organism in self.organisms:
                for way in self.ways:
                    yield Place(way, organism, seed)

    def path(self, place: Place[W]) -> Path:
        return self.out / "cells" / f"{place.name}.json"

    def broken_path(self, place: Place[W]) -> Path:
        return self.out / "broken" / f"{place.name}.txt"


class Work(Protocol[W]):
    """What a grid is filled with. It is plain data: it can cross to another process."""

    @property
    def grid(self) -> Grid[W]: ...

    def what(self, place: Place[W]) -> dict[str, Any]:
        """What a cell is of: one that is there is taken for made only where all of that is the same."""
        ...

    def make(self, place: Place[W], on_progress: OnProgress | None) -> dict[str, Any]:
        """The rest of a cell."""
        ...


@final
@dataclass(frozen=True, slots=True)
class Broken:
    """A cell that could not be made, and the file that says how it went."""

    title: str
    reason: str
    file: Path


@final
@dataclass(frozen=True, slots=True)
class Filled:
    """The cells that there are, in the order of their places, and those that could not be made."""

    cells: Sequence[dict[str, Any]]
    broken: Sequence[Broken]


def filled(
    work: Work[W],
    on_cell: OnCell | None = None,
    on_progress: OnProgress | None = None,
    until_s: float | None = None,
    workers: int = 1,
) -> Filled:
    """Make the cells that are not there, `workers` of them at a time, each in a process of its own with one thread.
    With one worker they are made in this process, and `on_progress` is told how far each is. No cell is begun after
    `until_s` of `time.monotonic`. What breaks a cell, whatever it is, is kept in OUT/broken, and the next is made; the
    broken one is tried again when the grid is next filled.

    Raises StoreError where a cell that is there is of something else, or another process is filling the same grid.
    """
    grid = work.grid
    places = list(grid.places())
    grid.out.mkdir(parents=True, exist_ok=True)
    lock = WriterLock(grid.out / "lock.sqlite")
    try:
        todo = deque(place for place in places if known(grid.path(place), work.what(place)) is None)
        n_there = len(places) - len(todo)

        def begun(place: Place[W]) -> None:
            if on_cell is not None:
                on_cell(n_there, len(places), place.title)

        def ended() -> None:
            nonlocal n_there
            n_there += 1

        shutil.rmtree(grid.out / "broken", ignore_errors=True)
        if workers == 1:
            while todo and not _late(until_s):
                begun(todo[0])
                _made(work, todo.popleft(), on_progress)
                ended()
        else:
            _make_beside(work, todo, workers, begun, ended, until_s)
    finally:
        lock.release()
    found = [known(grid.path(place), work.what(place)) for place in places]
    return Filled([cell for cell in found if cell is not None], list(_broken(grid, places)))


def _make_beside(
    work: Work[W],
    todo: deque[Place[W]],
    workers: int,
    begun: Callable[[Place[W]], None],
    ended: Callable[[], None],
    until_s: float | None,
) -> None:
    under_way: dict[Future[None], Place[W]] = {}
    pool = _pool(workers)
    try:
        while True:
            while todo and len(under_way) < workers and not _late(until_s):
                place = todo.popleft()
                begun(place)
                under_way[pool.submit(_made, work, place)] = place
            if not under_way:
                return
            done, _ = wait(under_way, return_when=FIRST_COMPLETED)
            if any(isinstance(future.exception(), BrokenProcessPool) for future in done):
                # A worker was ended from outside, for want of memory as a rule, and with it the pool. Which one it was
                # is not said, so the cell beside it is lost too.
                for place in under_way.values():
                    if known(work.grid.path(place), {}) is None:
                        _keep_broken(work.grid, place, "a process that made cells was ended from outside", "")
                    ended()
                under_way.clear()
                pool.shutdown()
                pool = _pool(workers)
                continue
            for future in done:
                del under_way[future]
                future.result()
                ended()
    finally:
        pool.shutdown(cancel_futures=True)


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_begin_worker)


def _begin_worker() -> None:
    """One thread a worker, and an end with the process that began it, however that ends: a worker that went on would
    write into a grid that somebody else may have taken up."""
    import torch

    torch.set_num_threads(1)
    parent = parent_process()
    assert parent is not None

    def end_with_it() -> None:
        wait_for([parent.sentinel])
        os._exit(1)

    Thread(target=end_with_it, daemon=True).start()


def _made(work: Work[W], place: Place[W], on_progress: OnProgress | None = None) -> None:
    """Make a cell and keep it, or what broke it."""
    try:
        keep(work.grid.path(place), {**work.what(place), **work.make(place, on_progress)})
    except Exception as fault:  # noqa: BLE001 — a night's grid must not end with one cell
        reason = f"{type(fault).__name__}: {fault}".splitlines()[0]
        _keep_broken(work.grid, place, reason, traceback.format_exc())


def _keep_broken(grid: Grid[W], place: Place[W], reason: str, how: str) -> None:
    path = grid.broken_path(place)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{reason}\n\n{how}", encoding="utf-8")


def _broken(grid: Grid[W], places: Sequence[Place[W]]) -> Iterator[Broken]:
    for place in places:
        path = grid.broken_path(place)
        if path.is_file():
            yield Broken(place.title, path.read_text(encoding="utf-8").partition("\n")[0], path)


def _late(until_s: float | None) -> bool:
    return until_s is not None and time.monotonic() >= until_s


def known(path: Path, what: Mapping[str, Any]) -> dict[str, Any] | None:
    """The cell in a file, None where there is none. `what` is what it must be of. Raises StoreError where it was made
    with other settings, or of something else."""
    if not path.is_file():
        return None
    try:
        cell: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as fault:
        raise StoreError(f"{path} is no cell ({fault}); delete it to have it made again") from fault
    for key, value in what.items():
        if cell.get(key) != value:
            raise StoreError(
                f"{path} was made with another {key} ({cell.get(key)!r}, now {value!r}); give another --out, or delete "
                "the cell to have it made again"
            )
    return cell


def keep(path: Path, cell: Mapping[str, Any]) -> None:
    """Write a cell, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".new")
    partial.write_text(json.dumps(cell, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    partial.replace(path)

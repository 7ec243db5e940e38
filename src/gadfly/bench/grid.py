"""A grid of cells: each way on each organism with each seed, one JSON a cell, resumable. Knows not what a cell says.

A cell that is there is not made again; one that was broken off is made anew from its beginning.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, final

from gadfly.errors import StoreError

OnCell = Callable[[int, int, str], None]
"""Gets (cells done, cells in all, the title of the next)."""


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


def filled(
    grid: Grid[W],
    what: Callable[[Place[W]], dict[str, Any]],
    make: Callable[[Place[W]], dict[str, Any]],
    on_cell: OnCell | None = None,
    until_s: float | None = None,
) -> list[dict[str, Any]]:
    """Make the cells that are not there, and return all of them. `what` is what a cell is of: one that is there is
    taken for made only where all of that is the same. `make` gives the rest of it. No cell is begun after `until_s` of
    `time.monotonic`. Raises StoreError where a cell that is there is of something else."""
    places, cells = list(grid.places()), []
    for done, place in enumerate(places):
        of, path = what(place), grid.path(place)
        cell = known(path, of)
        if cell is None:
            if until_s is not None and time.monotonic() >= until_s:
                continue
            if on_cell is not None:
                on_cell(done, len(places), place.title)
            cell = {**of, **make(place)}
            keep(path, cell)
        cells.append(cell)
    return cells


def known(path: Path, what: Mapping[str, Any]) -> dict[str, Any] | None:
    """The cell in a file, None where there is none. `what` is what it must be of. Raises StoreError where it was made
    with other settings, or of something else."""
    if not path.is_file():
        return None
    cell: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
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

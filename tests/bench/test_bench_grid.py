"""A grid of cells: made once, side by side, taken up after a kill, and not lost with a cell that breaks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gadfly.bench.grid import Filled, Grid, OnProgress, Place, filled
from gadfly.errors import StoreError


@dataclass(frozen=True)
class Named:
    name: str

    @property
    def title(self) -> str:
        return f"way {self.name}"


@dataclass(frozen=True)
class Counting:
    """Makes cells that say which process made them; ways end badly, "killed" with its process, as long as there is a
    file of their name in the grid's folder."""

    out: Path
    ways: tuple[Named, ...]
    pause_s: float = 0.0

    @property
    def grid(self) -> Grid[Named]:
        return Grid(self.out, self.ways, ["a"], [0])

    def what(self, place: Place[Named]) -> dict[str, Any]:
        return {"way": place.way.name, "pause_s": self.pause_s}

    def make(self, place: Place[Named], on_progress: OnProgress | None) -> dict[str, Any]:
        time.sleep(self.pause_s)
        if (self.out / place.way.name).exists():
            if place.way.name == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            raise ValueError(f"no luck with {place.way.name}\nand more")
        return {"made_by": os.getpid()}


def counting(out: Path, *names: str, pause_s: float = 0.0) -> Counting:
    return Counting(out, tuple(map(Named, names)), pause_s)


def ways(found: Filled) -> list[str]:
    return [cell["way"] for cell in found.cells]


def test_a_cell_that_breaks_says_why_and_the_others_are_made(tmp_path: Path) -> None:
    work = counting(tmp_path, "x", "bad", "y")
    (tmp_path / "bad").touch()
    found = filled(work)
    assert ways(found) == ["x", "y"]
    assert [(one.title, one.reason) for one in found.broken] == [("a, seed 0, way bad", "ValueError: no luck with bad")]
    assert "in make" in found.broken[0].file.read_text()
    (tmp_path / "bad").unlink()
    again = filled(work)
    assert ways(again) == ["x", "bad", "y"] and not again.broken


def test_cells_are_made_once_and_of_the_same_thing(tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    first = filled(counting(tmp_path, "x"))
    path = tmp_path / "cells" / "a-x-0.json"
    path.write_text(json.dumps({**first.cells[0], "made_by": "hand"}))
    found = filled(counting(tmp_path, "x", "y"), lambda *of: told.append(of))
    assert found.cells[0]["made_by"] == "hand" and told == [(1, 2, "a, seed 0, way y")]
    with pytest.raises(StoreError, match="made with another pause_s"):
        filled(counting(tmp_path, "x", pause_s=1.0))
    assert not filled(counting(tmp_path / "late", "x"), until_s=time.monotonic()).cells
    path.write_text('{"made_by": ')
    with pytest.raises(StoreError, match=r"a-x-0\.json is no cell .*; delete it"):
        filled(counting(tmp_path, "x"))


@pytest.mark.slow
def test_workers_make_cells_beside_each_other(tmp_path: Path) -> None:
    (tmp_path / "bad").touch()
    found = filled(counting(tmp_path, "x", "y", "bad", "z", pause_s=1.0), workers=2)
    assert ways(found) == ["x", "y", "z"] and len(found.broken) == 1
    made_by = {cell["made_by"] for cell in found.cells}
    assert len(made_by) == 2 and os.getpid() not in made_by


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_no_more_than_what_was_under_way(tmp_path: Path) -> None:
    (tmp_path / "killed").touch()
    found = filled(counting(tmp_path, "killed", "x", "y", "z", pause_s=0.5), workers=2)
    lost = {"x", "y", "z"} - set(ways(found))
    assert len(lost) <= 1, "no more than the one that was made beside it"
    assert {one.title for one in found.broken} == {f"a, seed 0, way {way}" for way in {"killed", *lost}}
    assert all("ended from outside" in one.reason for one in found.broken)
    (tmp_path / "killed").unlink()
    assert len(filled(counting(tmp_path, "killed", "x", "y", "z", pause_s=0.5)).cells) == 4


def until(condition: Callable[[], bool], timeout_s: float = 300.0) -> None:
    end_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end_s, "it did not come about"
        time.sleep(0.05)


@pytest.mark.slow
def test_workers_end_with_a_grid_that_is_killed_and_it_is_taken_up(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from test_bench_grid import counting, filled\n"
        "if __name__ == '__main__':\n"
        "    filled(counting(Path(sys.argv[1]), 'x', 'y', 'z', 'u', 'v', 'w', pause_s=2.0), workers=2)\n"
    )
    script = tmp_path / "fill.py"
    script.write_text(program)
    out = tmp_path / "grid"
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    filling = subprocess.Popen([sys.executable, script, out], env={**os.environ, "PYTHONPATH": paths})
    until(lambda: len(list((out / "cells").glob("*.json"))) >= 1)
    with pytest.raises(StoreError, match="another process"):
        filled(counting(out, "x"))
    workers = {json.loads(path.read_text())["made_by"] for path in (out / "cells").glob("*.json")}
    filling.kill()
    filling.wait()
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
    n_made = len(list((out / "cells").glob("*.json")))
    assert n_made < 6
    assert len(filled(counting(out, "x", "y", "z", "u", "v", "w", pause_s=2.0)).cells) == 6

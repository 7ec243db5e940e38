"""The pictures of a training's course and a sweep's coverage: the same bytes each time, and something in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from gadfly.analysis.coverage import Coverage, coverage
from gadfly.analysis.curriculum import Course, Curriculum, curriculum
from gadfly.records import Probe
from gadfly.report.courses import draw_coverage, draw_curriculum
from made_probes import RIGHT, WRONG, make_probe

pytestmark = pytest.mark.filterwarnings("error")


def probes(n_steps: int, *, skill: str = "see.late") -> list[Probe]:
    """Ten a step, of which more and more need `skill`."""
    return [
        make_probe(
            WRONG if i % 3 == 0 else RIGHT,
            f"i{step % 40}",
            i,
            step=step,
            skills=(skill,) if 10 * step > i * n_steps else ("see.early", "see.more"),
            depth=1 + step // 20,
        )
        for step in range(n_steps)
        for i in range(10)
    ]


def course(of: list[Probe]) -> Curriculum:
    found = curriculum(of)
    assert isinstance(found, Curriculum)
    return found


def seen(of: list[Probe]) -> Coverage:
    found = coverage(of)
    assert isinstance(found, Coverage)
    return found


@pytest.mark.parametrize(
    "draw",
    [
        lambda path: draw_curriculum(course(probes(60)), path),
        lambda path: draw_curriculum(course(probes(60, skill="$\\frac{1}{0$ \x1b[31m" + "long " * 40)), path),
        lambda path: draw_coverage(seen(probes(60)), path),
    ],
)
def test_the_same_findings_give_the_same_bytes(draw: Callable[[Path], Path], tmp_path: Path) -> None:
    first, again = draw(tmp_path / "a.png"), draw(tmp_path / "b.png")
    assert first.read_bytes() == again.read_bytes()
    with PIL.Image.open(first) as picture:
        assert len(np.unique(np.asarray(picture.convert("L")))) > 50  # lines, bands and letters


def test_a_training_in_which_nothing_changes_is_drawn_all_the_same(tmp_path: Path) -> None:
    steady = [make_probe(RIGHT, f"i{i}", i % 10, step=i // 10, skills=("k.s",), depth=1) for i in range(300)]
    found = course(steady)
    assert [skill.course for skill in found.skills] == [Course.STEADY]
    assert draw_curriculum(found, tmp_path / "steady.png").stat().st_size > 5000

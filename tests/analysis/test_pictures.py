"""Pictures: the same bytes each time, whatever a model wrote, and right when there is nothing to show."""

from __future__ import annotations

import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gadfly.analysis.skills import skill_table
from gadfly.analysis.training import curves
from gadfly.records import Image, Probe
from gadfly.report.lettering import clean, width_pt, wrap
from gadfly.report.pictures import draw_gallery, draw_skills, draw_training
from made_probes import RIGHT, WRONG, make_probe, make_probes

pytestmark = pytest.mark.filterwarnings("error")

HOSTILE = [
    "costs $5 or $x^2$ or $\\frac{1}{0$",
    "\x1b[31mred\x1b[0m \u202egnitseretni\u202c \x00",
    "漢字 \U0001f9ff \ud800",
    "unbroken" * 400,
    "many words " * 400,
    "",
    " \n\t ",
]


def open_grey(image: Image) -> PIL.Image.Image:
    return PIL.Image.new("RGB", (40, 24), (90, 120, 150))


def probes() -> list[Probe]:
    return [
        probe
        for step in range(6)
        for i in range(4)
        for probe in make_probes(
            "WRWI", f"i{step}{i}", 4 * i, step=step, skills=(f"skill{i}",), terms={"novelty": 0.1 * i}, reward=0.5
        )
    ]


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def training(path: Path) -> Path:
    return draw_training(curves(probes(), 2, rng()), path)


def skills(path: Path) -> Path:
    return draw_skills(skill_table(probes(), rng()), path)


def wrong_answers(path: Path) -> Path:
    return draw_gallery([p for p in probes() if p.verdict is WRONG], open_grey, path)


def no_training(path: Path) -> Path:
    return draw_training([], path)


def no_skills(path: Path) -> Path:
    return draw_skills(skill_table([], rng()), path)


def no_wrong_answers(path: Path) -> Path:
    return draw_gallery([], open_grey, path)


def one_window(path: Path) -> Path:
    return draw_training(curves(make_probes("W", "a"), 5, rng()), path)


def nothing_decided(path: Path) -> Path:
    return draw_training(curves(make_probes("UU", "a") + make_probes("U", "b", step=9), 5, rng()), path)


def one_wrong_answer(path: Path) -> Path:
    return draw_gallery(make_probes("W", "a"), open_grey, path)


ALL = [
    training,
    skills,
    wrong_answers,
    no_training,
    no_skills,
    no_wrong_answers,
    one_window,
    nothing_decided,
    one_wrong_answer,
]


@pytest.mark.parametrize("draw", ALL, ids=lambda draw: draw.__name__)
def test_same_data_same_bytes_and_settings_untouched(draw: Callable[[Path], Path], tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    first, second = draw(tmp_path / "first.png"), draw(tmp_path / "second.png")
    assert first == tmp_path / "first.png"
    assert first.read_bytes() == second.read_bytes()
    assert dict(mpl.rcParams) == before
    with PIL.Image.open(first) as picture:
        assert picture.format == "PNG" and picture.width >= 700
        low, high = picture.convert("L").getextrema()
        assert (low, high) != (255, 255)  # something is drawn, if only a title


def test_hostile_texts_are_drawn_not_interpreted(tmp_path: Path) -> None:
    hostile = [
        make_probe(WRONG, f"i{i}", i, question=text, answer=text, expected=text, skills=(text,), terms={text: 0.5})
        for i, text in enumerate(HOSTILE)
    ]
    hostile.append(make_probe(WRONG, "i9", 9, answer=None, expected=None))
    draw_gallery(hostile, open_grey, tmp_path / "gallery.png")
    draw_skills(skill_table(hostile, rng()), tmp_path / "skills.png")
    draw_training(curves(hostile, 1, rng()), tmp_path / "training.png")


def test_what_open_image_raises_is_not_hidden(tmp_path: Path) -> None:
    def gone(image: Image) -> PIL.Image.Image:
        raise FileNotFoundError(image.path)

    with pytest.raises(FileNotFoundError, match=r"a\.png"):
        draw_gallery(make_probes("W", "a"), gone, tmp_path / "gallery.png")


def test_twelve_are_shown_at_most(tmp_path: Path) -> None:
    opened: list[str] = []

    def count(image: Image) -> PIL.Image.Image:
        opened.append(image.id)
        return open_grey(image)

    draw_gallery([make_probe(WRONG, f"i{i}", i) for i in range(20)], count, tmp_path / "gallery.png")
    assert opened == [f"i{i}" for i in range(12)]


def test_many_skills_keep_the_picture_bounded(tmp_path: Path) -> None:
    many = [make_probe(RIGHT if i % 3 else WRONG, f"i{i}", i, skills=(f"skill{i % 90}",)) for i in range(270)]
    with PIL.Image.open(draw_skills(skill_table(many, rng()), tmp_path / "skills.png")) as picture:
        assert picture.height < 1600


@given(st.text(max_size=200), st.floats(40, 300), st.integers(1, 4))
def test_wrapped_text_fits(text: str, room_pt: float, max_lines: int) -> None:
    lines = wrap(text, room_pt, 8.5, max_lines)
    assert 1 <= len(lines) <= max_lines
    assert all(width_pt(line, 8.5) <= room_pt for line in lines)
    assert not any(unicodedata.category(c).startswith("C") for line in lines for c in line)


def test_wrapping_loses_nothing_that_fits() -> None:
    text = "What is the colour of the arrow to the left of the red square?"
    assert " ".join(wrap(text, 120, 8.5, 10)) == text
    assert "".join(wrap("x" * 100, 120, 8.5, 10)) == "x" * 100
    assert wrap("one two three four five six", 60, 8.5, 1)[0].endswith("…")


def test_clean() -> None:
    assert clean(" a\n\tb\x1b[0m \u202ec ") == "a b[0m c"
    assert clean("\U0001f9ff") == "\N{REPLACEMENT CHARACTER}"
    assert clean("$x^2$") == "$x^2$"


def test_neither_pyplot_nor_torch_is_loaded() -> None:
    program = (
        "import sys, gadfly.report.pictures, gadfly.analysis.summary, gadfly.analysis.comparison\n"
        "print([m for m in ('matplotlib.pyplot', 'torch', 'sklearn', 'sqlite3') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""Conditions of pictures, measured on pictures whose measures can be worked out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as pil
from PIL.Image import Image as Picture

from gadfly.analysis.conditions import (
    Measures,
    conditions,
    measure,
    measure_all,
    read_measures,
    write_measures,
)
from gadfly.errors import ImageError
from gadfly.records import Image

Grey = NDArray[np.uint8]


class Drawn:
    """Pictures in memory; "gone" cannot be opened."""

    def __init__(self, **pictures: Grey) -> None:
        self.pictures = pictures
        self.opened: list[str] = []

    def __len__(self) -> int:
        return len(self.pictures)

    def __iter__(self) -> Iterator[Image]:
        return (self.image(name) for name in self.pictures)

    def image(self, name: str) -> Image:
        return Image(name, f"{name}.png", 8, 8)

    def open(self, image: Image) -> Picture:
        self.opened.append(image.id)
        if image.id not in self.pictures:
            raise ImageError(f"{image.path} is gone")
        return pil.fromarray(self.pictures[image.id]).convert("RGB")


def grey(height: int, width: int, value: int) -> Grey:
    return np.full((height, width), value, dtype=np.uint8)


def test_an_even_picture_has_brightness_only() -> None:
    source = Drawn(a=grey(20, 30, 51))
    # 51/255 = 0.2 everywhere: no gradient, no Laplacian.
    assert astuple(measure(source, source.image("a"))) == pytest.approx((0.2, 0.0, 0.0, 1.5, None))


def test_an_edge_by_hand() -> None:
    picture = grey(6, 6, 0)
    picture[:, 3:] = 255
    source = Drawn(a=picture)
    found = measure(source, source.image("a"))
    # Half is white. Of six columns the two at the edge have half a central difference of 0.5 > 0.1: 1/3 of the pixels.
    # The Laplacian is 1 in column 2, -1 in column 3, else 0: mean 0, variance 2/6.
    assert astuple(found) == pytest.approx((0.5, 1 / 3, 1 / 3, 1.0, None))


def test_a_measure_does_not_depend_on_the_camera() -> None:
    rng = np.random.default_rng(0)
    small = rng.integers(256, size=(256, 128), dtype=np.uint8)
    source = Drawn(small=small, large=np.kron(small, np.ones((4, 4), dtype=np.uint8)))
    one, other = (measure(source, source.image(name)) for name in ("small", "large"))
    assert other.sharpness == pytest.approx(one.sharpness, rel=0.01)
    assert other.clutter == pytest.approx(one.clutter, rel=0.01)


def test_thirds_divide_and_equal_measures_say_nothing() -> None:
    measures = {f"i{i}": Measures(i / 10, 0.5, 0.0, 1.0) for i in range(9)}
    found = conditions(measures)
    # 0 to 8: a third of nine is three; the cuts lie at 2.67 and 5.33.
    assert [found[f"i{i}"] for i in range(9)] == [
        (f"image:brightness.{name}",) for name in ("low", "middle", "high") for _ in range(3)
    ]
    assert conditions({}) == {}
    assert conditions({"a": Measures(0.5, 0.1, 0.1, 2.0)}) == {"a": ()}


def test_new_images_are_named_by_the_thirds_of_the_run() -> None:
    run = {f"i{i}": Measures(i / 10, 0.5, 0.0, 1.0) for i in range(9)}  # cuts at 0.267 and 0.533
    new = {"x": Measures(0.3, 0.9, 0.0, 1.0), "y": Measures(0.9, 0.1, 0.0, 1.0)}
    # Sharpness does not divide the run's images, so no mode of the run knows it.
    assert conditions(new, run) == {"x": ("image:brightness.middle",), "y": ("image:brightness.high",)}
    assert conditions(new, {}) == {"x": (), "y": ()}


def test_object_size_divides_the_images_whose_objects_are_known() -> None:
    sizes = (0.1, None, 0.2, 0.3)
    found = conditions({f"i{i}": Measures(0.5, 0.5, 0.5, 1.0, size) for i, size in enumerate(sizes)})
    assert [found[f"i{i}"] for i in range(4)] == [
        ("image:object_size.low",),
        (),
        ("image:object_size.middle",),
        ("image:object_size.high",),
    ]


def test_aspect_has_fixed_bounds() -> None:
    measures = {f"{aspect}": Measures(0.5, 0.5, 0.5, aspect) for aspect in (4 / 3, 1.1, 1.0, 3 / 4)}
    assert list(conditions(measures).values()) == [
        ("image:aspect.tall",),
        ("image:aspect.square",),
        ("image:aspect.square",),
        ("image:aspect.wide",),
    ]  # in the order of ids: 0.75, 1.0, 1.1, 1.333


def test_what_is_known_is_not_opened_and_what_is_gone_has_none(tmp_path: Path) -> None:
    source = Drawn(a=grey(4, 4, 0), b=grey(4, 4, 255))
    told: list[tuple[int, int]] = []
    wanted = [source.image(name) for name in ("a", "b", "gone", "a")]
    known = {"a": Measures(0.1, 0.2, 0.3, 0.4), "elsewhere": Measures(0, 0, 0, 1)}
    found = measure_all(source, wanted, known, {"b": 0.25, "a": 0.5}, lambda done, total: told.append((done, total)))
    assert set(found) == {"a", "b"} and found["a"] == known["a"] and source.opened == ["b", "gone"]
    assert told == [(1, 2), (2, 2)] and found["b"].object_size == 0.25
    write_measures(tmp_path / "m.json", found)
    assert read_measures(tmp_path / "m.json") == found


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', '{"format": 1, "images": {"a": {"x": 1}}}', "null"])
def test_a_torn_file_is_no_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "m.json").write_text(text)
    assert read_measures(tmp_path / "m.json") == {}
    assert read_measures(tmp_path / "none.json") == {}

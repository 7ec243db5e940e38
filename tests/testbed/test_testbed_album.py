"""Rendered folders, and the same scenes as an image source in memory."""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from gadfly.errors import TestbedError
from gadfly.testbed.album import SCENES_FILE, SceneSource, read_scenes, render
from gadfly.testbed.drawing import draw
from gadfly.testbed.scenes import generate


def test_render_and_read_back(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "album"
    done: list[int] = []
    render(folder, n=5, split="fresh", seed=3, on_progress=done.append)
    assert done == [1, 2, 3, 4, 5]
    names = [f"{i:06d}.png" for i in range(5)]
    assert sorted(p.name for p in folder.iterdir()) == [*names, SCENES_FILE]
    scenes = read_scenes(folder)
    assert list(scenes.values()) == list(itertools.islice(generate("fresh", 3), 5))
    # A folder's images are known by the SHA-256 of their files.
    assert list(scenes) == [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names]
    for name, scene in zip(names, scenes.values(), strict=True):
        with PIL.Image.open(folder / name) as picture:
            assert picture.mode == "RGB" and np.array_equal(np.asarray(picture), draw(scene))


def test_a_source_in_memory_is_the_folder(tmp_path: Path) -> None:
    render(tmp_path, n=4, split="probe", seed=0, level="busy")
    source = SceneSource(itertools.islice(generate("probe", 0, "busy"), 4))
    assert source.scenes == read_scenes(tmp_path)
    assert len(source) == 4
    for image in source:
        assert image.id == hashlib.sha256((tmp_path / image.path).read_bytes()).hexdigest()
        picture = source.open(image)
        assert (picture.mode, picture.size) == ("RGB", (image.width_px, image.height_px))
        with PIL.Image.open(tmp_path / image.path) as file:
            assert file.tobytes() == picture.tobytes()


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"mine")
    with pytest.raises(TestbedError, match="already holds something"):
        render(tmp_path, n=1, split="fresh", seed=0)
    with pytest.raises(TestbedError, match="already holds something"):
        render(tmp_path / "holiday.jpg", n=1, split="fresh", seed=0)
    assert [p.name for p in tmp_path.iterdir()] == ["holiday.jpg"]


def test_a_bad_split_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(TestbedError, match="no testbed split"):
        render(tmp_path / "album", n=1, split="nonsense", seed=0)
    assert not (tmp_path / "album").exists()


def test_no_images(tmp_path: Path) -> None:
    render(tmp_path, n=0, split="fresh", seed=0)
    assert read_scenes(tmp_path) == {}


def test_torn_or_missing_annotations(tmp_path: Path) -> None:
    with pytest.raises(TestbedError, match=r"has no scenes\.jsonl"):
        read_scenes(tmp_path)
    render(tmp_path, n=2, split="fresh", seed=0)
    file = tmp_path / SCENES_FILE
    whole = file.read_text()
    for torn in (whole[:-20], whole + "[]\n", whole + '{"sha256": "0"}\n', whole + '{"sha256": "0", "scene": 1}\n'):
        file.write_text(torn)
        with pytest.raises(TestbedError, match=r"scenes\.jsonl, line [23]: not a scene"):
            read_scenes(tmp_path)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TestbedError, match="not UTF-8"):
        read_scenes(tmp_path)

"""FolderSource on folders made here: identity, order, what is left out and why, moved files, the cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as pil

from gadfly.errors import ConfigError, ImageError
from gadfly.images.conformance import check_image_source
from gadfly.images.folder import FolderSource
from gadfly.images.split import split_of


def paint(path: Path, colour: tuple[int, int, int] = (10, 20, 30), size: tuple[int, int] = (8, 6)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pil.new("RGB", size, colour).save(path)
    return path


def reasons(source: FolderSource) -> dict[str, str]:
    return {one.path: one.reason for one in source.skipped}


def test_images_come_in_the_order_of_their_paths_with_hash_and_size(tmp_path: Path) -> None:
    first = paint(tmp_path / "a" / "z.png", (1, 1, 1), (5, 7))
    paint(tmp_path / "b.png", (2, 2, 2))
    paint(tmp_path / "a" / "deep" / "c.jpg", (3, 3, 3))
    source = FolderSource(tmp_path)
    assert [image.path for image in source] == ["a/deep/c.jpg", "a/z.png", "b.png"]
    image = list(source)[1]
    assert image.id == hashlib.sha256(first.read_bytes()).hexdigest()
    assert (image.width_px, image.height_px) == (5, 7)
    check_image_source(source)


def test_equal_bytes_count_once_and_both_paths_find_them(tmp_path: Path) -> None:
    shutil.copy(paint(tmp_path / "b.png"), tmp_path / "a.png")
    source = FolderSource(tmp_path)
    assert [image.path for image in source] == ["a.png"]
    image = next(iter(source))
    assert source.find("b.png") == source.find("./a.png") == source.find(image.id) == image
    assert source.find("c.png") is None and source.find("../a.png") is None


def test_what_is_left_out_is_listed_with_its_reason(tmp_path: Path) -> None:
    paint(tmp_path / "good.png")
    (tmp_path / "fake.jpg").write_text("not a picture")
    (tmp_path / "empty.png").touch()
    (tmp_path / "cut.png").write_bytes((tmp_path / "good.png").read_bytes()[:50])
    paint(tmp_path / "large.png", size=(200, 100))
    paint(tmp_path / "heavy.bmp", size=(90, 90))  # 24,354 bytes
    os.mkfifo(tmp_path / "pipe.jpg")
    for silent in ("notes.txt", "answers.jsonl", "meta.JSON", "table.csv", ".DS_Store", "._good.png"):
        (tmp_path / silent).write_text("{}")
    paint(tmp_path / ".hidden" / "thumb.png")
    source = FolderSource(tmp_path, max_pixels=10_000, max_file_bytes=20_000)
    assert [image.path for image in source] == ["good.png"]
    found = reasons(source)
    assert sorted(found) == ["cut.png", "empty.png", "fake.jpg", "heavy.bmp", "large.png", "pipe.jpg"]
    assert found["fake.jpg"] == found["empty.png"] == "not a picture in a format that can be read"
    assert "200 x 100 is over the limit of 10,000 pixels" in found["large.png"]
    assert "over the limit of 20,000" in found["heavy.bmp"]
    assert found["pipe.jpg"] == "not a regular file"
    assert "\n" not in "".join(found.values())


def test_symbolic_links_that_lead_out_are_refused(tmp_path: Path) -> None:
    outside = paint(tmp_path / "outside" / "secret.png", (9, 9, 9))
    root = tmp_path / "root"
    paint(root / "sub" / "own.png")
    (root / "leak.png").symlink_to(outside)
    (root / "leak").symlink_to(outside.parent)
    (root / "inside.png").symlink_to(root / "sub" / "own.png")
    (root / "nowhere.png").symlink_to(root / "gone.png")
    (root / "loop").symlink_to(root)
    source = FolderSource(root)
    assert [image.path for image in source] == ["inside.png"]
    assert reasons(source) == {
        "leak": "a symbolic link that leads out of the folder",
        "leak.png": "a symbolic link that leads out of the folder",
        "nowhere.png": "a symbolic link that leads nowhere",
    }
    (tmp_path / "link").symlink_to(root)
    assert len(FolderSource(tmp_path / "link")) == 1  # the root itself may be a link


def test_archives_are_never_unpacked(tmp_path: Path) -> None:
    """So nothing in one can lead out of the folder, or fill the disk. One that calls itself a picture is none."""
    root = tmp_path / "root"
    secret = paint(root / "own.png").read_bytes()
    for name in ("album.zip", "album.png"):
        with zipfile.ZipFile(root / name, "w") as archive:
            archive.writestr("../escaped.png", secret)
            archive.writestr("inner.png", secret)
    with tarfile.open(root / "album.tar.gz", "w:gz") as archive_tar:
        archive_tar.add(root / "own.png", "../escaped.png")
    before = sorted(tmp_path.rglob("*"))
    source = FolderSource(root)
    assert [image.path for image in source] == ["own.png"]
    assert reasons(source) == {"album.png": "not a picture in a format that can be read"}
    assert source.find("album.zip/inner.png") is None
    assert sorted(tmp_path.rglob("*")) == before


def test_no_folder_or_nothing_in_it_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="is not there"):
        FolderSource(tmp_path / "missing")
    with pytest.raises(ImageError, match=r"no usable picture in .* \(0 files skipped\)"):
        FolderSource(tmp_path)
    (tmp_path / "a.jpg").write_text("x")
    with pytest.raises(ImageError, match=r"\(1 files skipped; the first: a\.jpg: not a picture") as caught:
        FolderSource(tmp_path)
    assert "\n" not in str(caught.value)
    with pytest.raises(ImageError, match="is a file"):
        FolderSource(tmp_path / "a.jpg")


@pytest.mark.parametrize("limits", [{"max_pixels": 0}, {"max_pixels": 10**12}, {"max_side_px": 0}])
def test_limits_out_of_range_are_refused(tmp_path: Path, limits: dict[str, Any]) -> None:
    paint(tmp_path / "a.png")
    with pytest.raises(ConfigError):
        FolderSource(tmp_path, **limits)


def test_a_picture_that_moved_is_found_by_its_hash(tmp_path: Path) -> None:
    file = paint(tmp_path / "a.png", (1, 2, 3))
    other = paint(tmp_path / "b.png", (4, 5, 6))
    source = FolderSource(tmp_path, cache_pixels=0)
    image = source.find("a.png")
    assert image is not None
    (tmp_path / "sub").mkdir()
    file.rename(tmp_path / "sub" / "renamed.png")
    other.rename(file)  # its old place now holds another picture
    assert source.open(image).getpixel((0, 0)) == (1, 2, 3)
    (tmp_path / "sub" / "renamed.png").unlink()
    with pytest.raises(ImageError, match=r"^a\.png: no file with these bytes"):
        source.open(image)


def test_a_picture_that_was_never_there_is_not_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paint(tmp_path / "here" / "a.png", (1, 2, 3))
    paint(tmp_path / "elsewhere" / "b.png", (4, 5, 6))
    source = FolderSource(tmp_path / "here")
    (other,) = FolderSource(tmp_path / "elsewhere")
    monkeypatch.setattr("gadfly.images.folder._walk", lambda root: pytest.fail("it would cost a walk for each"))
    with pytest.raises(ImageError, match=r"^b\.png: no file with these bytes was in the folder"):
        source.open(other)


def test_opening_gives_a_copy_from_a_cache_bounded_in_pixels(tmp_path: Path) -> None:
    for index in range(3):
        paint(tmp_path / f"{index}.png", (index, 0, 0), (10, 10))
    source = FolderSource(tmp_path, cache_pixels=250)
    zero, one, two = source
    source.open(zero).putpixel((0, 0), (255, 255, 255))
    assert source.open(zero).getpixel((0, 0)) == (0, 0, 0)
    source.open(one)
    source.open(zero)  # now the latest used of the two
    source.open(two)  # 300 pixels are too many: 1 goes, 0 stays
    shutil.rmtree(tmp_path)
    assert source.open(zero).getpixel((0, 0)) == (0, 0, 0)
    assert source.open(two).getpixel((0, 0)) == (2, 0, 0)
    with pytest.raises(ImageError):
        source.open(one)


def test_max_side_changes_the_picture_not_the_record(tmp_path: Path) -> None:
    paint(tmp_path / "a.png", size=(80, 40))
    source = FolderSource(tmp_path, max_side_px=20)
    image = next(iter(source))
    assert (image.width_px, image.height_px) == (80, 40)
    assert source.open(image).size == (20, 10)


def test_pixels_broken_behind_a_sound_header_raise_image_error_on_opening(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    pil.fromarray(noise).save(tmp_path / "a.png")
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[len(data) // 2] ^= 0xFF
    (tmp_path / "a.png").write_bytes(data)
    source = FolderSource(tmp_path)
    with pytest.raises(ImageError, match=r"^a\.png: cannot be decoded"):
        source.open(next(iter(source)))


@given(st.text(), st.floats(0, 0.99), st.floats(0, 0.99), st.integers())
def test_a_larger_share_only_adds_to_the_held_out(image_id: str, a: float, b: float, seed: int) -> None:
    if split_of(image_id.encode(errors="ignore").decode(), min(a, b), seed) == "heldout":
        assert split_of(image_id.encode(errors="ignore").decode(), max(a, b), seed) == "heldout"


def test_the_held_out_share_is_met_and_the_seed_matters() -> None:
    ids = [hashlib.sha256(bytes([i % 256, i // 256])).hexdigest() for i in range(4000)]
    held = [split_of(one, 0.25, 7) == "heldout" for one in ids]
    # Binomial(4000, 0.25): mean 1000, deviation sqrt(4000 * 0.25 * 0.75) = 27.4; five of them is 137.
    assert abs(sum(held) - 1000) < 137
    assert held != [split_of(one, 0.25, 8) == "heldout" for one in ids]
    assert not any(split_of(one, 0.0) == "heldout" for one in ids)
    # SHA-256 of "0:abc" begins with this; worked with sha256sum: the split must never change between versions.
    place = int(hashlib.sha256(b"0:abc").hexdigest()[:16], 16) / 2**64
    assert split_of("abc", place + 1e-6) == "heldout" and split_of("abc", place - 1e-6) == "train"
    for share in (-0.1, 1.0, float("nan")):
        with pytest.raises(ConfigError):
            split_of("abc", share)

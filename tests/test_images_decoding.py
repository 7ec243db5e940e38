"""Real files of every kind, written here and read back; and the photographs of scikit-image and scikit-learn."""

from __future__ import annotations

import io
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage
import sklearn
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as pil
from PIL import ImageOps, features

from gadfly.errors import ImageError
from gadfly.images.decoding import decode, read_size_px

RED = (200, 0, 0)


def encoded(picture: pil.Image, picture_format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, picture_format, **options)
    return buffer.getvalue()


def solid(mode: str, colour: Any, size: tuple[int, int] = (40, 20)) -> pil.Image:
    return pil.new(mode, size, colour)


def close_to(picture: pil.Image, colour: tuple[int, int, int], tolerance: int = 6) -> bool:
    return bool(np.abs(np.asarray(picture).astype(int) - np.array(colour)).max() <= tolerance)


@pytest.mark.parametrize("picture_format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF"])
def test_every_format_becomes_rgb(picture_format: str) -> None:
    if picture_format == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    data = encoded(solid("RGB", RED), picture_format)
    picture = decode(data)
    assert read_size_px(data) == picture.size == (40, 20)
    assert picture.mode == "RGB" and close_to(picture, RED)


@pytest.mark.parametrize(
    ("picture", "picture_format", "expected"),
    [
        (solid("L", 77), "PNG", (77, 77, 77)),
        (solid("1", 1), "PNG", (255, 255, 255)),
        (solid("I;16", 0x8040), "PNG", (128, 128, 128)),  # the upper eight bits: 0x80 = 128
        (solid("I;16", 0x8040), "TIFF", (128, 128, 128)),
        (solid("CMYK", (0, 255, 255, 55)), "JPEG", RED),  # 255 - 55 = 200 of red, none of the others
        (solid("RGB", RED).quantize(4), "PNG", RED),
        (solid("RGBA", (255, 0, 0, 0)), "PNG", (255, 255, 255)),  # wholly transparent: only the white shows
        (solid("RGBA", (0, 0, 0, 51)), "PNG", (204, 204, 204)),  # 255 * (1 - 51/255) = 204
        (solid("LA", (0, 51)), "PNG", (204, 204, 204)),
        (solid("RGBA", (255, 0, 0, 0)), "WEBP", (255, 255, 255)),
    ],
)
def test_pixel_formats(picture: pil.Image, picture_format: str, expected: tuple[int, int, int]) -> None:
    assert close_to(decode(encoded(picture, picture_format)), expected)


def test_palette_with_a_transparent_entry_is_composited_on_white() -> None:
    picture = pil.new("P", (4, 4), 1)
    picture.putpalette([0, 0, 0, 10, 20, 30])
    assert close_to(decode(encoded(picture, "PNG", transparency=1)), (255, 255, 255), 0)
    assert close_to(decode(encoded(picture, "PNG")), (10, 20, 30), 0)


@pytest.mark.parametrize("picture_format", ["GIF", "WEBP", "PNG"])
def test_an_animation_gives_its_first_frame(picture_format: str) -> None:
    frames = [solid("RGB", RED), solid("RGB", (0, 0, 200))]
    data = encoded(frames[0], picture_format, save_all=True, append_images=frames[1:])
    assert close_to(decode(data), RED)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("picture_format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_rotation_is_applied_and_the_size_says_so(picture_format: str, orientation: int) -> None:
    # One bright corner tells all eight orientations apart once the sides differ.
    pixels = np.zeros((32, 64, 3), np.uint8)
    pixels[:16, :16] = (255, 0, 0)
    pixels[16:, :16] = (0, 255, 0)
    exif = pil.Exif()
    exif[0x0112] = orientation
    options: dict[str, dict[str, Any]] = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95, "subsampling": 0}}
    data = encoded(pil.fromarray(pixels), picture_format, exif=exif, **options.get(picture_format, {}))
    # Pillow's own reading of the tag is the reference.
    with pil.open(io.BytesIO(data)) as opened:
        expected = ImageOps.exif_transpose(opened).convert("RGB")
    picture = decode(data)
    assert expected.size == ((64, 32) if orientation < 5 else (32, 64))
    assert read_size_px(data) == picture.size == expected.size
    assert np.array_equal(np.asarray(picture), np.asarray(expected))


def test_broken_exif_does_not_spoil_a_picture() -> None:
    data = encoded(solid("RGB", RED), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff")
    assert read_size_px(data) == (40, 20)
    assert close_to(decode(data), RED)


@pytest.mark.parametrize("picture_format", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
def test_a_file_cut_short_is_refused_when_it_is_found(picture_format: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    data = encoded(pil.fromarray(noise), picture_format)
    read_size_px(data)
    with pytest.raises(ImageError):
        read_size_px(data[: len(data) * 2 // 3])


def test_a_jpeg_cut_short_behind_its_thumbnail_is_refused() -> None:
    # The thumbnail inside EXIF has an end-of-image marker of its own, which must not be taken for the picture's.
    thumbnail = encoded(solid("RGB", RED, (16, 16)), "JPEG")
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    data = encoded(pil.fromarray(noise), "JPEG", exif=b"Exif\x00\x00" + thumbnail)
    read_size_px(data)
    with pytest.raises(ImageError, match="cut short"):
        read_size_px(data[:-200])


def test_over_the_pixel_limit_is_refused_from_the_header() -> None:
    # 30,000 x 30,000 white pixels in a few kilobytes: decoding them would take 2.7 GB.
    header = encoded(solid("1", 1, (30_000, 3_000)), "PNG")
    with pytest.raises(ImageError, match=r"30000 x 3000 is over the limit of 64,000,000 pixels"):
        read_size_px(header)
    with pytest.raises(ImageError, match="over the limit"):
        decode(encoded(solid("RGB", RED, (101, 100)), "PNG"), max_pixels=10_000)
    assert decode(encoded(solid("RGB", RED, (100, 100)), "PNG"), max_pixels=10_000).size == (100, 100)


def test_pixels_without_a_fixed_range_are_refused() -> None:
    with pytest.raises(ImageError, match="pixel format F"):
        read_size_px(encoded(solid("F", 0.5), "TIFF"))


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_nothing_but_image_error(data: bytes) -> None:
    for prefix in (b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"RIFF\x10\x00\x00\x00WEBP"):
        with pytest.raises(ImageError):
            read_size_px(prefix + data)


@given(st.data())
def test_a_damaged_picture_decodes_or_raises_image_error(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(_SOUND)))
    damaged = bytearray(_SOUND[name])
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        picture = decode(bytes(damaged), max_pixels=1_000_000)
    except ImageError as error:
        fault = str(error)
    else:
        assert picture.mode == "RGB"
        return
    assert "\n" not in fault


_GRADIENT = pil.fromarray(np.arange(24 * 24 * 3, dtype=np.uint16).astype(np.uint8).reshape(24, 24, 3))
_SOUND = {name: encoded(_GRADIENT, name) for name in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP")}


def test_max_side_brings_down_and_never_up() -> None:
    data = encoded(solid("RGB", RED, (400, 100)), "JPEG")
    assert decode(data, max_side_px=100).size == (100, 25)
    assert decode(data, max_side_px=1000).size == (400, 100)


def photographs() -> list[Path]:
    folders = [Path(skimage.__file__).parent / "data", Path(sklearn.__file__).parent / "datasets" / "images"]
    return sorted(file for folder in folders for file in folder.iterdir() if file.suffix in {".png", ".jpg", ".gif"})


@pytest.mark.parametrize("file", photographs(), ids=lambda file: file.name)
def test_photographs_of_other_libraries(file: Path) -> None:
    data = file.read_bytes()
    picture = decode(data)
    assert picture.mode == "RGB" and picture.size == read_size_px(data)
    # Not blank, save for those that hold one colour: a wrong conversion of 16 bits or alpha gives a white sheet.
    assert np.asarray(picture).std() > 1


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")


@pytest.mark.parametrize(
    ("kind", "head"), [(b"zTXt", b"Comment\0\0"), (b"iCCP", b"profile\0\0"), (b"iTXt", b"Comment\0\1\0\0\0")]
)
def test_metadata_that_unpacks_without_end_is_refused(kind: bytes, head: bytes) -> None:
    # 200 MB of zeros in 200 kB, before the pixels of a sound picture: the header ends after 8 + 25 bytes.
    sound = encoded(solid("RGB", RED), "PNG")
    bomb = sound[:33] + png_chunk(kind, head + zlib.compress(bytes(200_000_000), 9)) + sound[33:]
    assert len(bomb) < 300_000
    tracemalloc.start()
    try:
        with pytest.raises(ImageError, match=r"too large|cannot be decoded"):
            decode(bomb)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 20_000_000


def test_the_limit_that_was_set_holds_for_every_format() -> None:
    """Some formats are decoded whole to see whether they are: within the limit that was set, not the default one."""
    large = encoded(solid("1", 1, (10_000, 7_000)), "TIFF", compression="group4")  # 70 MP, above the default of 64
    with pytest.raises(ImageError, match="over the limit of 64,000,000"):
        read_size_px(large)
    assert read_size_px(large, max_pixels=80_000_000) == (10_000, 7_000)

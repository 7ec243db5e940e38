"""Turns the bytes of one picture file into RGB pixels, or says why it cannot. Knows nothing of folders or paths.

Only formats that Pillow decodes by itself are let in: a file that somebody else made must not start Ghostscript.
"""

from __future__ import annotations

import io
import warnings
from typing import Final

import numpy as np
from PIL import Image as pil
from PIL import UnidentifiedImageError
from PIL.Image import Image as Picture

from gadfly.errors import ImageError

FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")
"""MPO, which many phones write under the name .jpg, comes in through Pillow's JPEG reader."""

MAX_PIXELS: Final = 64_000_000
"""The default pixel limit: above what cameras of 2026 give, and 192 MB once decoded."""

HARD_MAX_PIXELS: Final = 178_956_970
"""Pillow refuses above this whatever is asked (twice its MAX_IMAGE_PIXELS), so no limit may be set higher."""

_SIXTEEN_BIT: Final = frozenset({"I", "I;16", "I;16L", "I;16B", "I;16N"})
_MODES: Final = _SIXTEEN_BIT | {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"}
_ORIENTATION_TAG: Final = 0x0112
_TRANSPOSITIONS: Final = {
    2: pil.Transpose.FLIP_LEFT_RIGHT,
    3: pil.Transpose.ROTATE_180,
    4: pil.Transpose.FLIP_TOP_BOTTOM,
    5: pil.Transpose.TRANSPOSE,
    6: pil.Transpose.ROTATE_270,
    7: pil.Transpose.TRANSVERSE,
    8: pil.Transpose.ROTATE_90,
}
"""EXIF orientation to what undoes it (Exif 2.32, table 6, tag 0x0112). 5 to 8 exchange width and height."""


def read_size_px(data: bytes, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """(width, height) after EXIF rotation, from the header alone, with cheap checks that the rest of the file is there.

    Raises ImageError: not a picture, a pixel format without a fixed range, over `max_pixels`, cut short.
    """
    with _Opened(data, max_pixels) as picture:
        width_px, height_px = picture.size
        swapped = _orientation(picture, data) >= 5
        _check_complete(data, picture.format, max_pixels)
    return (height_px, width_px) if swapped else (width_px, height_px)


def decode(data: bytes, max_pixels: int = MAX_PIXELS, max_side_px: int | None = None) -> Picture:
    """The first frame as 8-bit RGB, EXIF rotation applied, transparency composited on white.

    16-bit grey keeps its upper eight bits. Colour profiles are dropped, not applied: models are trained that way.
    With `max_side_px` the longer side is brought down to it (never up). Raises ImageError.
    """
    with _Opened(data, max_pixels) as picture:
        orientation = _orientation(picture, data)
        if max_side_px is not None:
            # Twice the wanted size is left for the resampling filter; JPEG alone can skip the rest (a no-op elsewhere).
            picture.draft(None, (2 * max_side_px, 2 * max_side_px))
        rgb = _to_rgb(picture)
    if max_side_px is not None and max(rgb.size) > max_side_px:
        rgb.thumbnail((max_side_px, max_side_px), pil.Resampling.LANCZOS)
    return rgb.transpose(_TRANSPOSITIONS[orientation]) if orientation in _TRANSPOSITIONS else rgb


class _Opened:
    """A `with` that opens a picture, checks its header, and turns whatever a decoder raises into an ImageError."""

    def __init__(self, data: bytes, max_pixels: int) -> None:
        self._data = data
        self._max_pixels = max_pixels

    def __enter__(self) -> Picture:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # odd metadata, and Pillow's own size warning: ours is checked below
                picture = pil.open(io.BytesIO(self._data), formats=FORMATS)
        except UnidentifiedImageError:
            raise ImageError("not a picture in a format that can be read") from None
        except pil.DecompressionBombError:
            raise ImageError(f"over Pillow's limit of {HARD_MAX_PIXELS:,} pixels") from None
        except Exception as error:
            raise ImageError(_reason(error)) from error
        width_px, height_px = picture.size
        if width_px * height_px > self._max_pixels:
            raise ImageError(f"{width_px} x {height_px} is over the limit of {self._max_pixels:,} pixels")
        if picture.mode not in _MODES:
            raise ImageError(f"pixel format {picture.mode} is not supported; save it as 8-bit RGB or grey")
        self._picture = picture
        return picture

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._picture.close()
        # Decoders raise OSError, SyntaxError, struct.error, zlib.error, ValueError…: all say that the file is broken.
        if isinstance(error, Exception) and not isinstance(error, ImageError):
            raise ImageError(_reason(error)) from error


def _reason(error: Exception) -> str:
    return f"cannot be decoded: {' '.join(str(error).split()) or type(error).__name__}"


def _orientation(picture: Picture, data: bytes) -> int:
    """EXIF orientation, 1 where there is none or it cannot be parsed: broken metadata does not spoil a picture."""
    # Asking a PNG for EXIF decodes all of it, so look first whether it holds any.
    if picture.format == "PNG" and not any(mark in data for mark in (b"eXIf", b"exif", b"adobe.xmp")):
        return 1
    if picture.format == "TIFF":  # Pillow turns these by itself
        return 1
    try:
        value = picture.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # noqa: BLE001 - Pillow's EXIF parser raises whatever broken metadata provokes
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _check_complete(data: bytes, picture_format: str | None, max_pixels: int) -> None:
    """Raise ImageError where the end of the file is missing, without decoding pixels."""
    match picture_format:
        case "JPEG" | "MPO":
            # In entropy-coded data 0xFF is followed by 0x00 or a restart marker (ITU-T T.81, B.1.1.5), so an
            # end-of-image marker after the last start-of-scan is a real one. A thumbnail's comes before it.
            complete = data.rfind(b"\xff\xd9") > data.rfind(b"\xff\xda")
        case "PNG":
            complete = data.rfind(b"IEND") >= 0
        case "WEBP":
            complete = len(data) >= int.from_bytes(data[4:8], "little") + 8
        case _:
            decode(data, max_pixels)  # rare and small in practice: no cheaper check is worth its code
            complete = True
    if not complete:
        raise ImageError("cut short: the end of the file is missing")


def _to_rgb(picture: Picture) -> Picture:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if picture.mode in _SIXTEEN_BIT:
            return _grey_to_rgb(picture)
        if picture.has_transparency_data:
            rgba = picture.convert("RGBA")
            white = pil.new("RGBA", rgba.size, (255, 255, 255, 255))
            return pil.alpha_composite(white, rgba).convert("RGB")
        return picture.convert("RGB")


def _grey_to_rgb(picture: Picture) -> Picture:
    """Pillow's own conversion clips 16-bit values at 255, which turns most such pictures white."""
    grey_H_W = np.asarray(picture).astype(np.int64)
    low, high = int(grey_H_W.min()), int(grey_H_W.max())
    if low < 0 or high > 65535:
        raise ImageError(f"grey values from {low} to {high} are outside 16 bits; save it as 8-bit grey")
    return pil.fromarray((grey_H_W >> 8).astype(np.uint8)).convert("RGB")

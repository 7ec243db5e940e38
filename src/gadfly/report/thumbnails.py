"""Pictures small enough for a page, as data: URLs, within a budget of bytes. Knows nothing of what was asked."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

from PIL.Image import Image as Picture
from PIL.Image import Resampling

from gadfly.errors import ImageError
from gadfly.records import Image

OpenImage = Callable[[Image], Picture]

SIDE_PX: Final = 288
SMALL_PX: Final = 160
"""Up to this side a picture keeps its size, and is enlarged pixel by pixel."""

QUALITY: Final = 72
SMALL_QUALITY: Final = 88  # where every pixel is seen


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A picture in a page. `small` ones are shown pixel by pixel."""

    url: str
    width_px: int
    height_px: int
    small: bool


@final
class Thumbnails:
    """Makes each picture once. Once `budget_bytes` of data: URLs are given out there are no more: the text stays."""

    def __init__(self, open_image: OpenImage, budget_bytes: int) -> None:
        self._open_image = open_image
        self._left_bytes = budget_bytes
        self._made: dict[str, Thumbnail | None] = {}

    def of(self, image: Image) -> Thumbnail | None:
        """The thumbnail; None where the picture is gone or broken, or the budget spent."""
        if image.id not in self._made:
            self._made[image.id] = self._make(image)
        found = self._made[image.id]
        if found is None or len(found.url) > self._left_bytes:
            return None
        self._left_bytes -= len(found.url)
        return found

    def _make(self, image: Image) -> Thumbnail | None:
        if self._left_bytes <= 0:
            return None
        try:
            picture = self._open_image(image).convert("RGB")
        except ImageError:
            return None
        small = max(picture.size) <= SMALL_PX
        picture.thumbnail((SIDE_PX, SIDE_PX), Resampling.LANCZOS)
        data = io.BytesIO()
        picture.save(data, "WEBP", quality=SMALL_QUALITY if small else QUALITY, method=4)
        url = f"data:image/webp;base64,{base64.b64encode(data.getvalue()).decode('ascii')}"
        return Thumbnail(url, *picture.size, small)

"""Turns pictures into data URLs for a server that is to see them. Knows nothing of chats or of HTTP."""

from __future__ import annotations

import asyncio
import base64
import io
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Final, Literal, Self

from PIL.Image import Image as Picture
from PIL.Image import Resampling

from gadfly.records import Image

ImageFormat = Literal["png", "jpeg"]

_JPEG_QUALITY: Final = 95
_PNG_COMPRESS_LEVEL: Final = 3  # a third of the time of Pillow's 6, for files a few percent larger
_KEPT: Final = 64


def data_url(picture: Picture, image_format: ImageFormat = "png", max_side_px: int | None = None) -> str:
    """The pixels as a data URL, encoded anew: what else the user's file holds (place, camera, name) stays here.

    PNG loses nothing. With `max_side_px` the longer side is brought down to it, never up.
    """
    if max_side_px is not None and max(picture.size) > max_side_px:
        scale = max_side_px / max(picture.size)
        width_px, height_px = (max(1, round(side * scale)) for side in picture.size)
        picture = picture.resize((width_px, height_px), Resampling.LANCZOS)
    picture = picture.convert("RGB")
    picture.info = {}  # Pillow would write some of it into the new file
    data = io.BytesIO()
    if image_format == "png":
        picture.save(data, "PNG", compress_level=_PNG_COMPRESS_LEVEL)
    else:
        picture.save(data, "JPEG", quality=_JPEG_QUALITY)
    return f"data:image/{image_format};base64,{base64.b64encode(data.getvalue()).decode('ascii')}"


class DataUrls:
    """The data URLs of one batch, each image opened and encoded once, in a thread of its own, when it is first needed.

    The last 64 are kept: the questions of a group follow each other, and share an image. One thread, because a source
    of images promises nothing about several.
    """

    def __init__(
        self, open_image: Callable[[Image], Picture], image_format: ImageFormat, max_side_px: int | None
    ) -> None:
        self._open_image = open_image
        self._image_format: ImageFormat = image_format
        self._max_side_px = max_side_px
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="gadfly-images")
        self._urls: OrderedDict[str, asyncio.Future[str]] = OrderedDict()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def get(self, image: Image) -> str:
        """The image's data URL. Raises what opening the image raises."""
        future = self._urls.get(image.id)
        if future is None:
            future = asyncio.get_running_loop().run_in_executor(self._thread, self._encode, image)
            self._urls[image.id] = future
            if len(self._urls) > _KEPT:
                self._urls.popitem(last=False)
        self._urls.move_to_end(image.id)
        return await asyncio.shield(future)  # one request given up must not take the image from the others

    def _encode(self, image: Image) -> str:
        return data_url(self._open_image(image), self._image_format, self._max_side_px)

"""The run's images as bytes for a browser, decoded and encoded anew. Knows images by hash; is asked for no path.

A picture is first looked for where the run saw it, which takes no search; only if it is not there is the whole folder
read through, once. In both cases its bytes must have the hash that was asked for, and pass the decoder's limits.
"""

from __future__ import annotations

import hashlib
import io
import stat
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Final, final

from PIL.Image import Image as Picture
from PIL.Image import Resampling

from gadfly.errors import GadflyError, ImageError
from gadfly.images.decoding import decode
from gadfly.images.folder import MAX_FILE_BYTES
from gadfly.protocols import ImageSource
from gadfly.records import Image

THUMBNAIL_PX: Final = 224
LARGE_PX: Final = 1400
CACHE_BYTES: Final = 64 * 2**20


@final
class Pictures:
    """Encoded pictures, the last ones kept in memory. Safe to use from several threads.

    `whole_folder` reads the folder through and gives an ImageSource; it is called at most once, and only if needed.
    """

    def __init__(self, root: Path | None, max_pixels: int, whole_folder: Callable[[], ImageSource]) -> None:
        self._root = None if root is None else root.resolve()
        self._max_pixels = max_pixels
        self._whole_folder = whole_folder
        self._source: ImageSource | None = None
        self._refusal: str | None = None
        self._cache: OrderedDict[tuple[str, int], tuple[bytes, str]] = OrderedDict()
        self._cached_bytes = 0
        self._lock, self._reading = threading.Lock(), threading.Lock()

    def encoded(self, image: Image, side_px: int) -> tuple[bytes, str]:
        """(bytes, media type), brought down to `side_px`. Raises ImageError where the picture cannot be had."""
        key = (image.id, side_px)
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        picture = self._opened(image, side_px)
        picture.thumbnail((side_px, side_px), Resampling.LANCZOS)
        file = io.BytesIO()
        small = picture.width * picture.height <= 256 * 256  # drawings stay as they are; photographs become JPEG
        picture.save(file, "PNG" if small else "JPEG", **({} if small else {"quality": 88}))
        found = (file.getvalue(), "image/png" if small else "image/jpeg")
        with self._lock:
            if key not in self._cache:
                self._cache[key] = found
                self._cached_bytes += len(found[0])
            while self._cached_bytes > CACHE_BYTES:
                _, (evicted, _) = self._cache.popitem(last=False)
                self._cached_bytes -= len(evicted)
        return found

    def _opened(self, image: Image, side_px: int) -> Picture:
        data = self._where_it_was(image)
        if data is not None:
            return decode(data, self._max_pixels, 2 * side_px)
        with self._reading:
            if self._source is None and self._refusal is None:
                try:
                    self._source = self._whole_folder()
                except GadflyError as fault:
                    self._refusal = str(fault)
        if self._source is None:
            raise ImageError(self._refusal or "no image folder")
        return self._source.open(image)

    def _where_it_was(self, image: Image) -> bytes | None:
        """The file's bytes if it is still within the folder, a file, and what the run saw."""
        if self._root is None:
            return None
        try:
            file = (self._root / image.path).resolve(strict=True)
            status = file.stat()
            if not file.is_relative_to(self._root) or not stat.S_ISREG(status.st_mode):
                return None
            if status.st_size > MAX_FILE_BYTES:
                return None
            data = file.read_bytes()
        except (OSError, ValueError, RuntimeError):  # gone; a NUL in its name; links that go round in circles
            return None
        return data if hashlib.sha256(data).hexdigest() == image.id else None

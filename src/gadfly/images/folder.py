"""A folder of pictures as an image source. Knows nothing of what is asked about them.

Pictures are found once, when the source is made: each file is read and hashed, and its header parsed. Pixels are
decoded when a picture is opened, and kept while they fit in the cache.
"""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL.Image import Image as Picture

from gadfly.errors import ConfigError, ImageError
from gadfly.images.decoding import HARD_MAX_PIXELS, MAX_PIXELS, decode, read_size_px
from gadfly.records import Image

MAX_FILE_BYTES: Final = 256 * 2**20
"""A file larger than this is skipped unread: 64 MP of 16-bit RGBA, uncompressed, is twice this, and rare."""

CACHE_PIXELS: Final = 64_000_000
"""192 MB of RGB."""

# fmt: off
NOT_PICTURES: Final = frozenset({
    ".json", ".jsonl", ".ndjson", ".txt", ".csv", ".tsv", ".md", ".rst", ".html", ".xml", ".yaml", ".yml", ".toml",
    ".parquet", ".npy", ".npz", ".pt", ".safetensors", ".py", ".ipynb", ".zip", ".tar", ".gz", ".db", ".sqlite",
})
# fmt: on
"""Suffixes of files that lie beside pictures on purpose: passed over without a word."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that was left out. `path` is relative to the root; `reason` is one line."""

    path: str
    reason: str


class FolderSource:
    """Every picture under `root`, in the order of their paths; an ImageSource.

    Files with the same bytes are one image, known by the first of their paths. Hidden files and folders (a leading
    dot) are passed over. A picture that cannot be used is listed in `skipped`. Safe to use from several threads.

    `on_progress` gets (files read, files in all) while the folder is read through.

    Raises ImageError where there is no such folder or no usable picture in it, ConfigError for a limit out of range.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        max_pixels: int = MAX_PIXELS,
        max_side_px: int | None = None,
        max_file_bytes: int = MAX_FILE_BYTES,
        cache_pixels: int = CACHE_PIXELS,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> None:
        if not 1 <= max_pixels <= HARD_MAX_PIXELS:
            raise ConfigError(f"max_pixels is {max_pixels}; it must be from 1 to {HARD_MAX_PIXELS}")
        if max_side_px is not None and max_side_px < 1:
            raise ConfigError(f"max_side_px is {max_side_px}; it must be at least 1, or left out")
        if not Path(root).is_dir():
            what = "is a file, not a folder" if Path(root).exists() else "is not there"
            raise ImageError(f"image folder {os.fspath(root)} {what}; give a folder with pictures in it")
        self._root = Path(root).resolve()
        self._max_pixels = max_pixels
        self._max_side_px = max_side_px
        self._max_file_bytes = max_file_bytes
        self._cache_pixels = cache_pixels
        self._cache: OrderedDict[str, Picture] = OrderedDict()
        self._cached_pixels = 0
        self._lock = threading.Lock()
        self._images: dict[str, Image] = {}
        self._files: dict[str, Path] = {}
        self._id_by_path: dict[str, str] = {}
        self.skipped: tuple[Skipped, ...] = tuple(self._index(on_progress))
        if not self._images:
            first = "".join(f"; the first: {one.path}: {one.reason}" for one in self.skipped[:1])
            raise ImageError(f"no usable picture in {os.fspath(root)} ({len(self.skipped)} files skipped{first})")

    def __len__(self) -> int:
        return len(self._images)

    def __iter__(self) -> Iterator[Image]:
        return iter(self._images.values())

    def find(self, name: str) -> Image | None:
        """The image with this id, or at this path relative to the root (any of its paths); None where there is none."""
        return self._images.get(self._id_by_path.get(os.path.normpath(name).replace(os.sep, "/"), name))

    def open(self, image: Image) -> Picture:
        """The decoded picture, RGB, EXIF rotation applied, brought down to `max_side_px`; the caller may change it.

        A file that was moved within the folder is found again by its hash. Raises ImageError where it is gone, or
        turns out broken behind a sound header.
        """
        with self._lock:
            picture = self._cache.get(image.id)
            if picture is not None:
                self._cache.move_to_end(image.id)
                return picture.copy()
        try:
            picture = decode(self._bytes_of(image), self._max_pixels, self._max_side_px)
        except ImageError as error:
            raise ImageError(f"{image.path}: {error}") from error
        with self._lock:
            if image.id not in self._cache:  # another thread may have been faster
                self._cache[image.id] = picture
                self._cached_pixels += picture.width * picture.height
            while self._cached_pixels > self._cache_pixels:
                _, evicted = self._cache.popitem(last=False)
                self._cached_pixels -= evicted.width * evicted.height
        return picture.copy()

    def _index(self, on_progress: Callable[[int, int], None] | None) -> Iterator[Skipped]:
        """Fill the index, yielding what is left out."""
        entries = list(_walk(self._root))
        for done, (file, refusal) in enumerate(entries, start=1):
            if on_progress is not None:
                on_progress(done, len(entries))
            path = _shown(file, self._root)
            if refusal is not None:
                yield Skipped(path, refusal)
                continue
            try:
                data = self._read(file)
                image_id = hashlib.sha256(data).hexdigest()
                if image_id not in self._images:
                    self._images[image_id] = Image(image_id, path, *read_size_px(data, self._max_pixels))
                    self._files[image_id] = file
                self._id_by_path[path] = image_id
            except (ImageError, OSError) as error:
                yield Skipped(path, _reason(error))

    def _read(self, file: Path) -> bytes:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ImageError("not a regular file")  # reading a pipe would wait for ever
        if status.st_size > self._max_file_bytes:
            raise ImageError(f"{status.st_size:,} bytes is over the limit of {self._max_file_bytes:,}")
        return file.read_bytes()

    def _bytes_of(self, image: Image) -> bytes:
        """The bytes whose hash is the image's id, wherever in the folder they now are."""
        if image.id not in self._images:  # each of these would cost a walk through the folder
            raise ImageError("no file with these bytes was in the folder; name the folder that it is in")
        if (data := self._read_if(self._files[image.id], image.id)) is not None:
            return data
        found: bytes | None = None
        moved: dict[str, Path] = {}
        for candidate, refusal in _walk(self._root):
            if refusal is None and (data := self._read_if(candidate, None)) is not None:
                digest = hashlib.sha256(data).hexdigest()
                moved.setdefault(digest, candidate)
                if digest == image.id and found is None:
                    found = data
        # One walk serves all: where one file was moved, others were too.
        self._files |= {image_id: file for image_id, file in moved.items() if image_id in self._images}
        if found is None:
            raise ImageError("no file with these bytes is in the folder any more; put it back or start a new run")
        return found

    def _read_if(self, file: Path, image_id: str | None) -> bytes | None:
        """The file's bytes, None where it cannot be read or (with an id) holds something else."""
        try:
            data = self._read(file)
        except (ImageError, OSError):
            return None
        return data if image_id is None or hashlib.sha256(data).hexdigest() == image_id else None


def _walk(root: Path) -> Iterator[tuple[Path, str | None]]:
    """(file, None) for every candidate under `root`, sorted by path; (path, reason) for what must not be followed."""
    entries: list[tuple[Path, str | None]] = []

    def refused(error: OSError) -> None:
        entries.append((Path(os.fsdecode(error.filename)), _reason(error)))

    for folder, folders, files in os.walk(root, onerror=refused):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in [*files, *folders]:
            path = Path(folder, name)
            if name.startswith(".") or (name in files and path.suffix.lower() in NOT_PICTURES):
                continue
            if path.is_symlink() and (refusal := _symlink_refusal(path, root)) is not None:
                entries.append((path, refusal))
            elif name in files:
                entries.append((path, None))
    yield from sorted(entries, key=lambda entry: entry[0].relative_to(root).parts)


def _symlink_refusal(path: Path, root: Path) -> str | None:
    """Why a symbolic link is not followed; None where it leads to something inside the root."""
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):
        return "a symbolic link that leads nowhere"
    return None if target.is_relative_to(root) else "a symbolic link that leads out of the folder"


def _shown(file: Path, root: Path) -> str:
    """The relative path as text that any store can hold: bytes that are not UTF-8 become U+FFFD."""
    return os.fsencode(file.relative_to(root).as_posix()).decode("utf-8", "replace")


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)

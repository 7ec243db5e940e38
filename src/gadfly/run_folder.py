"""A run's folder: made, opened again, and held to what the run was begun with. Asks nothing and trains nothing.

It holds config.json (the resolved configuration, a copy for people of what the store has), images.jsonl (the images
that the run is about, in order, and in its last line how many), store.sqlite (every probe), train/ (checkpoints,
metrics.jsonl), questioner/ (the trained one), pictures/ and findings/ (what `gadfly analyze` wrote).
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import gadfly
from gadfly.config import Config, from_dict
from gadfly.errors import ConfigError, GadflyError, ImageError, StoreError
from gadfly.records import Image
from gadfly.store.file import LOCK_NAME, STORE_NAME
from gadfly.store.sqlite import SqliteStore
from gadfly.wiring import Wiring

CONFIG_NAME = "config.json"
IMAGES_NAME = "images.jsonl"
TRAINED = "questioner"
_END = "images"
RECORDED_PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "sentence-transformers", "numpy", "pillow")


def folder_of(config: Config) -> Path:
    """Where a run lives: out/name."""
    return Path(config.out) / config.name


def is_begun(config: Config) -> bool:
    """Whether the run was begun, so that it can only be gone on with."""
    return (folder_of(config) / STORE_NAME).exists()


def config_of(run: Path) -> Config:
    """The configuration that a run was begun with. Raises StoreError where there is no run."""
    with SqliteStore.open(run, read_only=True) as store:
        return from_dict(store.run.config)


@contextmanager
def opened(config: Config, *, resume: bool) -> Iterator[SqliteStore]:
    """The run's store, made new or taken up again. A new run that fails for a reason that the user can mend (a missing
    checkpoint, say) before anything was made leaves no folder behind, so that the mended command can be given again.

    Raises StoreError where the run is there already and `resume` was not asked for, or the other way round, or where
    the folder holds something else, and ConfigError where a resumed run was begun under another configuration (it
    names the differences).
    """
    folder = folder_of(config)
    exists = is_begun(config)
    if exists and not resume:
        raise StoreError(f"{folder} holds a run already; --resume goes on with it, another --name starts a new one")
    if resume and not exists:
        raise StoreError(f"{folder} holds no run to resume; leave --resume out to start it")
    if exists:
        store = SqliteStore.open(folder)
        try:
            _check_same(store, config, folder)
        except ConfigError:
            store.close()
            raise
    else:
        _check_unused(folder)
        store = SqliteStore.create(folder, config.name, as_stored(config), versions(), config.seed)
    try:
        with store:
            _write_copy(folder, store)
            yield store
    except GadflyError:
        if not exists:
            _remove_if_nothing_was_made(folder)
        raise


_OURS = frozenset(
    f"{name}{suffix}"
    for name in (STORE_NAME, LOCK_NAME, CONFIG_NAME, IMAGES_NAME)
    for suffix in ("", ".new", ".new-journal", "-journal", "-wal", "-shm")
)
"""What a run that was killed before its first probe may leave in its folder."""


def _check_unused(folder: Path) -> None:
    """Raise StoreError where something else lives in the folder: a run must not spread among other files."""
    if folder.exists() and (not folder.is_dir() or {path.name for path in folder.iterdir()} - _OURS):
        raise StoreError(f"{folder} is there already and is not a run; give another --name or --out")


def _remove_if_nothing_was_made(folder: Path) -> None:
    """Take a run back that failed before its first probe and its first weights."""
    with SqliteStore.open(folder, read_only=True) as store:
        made = any(store.counts(include_superseded=True).values())
    if made or any(path.is_file() for path in (folder / "train").rglob("*")) or (folder / TRAINED).exists():
        return
    for name in _OURS:
        (folder / name).unlink(missing_ok=True)
    for path in (*sorted((folder / "train").rglob("*"), reverse=True), folder / "train", folder):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def as_stored(config: Config) -> dict[str, Any]:
    """The configuration as JSON gives it back: lists for tuples."""
    stored: dict[str, Any] = json.loads(json.dumps(config.to_dict()))
    return stored


def _write_copy(folder: Path, store: SqliteStore) -> None:
    """Write the configuration for people to read, where it is not there: a kill may have come before it."""
    if not (folder / CONFIG_NAME).exists():
        _write_whole(folder / CONFIG_NAME, json.dumps(store.run.config, indent=2) + "\n")


def versions() -> dict[str, str]:
    """What the run was made with: Python, Gadfly, and the libraries that can change a result."""
    found = {"python": platform.python_version(), "gadfly": gadfly.__version__}
    for package in RECORDED_PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _check_same(store: SqliteStore, config: Config, folder: Path) -> None:
    """Raise ConfigError where a run was begun under another configuration. What is new since it was begun has its
    default there."""
    differences = list(_differences(as_stored(from_dict(store.run.config)), as_stored(config)))
    if differences:
        raise ConfigError(f"{folder} was begun under another configuration: {'; '.join(differences)}")


_BESIDES_RESULTS = (
    *("key_env", "max_concurrency", "timeout_s", "retries"),
    *("price_prompt", "price_completion", "price_call"),
)
"""What may change of a model in a resume: how it is reached and what it costs. So may where the run lies, its limits (a
run that reached one goes on with a higher one) and the cache."""


def _differences(then: Mapping[str, Any], now: Mapping[str, Any], where: str = "") -> Iterator[str]:
    for key in sorted({*then, *now}):
        if key in (_BESIDES_RESULTS if where else ("name", "out", "limits", "cache")):
            continue
        before, after = then.get(key), now.get(key)
        if key == "base_url" and before and after:  # the server may have moved; what it serves is under the same name
            continue
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from _differences(before, after, f"{where}{key}.")
        elif before != after:
            yield f"{where}{key} was {before!r} and is now {after!r}"


def images_of(folder: Path, wiring: Wiring, split: str) -> list[Image]:
    """The images of a part, in the order in which the run first saw them: what is asked about at which step must not
    change with the folder. An image is known by its hash, so it may be renamed and moved; one that was added later is
    no part of the run. Raises ImageError where one is gone, StoreError where the list of them is damaged.
    """
    file, source = folder / IMAGES_NAME, wiring.source
    if not file.exists():
        lines = [{"id": image.id, "path": image.path} for image in source]
        _write_whole(file, "".join(json.dumps(line) + "\n" for line in (*lines, {_END: len(lines)})))
    within, by_id = {image.id for image in wiring.images(split)}, {image.id: image for image in source}
    recorded = _recorded(file)
    gone = [image["path"] for image in recorded if image["id"] not in by_id]
    if gone:
        raise ImageError(
            f"{len(gone)} of the {len(recorded)} images that the run was begun with are no more in "
            f"{wiring.config.images.path}, {gone[0]} among them; put them back, under any name, or start a new run"
        )
    return [by_id[image["id"]] for image in recorded if image["id"] in within]


def _recorded(file: Path) -> list[dict[str, str]]:
    """The lines about images. The last line of the file says how many there are, so that one that was cut short is not
    taken for a run about fewer images."""
    try:
        *recorded, end = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        whole = end == {_END: len(recorded)} and all(one.keys() == {"id", "path"} for one in recorded)
    except (ValueError, AttributeError):
        whole = False
    if not whole:
        raise StoreError(
            f"{file} is damaged; put it back from a backup, or delete it if no image was renamed, moved or added since "
            "the run was begun: it is then written anew"
        )
    return recorded


def _write_whole(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all."""
    partial = path.with_name(path.name + ".new")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)

"""A viewer under test: the real server over a store made here, and a page of it in Chromium."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import PIL.Image
import uvicorn
from playwright.sync_api import BrowserContext, Dialog, Page

from browsing import Watched
from gadfly.records import Image, Probe, Usage
from gadfly.store.sqlite import SqliteStore
from gadfly.view.pictures import Pictures
from gadfly.view.serving import serve
from store_samples import sample


@dataclass
class Served:
    """A viewer that answers at `address` (with its token)."""

    address: str
    folder: Path

    @property
    def root(self) -> str:
        return self.address.partition("/?")[0]

    @property
    def token(self) -> str:
        return self.address.partition("token=")[2]


@contextmanager
def served(folder: Path, images: Path | None = None, labeller: str = "ann") -> Iterator[Served]:
    ready, found = threading.Event(), list[str]()
    servers: list[uvicorn.Server] = []
    faults: list[BaseException] = []

    def at(address: str) -> None:
        found.append(address)
        ready.set()

    def run() -> None:
        try:
            pictures = Pictures(images, 64_000_000, lambda: _folder(images))
            serve(folder, pictures, port=0, labeller=labeller, on_ready=at, on_server=servers.append)
        except BaseException as fault:  # noqa: BLE001 - shown by whoever waits
            faults.append(fault)
        finally:
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait()
    if faults:
        raise faults[0]
    try:
        yield Served(found[0], folder)
    finally:
        servers[0].should_exit = True
        thread.join(20)
        assert not thread.is_alive() and not faults, faults


def _folder(images: Path | None) -> Any:
    from gadfly.errors import ImageError
    from gadfly.images.folder import FolderSource

    if images is None:
        raise ImageError("no folder")
    return FolderSource(images)


def make_images(folder: Path, n: int) -> list[Image]:
    """Coloured squares, as files in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for i in range(n):
        file = io.BytesIO()
        PIL.Image.new("RGB", (96, 72), (40 + 30 * i % 200, 90, 200 - 25 * i % 180)).save(file, "PNG")
        (folder / f"{i}.png").write_bytes(file.getvalue())
        made.append(Image(hashlib.sha256(file.getvalue()).hexdigest(), f"{i}.png", 96, 72))
    return made


def make_store(folder: Path, probes: Sequence[Probe], *, name: str = "run-1", ended: bool = True) -> Path:
    """A store of attempt 1 of "train" with these probes."""
    with SqliteStore.create(folder, name, {"images": {"path": str(folder / "images")}}, {}, seed=3) as store:
        attempt = store.begin_attempt("train")
        store.add(probes)
        store.set_usage(attempt, {"target": Usage(calls=12, prompt_tokens=340, completion_tokens=56, seconds=1.5)})
        if ended:
            store.end_attempt(attempt, "finished")
    return folder


def made(step: int, index: int, images: Sequence[Image], **given: Any) -> Probe:
    """A probe about one of these images."""
    probe = sample(step, index, **given)
    return replace(probe, images=(images[(step + index) % len(images)],))


@dataclass
class Look:
    """A page that was looked at, with all that it complained of and called."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


def look(context: BrowserContext, at: Served) -> Look:
    """A page that is let in and shows the overview."""
    seen = Look(context.new_page())
    seen.page.on("console", lambda m: seen.complaints.append(m.text) if m.type in ("error", "warning") else None)
    seen.page.on("pageerror", lambda fault: seen.complaints.append(str(fault)))

    def dismiss(dialog: Dialog) -> None:
        seen.complaints.append("a dialog")
        dialog.dismiss()

    seen.page.on("dialog", dismiss)
    seen.page.on("request", lambda request: seen.requests.append(request.url))
    seen.page.goto(at.address)
    return seen


def accessibility_faults(page: Page) -> list[str]:
    """What axe-core calls serious or critical."""
    return Watched(page).axe()


def wider_than_window(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    return Watched(page).overflow_px()

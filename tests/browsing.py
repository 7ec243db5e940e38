"""A headless Chromium for tests of pages: what a page asked for, what it complained of, what axe finds in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, sync_playwright

SERIOUS = ("serious", "critical")


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's Chromium. Without one the test is skipped, and fails where CI is set."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        said = "no Chromium on this machine (on Debian: apt install chromium); pages were not opened"
        pytest.fail(said) if os.environ.get("CI") else pytest.skip(said)
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@dataclass
class Watched:
    """A page, and what it did."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def open(self, path: Path, fragment: str = "") -> None:
        self.page.goto(path.as_uri() + fragment)

    def follow(self, link: Locator) -> None:
        """Click a link and wait until the page that it leads to is there."""
        with self.page.expect_navigation(wait_until="load"):
            link.click()

    def outside(self, folder: Path) -> list[str]:
        """The requests that left the folder."""
        own = (folder.as_uri() + "/", "data:", "blob:")
        return [url for url in self.requests if not url.startswith(own)]

    def overflow_px(self) -> int:
        """By how much the page is wider than its window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))

    def axe(self) -> list[str]:
        """Serious faults of accessibility, one line each."""
        # By evaluate, which the page's policy does not bind.
        self.page.evaluate((files("axe_playwright_python") / "axe.min.js").read_text("utf-8"))
        found: dict[str, Any] = self.page.evaluate("axe.run()")
        return [
            f"{one['id']}: {one['help']}: {node['target']} {node['failureSummary']}"
            for one in found["violations"]
            if one["impact"] in SERIOUS
            for node in one["nodes"][:3]
        ]


@contextmanager
def watched(browser: Browser, **context: Any) -> Iterator[Watched]:
    """A page of a context of its own."""
    opened = browser.new_context(accept_downloads=True, **context)
    page = opened.new_page()
    seen = Watched(page)

    def dismiss(dialog: Any) -> None:
        seen.dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("request", lambda request: seen.requests.append(request.url))
    page.on("console", lambda said: seen.complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda fault: seen.complaints.append(str(fault)))
    page.on("dialog", dismiss)
    page.set_default_timeout(10_000)
    try:
        yield seen
    finally:
        opened.close()

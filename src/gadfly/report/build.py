"""Writes a report's folder: whole or not at all, and never over anything but an earlier report."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gadfly.errors import StoreError
from gadfly.report.exports import failures_jsonl, modes_csv, report_md
from gadfly.report.material import Material
from gadfly.report.pages import evidence_page, index_page, mode_page
from gadfly.report.thumbnails import OpenImage
from gadfly.report.views import build_site

INDEX = "index.html"
MARK = ".gadfly-report"
"""A file that says that a folder is a report and may be written anew."""


@dataclass(frozen=True, slots=True)
class Built:
    """Where the report is, how many pages it has, its size, and whether no picture could be shown."""

    index: Path
    n_pages: int
    size_bytes: int
    pictures_missing: bool


def build_report(
    material: Material,
    open_image: OpenImage,
    folder: Path,
    on_progress: Callable[[int, int], None] | None = None,
) -> Built:
    """Write the report to `folder`, over an earlier one. `on_progress` gets (pages written, pages in all).

    Raises StoreError where the folder holds anything else or cannot be written."""
    _check(folder)
    site = build_site(material, open_image)
    partial = folder.with_name(folder.name + ".partial")
    n_pages = 2 + len(site.modes)
    try:
        if partial.exists():
            shutil.rmtree(partial)
        (partial / "modes").mkdir(parents=True)
        _write(partial / INDEX, index_page(site))
        _write(partial / "evidence.html", evidence_page(site))
        for done, view in enumerate(site.modes, start=1):
            _write(partial / view.page, mode_page(site, view))
            if on_progress is not None:
                on_progress(done + 2, n_pages)
        _write(partial / "report.md", report_md(site))
        _write(partial / "modes.csv", modes_csv(material))
        with (partial / "failures.jsonl").open("w", encoding="utf-8") as lines:
            lines.writelines(failures_jsonl(material))
        _write(partial / MARK, "")
        if folder.exists():
            shutil.rmtree(folder)
        partial.rename(folder)
    except PermissionError as fault:
        raise StoreError(f"{folder} cannot be written ({fault.strerror}); give another folder with -o") from fault
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Built(folder / INDEX, n_pages, size, site.pictures_missing)


def _check(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir() or (any(folder.iterdir()) and not (folder / MARK).is_file()):
        raise StoreError(f"{folder} is there already and is no report; give another folder with -o")


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", errors="replace")

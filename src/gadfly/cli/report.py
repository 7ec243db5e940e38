"""`gadfly report`: a folder of pages that shows what was found, and opens from a disk. Asks no model anything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gadfly.cli.output import print_json, progress, remark, say
from gadfly.cli.parameters import AsJson, MovedImages, RunPhases
from gadfly.cli.phases import Stages
from gadfly.cli.reading import folder_and_phase
from gadfly.errors import StoreError
from gadfly.records import TRAINING
from gadfly.store.phases import known_phase, own_phases, phases_of

if TYPE_CHECKING:
    from gadfly.report.build import Built
    from gadfly.reporting import Reported


def report(
    runs: RunPhases,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder of the report; RUN/report if left out.")
    ] = None,
    images: MovedImages = None,
    as_json: AsJson = False,
) -> None:
    """Build a report, a folder of pages to open or to mail. It has the failure modes, their pictures and how they were
    found, and needs no network. It is about the first run; others are compared with it. Of a run with several
    phases it is about its training, if it has one, and compares them all."""
    built = build(runs, out, images)
    if as_json:
        print_json({"report": str(built.index), "pages": built.n_pages, "bytes": built.size_bytes})
        return
    if built.pictures_missing:
        remark("no picture could be opened; --images says where they are now")
    say(f"{built.index}: {built.n_pages} pages, {built.size_bytes / 1e6:.1f} MB")


def build(runs: list[str], out: Path | None, images: str | None) -> Built:
    """Write the report of some RUN or RUN:PHASE. Raises StoreError."""
    from gadfly.reporting import material_of, write_report

    phases = _phases(runs)
    with Stages() as stages:
        phase, material = material_of(phases, images=images, on_progress=stages.update, on_remark=stages.remark)
    with progress("writing pages") as bar:
        return write_report(phase, material, out, bar.update)


def _phases(runs: list[str]) -> list[Reported]:
    """The phases to report, the one that the report is about first, each once. Those that judge another one's questions
    again are left out unless they are named."""
    from gadfly.store.sqlite import SqliteStore

    found: list[Reported] = []
    for i, spec in enumerate(runs):
        folder, wanted = folder_and_phase(spec)
        with SqliteStore.open(folder, read_only=True) as store:
            some = own_phases(store) if wanted is None else [known_phase(wanted, phases_of(store), folder)]
        if not some:
            raise StoreError(f"{folder} has no probes yet; there is nothing to report")
        if i == 0 and TRAINING in some:
            some.remove(TRAINING)
            some.insert(0, TRAINING)
        found += [(folder, one) for one in some]
    return list(dict.fromkeys(found))

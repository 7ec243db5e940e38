"""`gadfly analyze`: from a run's probes to findings, written beside its store and printed. Asks no model, but for an
annotator that is one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from gadfly.cli.annotating import annotated
from gadfly.cli.audit import Images, RunPhase
from gadfly.cli.commands import AsJson, Settings
from gadfly.cli.output import as_plain, print_json, progress, remark
from gadfly.cli.reading import folder_and_phase, one_phase
from gadfly.errors import ImageError, StoreError, TestbedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gadfly.analysis.findings import Findings
    from gadfly.analysis.naming import Names
    from gadfly.records import Image, Probe
    from gadfly.store.sqlite import SqliteStore
    from gadfly.wiring import Wiring

FINDINGS = "findings"
TRAINING = "train"  # the phase in which the questioner learns
_PICTURES = "pictures.json"
_PARTS = ("modes", "taxonomy", "curriculum", "coverage", "names")


AnnotatorName = Annotated[
    str | None,
    typer.Option("--annotator", help="Who names skills and concepts: testbed, none, or a language model."),
]
AnnotatorUrl = Annotated[str | None, typer.Option(help="Server of the annotator; --annotator is its name there.")]
Vocabulary = Annotated[
    str | None, typer.Option(help="The skills it is to choose from: a text file, one a line, or testbed.")
]


def analyze(
    run: RunPhase,
    images: Images = None,
    annotator: AnnotatorName = None,
    annotator_url: AnnotatorUrl = None,
    vocabulary: Vocabulary = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Find the target's failure modes in a run's probes: what they have in common where it fails, how often it fails
    there and elsewhere. Also the tree of skills, the course of a training, and how much of what a frozen questioner can
    show has been seen. Written to RUN/findings/PHASE and printed."""
    from gadfly.analysis.findings import analyse
    from gadfly.cli.options import with_annotator, with_verifier
    from gadfly.config import from_dict, override
    from gadfly.store.sqlite import SqliteStore
    from gadfly.wiring import Wiring

    folder, wanted = folder_and_phase(run)
    with SqliteStore.open(folder, read_only=True) as store, progress("reading probes", passing=True) as bar:
        phase = one_phase(store, wanted, folder)
        probes = _read(store, phase, bar.update)
        training = _source(store, phase) == TRAINING
        config = with_verifier(from_dict(store.run.config), None, images, None)
    config = with_annotator(config, annotator, annotator_url, vocabulary, settings)
    # The cache lies beside the run, wherever that is by now.
    config = override(config, {"out": str(folder.resolve().parent)})
    wiring = Wiring(config, on_annotated=lambda done, total: naming.update(done, total))
    with progress("naming skills", passing=True) as naming:
        named = annotated(wiring, probes)
    conditions = _conditions(folder / FINDINGS / _PICTURES, probes, wiring)
    found = analyse(probes, training=training, annotator=named.annotator, conditions=conditions)
    files = _write(folder / FINDINGS / _folder_name(phase), found, named.names)
    if as_json:
        where = {"run": str(folder), "phase": phase, "files": [str(path) for path in files]}
        print_json({**where, **as_plain(found), **named.said()})
        return
    from gadfly.cli.analyze_tables import print_findings

    print_findings(f"{folder}:{phase}", probes, found, files)
    named.print()


def _read(store: SqliteStore, phase: str, on_progress: Any) -> list[Probe]:
    total = sum(store.counts(phase).values())
    probes = []
    for probe in store.probes(phase):
        probes.append(probe)
        if len(probes) % 1000 == 0:
            on_progress(len(probes), total)
    return probes


def _source(store: SqliteStore, phase: str) -> str:
    """The phase whose questions a phase asks: its own, or those of the one that it replays."""
    sources = {replay.phase: replay.source for replay in store.replays()}
    while phase in sources:
        phase = sources[phase]
    return phase


def _conditions(path: Path, probes: list[Probe], wiring: Wiring) -> dict[str, tuple[str, ...]]:
    """The conditions of the images, measured once and kept. Without the images, or without some, there are none of
    those: everything else can be found all the same."""
    from gadfly.analysis.conditions import conditions, measure_all, read_measures, write_measures

    asked: dict[str, Image] = {image.id: image for probe in probes for image in probe.images}
    known = read_measures(path)
    measures = {image_id: one for image_id, one in known.items() if image_id in asked}
    if len(measures) < len(asked):
        try:
            with progress("measuring images") as bar:
                measures = measure_all(wiring.source, asked.values(), measures, wiring.object_sizes, bar.update)
        except (ImageError, TestbedError) as fault:
            remark(f"no image conditions: {fault}; --images says where they are now")
        if len(measures) < len(asked):
            remark(f"{len(asked) - len(measures)} of {len(asked)} images could not be measured")
        if measures:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_measures(path, {**known, **measures})
    return conditions(measures)


def _folder_name(phase: str) -> str:
    """A phase's name as that of a folder, wherever it came from: no separators, no dots alone."""
    safe = quote(phase, safe=" ")
    return safe.replace(".", "%2E") if not safe.strip(". ") else safe


def _write(folder: Path, found: Findings, names: Names | None) -> list[Path]:
    """One file for each part that there is. The same findings give the same bytes."""
    parts: Mapping[str, Any] = {
        "modes": {"known_failures_version": found.known_failures_version, **as_plain(found.search)},
        "taxonomy": as_plain(found.taxonomy),
        "curriculum": as_plain(found.curriculum),
        "coverage": as_plain(found.coverage),
        "names": as_plain(names),
    }
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in _PARTS:
            path = folder / f"{name}.json"
            if parts[name] is None:
                path.unlink(missing_ok=True)  # of an earlier analysis
                continue
            unfinished = path.with_suffix(".json.tmp")
            unfinished.write_text(json.dumps(parts[name], indent=2, allow_nan=False) + "\n", encoding="utf-8")
            unfinished.replace(path)
            written.append(path)
    except PermissionError as fault:
        raise StoreError(f"{folder} cannot be written ({fault.strerror}); copy the run to a folder of yours") from fault
    return written

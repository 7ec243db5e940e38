"""`gadfly report`: a folder of pages that shows what was found, and opens from a disk. Asks no model anything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gadfly.analysis.bootstrap import bootstrap_rng
from gadfly.cli.output import print_json, progress, remark, say
from gadfly.cli.parameters import AsJson, MovedImages, RunPhases
from gadfly.cli.phases import Stages
from gadfly.cli.reading import folder_and_phase
from gadfly.errors import ConfigError, StoreError
from gadfly.store.phases import TRAINING, known_phase, own_phases, phases_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image as Picture

    from gadfly.cli.rate_tables import Compared
    from gadfly.phase_findings import Phase
    from gadfly.records import Image, Probe
    from gadfly.report.build import Built
    from gadfly.report.material import Material
    from gadfly.report.thumbnails import OpenImage

FOLDER = "report"


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
    from gadfly.report.build import build_report

    wanted = _phases(runs)
    main_folder, main_phase = wanted[0]
    phase, material = _material(main_folder, main_phase, wanted, images)
    folder = main_folder / FOLDER if out is None else out
    with progress("writing pages") as bar:
        return build_report(material, _opener(phase), folder, bar.update)


def _phases(runs: list[str]) -> list[tuple[Path, str]]:
    """The phases to report, the one that the report is about first, each once. Those that judge another one's questions
    again are left out unless they are named."""
    from gadfly.store.sqlite import SqliteStore

    found: list[tuple[Path, str]] = []
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


def _material(folder: Path, name: str, wanted: list[tuple[Path, str]], images: str | None) -> tuple[Phase, Material]:
    from gadfly import report_followups as followups
    from gadfly.analysis.items import named_skills
    from gadfly.analysis.rates import rates
    from gadfly.analysis.training import curves, window_size
    from gadfly.cli.usage import limit_reached, usage_of
    from gadfly.config_checks import ONE_MODEL_FOR_TWO, judges_itself
    from gadfly.phase_findings import read_phase
    from gadfly.report.material import Material, Origin
    from gadfly.store.sqlite import SqliteStore

    with SqliteStore.open(folder, read_only=True) as store, Stages() as stages:
        phase = read_phase(store, folder, name, images=images, on_progress=stages.update, on_remark=stages.remark)
        run = store.run
        origin = Origin(run.id, name, run.created_at, run.seed, run.config, run.versions, tuple(store.attempts(name)))
        usage, limit = usage_of(store, name), limit_reached(store, name)
        n_labels = len({label.key for label in store.labels() if label.key.phase == name})
        findings, items_of = phase.analyse(), phase.items_of()
        labelled, noise = followups.labelled(store, name, phase.probes), followups.noise_floor(store, name)
        transfer = followups.transferred(store, name, findings.search, phase.probes, items_of)
    valid = [probe for probe in phase.probes if probe.verdict.valid]  # of others an annotator is not asked
    skills = {probe.key: probe.judgement.skills for probe in phase.probes}
    skills |= {probe.key: some for probe, some in zip(valid, named_skills(valid, phase.named.annotator), strict=True)}
    beside = _compared(wanted, phase.probes)
    last_step = max((probe.key.step for probe in phase.probes), default=0)
    windows = curves(phase.probes, window_size(last_step), bootstrap_rng()) if phase.training else []
    return phase, Material(
        name=_names(wanted)[0],
        origin=origin,
        probes=phase.probes,
        skills={key: some for key, some in skills.items() if some is not None},
        findings=findings,
        rates=rates(phase.probes, bootstrap_rng()),
        windows=tuple(windows),
        usage=usage,
        compared=beside.runs,
        contrasts=tuple(beside.fdr.items()),
        ended_by_limit=limit,
        n_labels=n_labels,
        remarks=(_sentence(ONE_MODEL_FOR_TWO),) if judges_itself(phase.wiring.config) else (),
        reading=followups.reading(findings.search, phase.probes, items_of),
        fresh=phase.made_for,
        labelled=labelled,
        noise=noise,
        transfer=transfer,
    )


def _compared(wanted: list[tuple[Path, str]], own: Sequence[Probe]) -> Compared:
    """The first phase, whose probes are `own`, beside the others."""
    from gadfly.cli.rate_tables import compared
    from gadfly.store.sqlite import SqliteStore

    names = _names(wanted)
    probes = {names[0]: list(own)}
    for (folder, phase), name in zip(wanted[1:], names[1:], strict=True):
        with SqliteStore.open(folder, read_only=True) as store:
            probes[name] = list(store.probes(phase))
    return compared({name: probes[name] for name in _in_time(wanted, names)})


def _in_time(wanted: list[tuple[Path, str]], names: list[str]) -> list[str]:
    """The names in the order in which the phases of one run were begun; of several runs as they were given."""
    from gadfly.store.sqlite import SqliteStore

    folders = {folder for folder, _ in wanted}
    if len(folders) > 1:
        return names
    with SqliteStore.open(folders.pop(), read_only=True) as store:
        phases = phases_of(store)
    return [name for _, name in sorted(zip(wanted, names, strict=True), key=lambda one: phases.index(one[0][1]))]


def _names(wanted: list[tuple[Path, str]]) -> list[str]:
    """What each phase is called: its own name within one run, else with the run's folder in front."""
    if len({folder for folder, _ in wanted}) == 1:
        return [phase for _, phase in wanted]
    return [f"{folder}:{phase}" for folder, phase in wanted]


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _opener(phase: Phase) -> OpenImage:
    """Opens a picture of the run; where its folder is gone, each one fails as a missing picture does."""
    from gadfly.errors import ImageError

    try:
        return phase.wiring.source.open
    except (ImageError, ConfigError) as fault:
        missing = ImageError(str(fault))

        def gone(image: Image) -> Picture:
            raise missing

        return gone

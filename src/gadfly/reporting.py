"""A report of phases of runs: its material put together, its pages written. Composes, and computes no number.

stores ─▶ the first phase, analysed; all phases beside each other ─▶ material ─▶ pages
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from PIL.Image import Image as Picture

from gadfly import report_followups as followups
from gadfly.analysis.bootstrap import bootstrap_rng
from gadfly.analysis.comparison import Compared, compared
from gadfly.analysis.items import named_skills
from gadfly.analysis.rates import rates
from gadfly.analysis.training import curves, window_size
from gadfly.config_checks import ONE_MODEL_FOR_TWO, judges_itself
from gadfly.errors import ConfigError, ImageError
from gadfly.phase_findings import OnStage, Phase, read_phase
from gadfly.records import Image, Probe
from gadfly.report.build import Built, build_report
from gadfly.report.material import Material, Origin
from gadfly.report.thumbnails import OpenImage
from gadfly.sittings import limit_reached, usage_of
from gadfly.store.phases import phases_of
from gadfly.store.sqlite import SqliteStore

FOLDER = "report"

Reported = tuple[Path, str]
"""A run's folder and the name of a phase in it."""


def material_of(
    phases: Sequence[Reported],
    *,
    images: str | None = None,
    on_progress: OnStage | None = None,
    on_remark: Callable[[str], None] | None = None,
) -> tuple[Phase, Material]:
    """The first of these phases, and what its report says; the others are compared with it. The rest is as
    `read_phase` has it. Raises StoreError, ConfigError."""
    (folder, name), names = phases[0], _names(phases)
    with SqliteStore.open(folder, read_only=True) as store:
        phase = read_phase(store, folder, name, images=images, on_progress=on_progress, on_remark=on_remark)
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
    beside = _compared(phases, names, phase.probes)
    last_step = max((probe.key.step for probe in phase.probes), default=0)
    windows = curves(phase.probes, window_size(last_step), bootstrap_rng()) if phase.training else []
    return phase, Material(
        name=names[0],
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
        reading=phase.reading(findings.search),
        fresh=phase.made_for,
        labelled=labelled,
        noise=noise,
        transfer=transfer,
    )


def write_report(
    phase: Phase, material: Material, out: Path | None = None, on_page: Callable[[int, int], None] | None = None
) -> Built:
    """The pages of a phase's material in `out`, by default RUN/report. `on_page` gets (pages written, pages in all).
    Raises StoreError as `build_report` does."""
    return build_report(material, _opener(phase), phase.run / FOLDER if out is None else out, on_page)


def _compared(phases: Sequence[Reported], names: Sequence[str], own: Sequence[Probe]) -> Compared:
    """The first phase, whose probes are `own`, beside the others."""
    probes = {names[0]: list(own)}
    for (folder, phase), name in zip(phases[1:], names[1:], strict=True):
        with SqliteStore.open(folder, read_only=True) as store:
            probes[name] = list(store.probes(phase))
    return compared({name: probes[name] for name in _in_time(phases, names)}, bootstrap_rng())


def _in_time(phases: Sequence[Reported], names: Sequence[str]) -> list[str]:
    """The names in the order in which the phases of one run were begun; of several runs as they were given."""
    folders = {folder for folder, _ in phases}
    if len(folders) > 1:
        return list(names)
    with SqliteStore.open(folders.pop(), read_only=True) as store:
        begun = phases_of(store)
    return [name for _, name in sorted(zip(phases, names, strict=True), key=lambda one: begun.index(one[0][1]))]


def _names(phases: Sequence[Reported]) -> list[str]:
    """What each phase is called: its own name within one run, else with the run's folder in front."""
    if len({folder for folder, _ in phases}) == 1:
        return [phase for _, phase in phases]
    return [f"{folder}:{phase}" for folder, phase in phases]


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _opener(phase: Phase) -> OpenImage:
    """Opens a picture of the run; where its folder is gone, each one fails as a missing picture does."""
    try:
        return phase.wiring.source.open
    except (ImageError, ConfigError) as fault:
        missing = ImageError(str(fault))

        def gone(image: Image) -> Picture:
            raise missing

        return gone

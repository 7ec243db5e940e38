"""The findings of one phase of a run: read from its store, analysed, written beside it. Prints no table.

What `gadfly analyze`, `confirm`, `transfer` and `modes` share.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from gadfly.cli.annotating import Named, annotated
from gadfly.cli.output import progress, remark
from gadfly.cli.reading import folder_and_phase, one_phase
from gadfly.errors import ConfigError, ImageError, StoreError, TestbedError
from gadfly.plain_data import as_plain

if TYPE_CHECKING:
    from gadfly.analysis.annotations import Kept
    from gadfly.analysis.conditions import Measures
    from gadfly.analysis.findings import Findings
    from gadfly.analysis.modes import ModeSearch
    from gadfly.analysis.naming import Names
    from gadfly.config import Config
    from gadfly.protocols import Grounder
    from gadfly.records import Grounding, Image, Probe
    from gadfly.store.sqlite import SqliteStore
    from gadfly.wiring import Wiring

FINDINGS = "findings"
TRAINING = "train"  # the phase in which the questioner learns
_PICTURES, _GROUNDINGS = "pictures.json", "groundings.json"
_PARTS = ("modes", "taxonomy", "curriculum", "coverage", "names", "annotator", "annotations")
Conditions = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Phase:
    """A phase with its probes, and those of its confirming phase by the mode that they were made for. `stamp` says of
    which probes findings are; `anew` whether a model that names skills is asked again where it failed."""

    run: Path
    name: str
    training: bool
    probes: tuple[Probe, ...]
    made_for: Mapping[str, Sequence[Probe]]
    stamp: dict[str, int]
    wiring: Wiring
    anew: bool

    @property
    def folder(self) -> Path:
        return self.run / FINDINGS / folder_name(self.name)

    @property
    def confirming(self) -> list[Probe]:
        return [probe for probes in self.made_for.values() for probe in probes]

    @property
    def title(self) -> str:
        return f"{self.run}:{self.name}"

    @functools.cached_property
    def named(self) -> Named:
        """The annotator, by the canonical names of what it says of this phase's probes. Asks its model, if any, where
        the findings do not have what it says already."""
        return annotated(self.wiring, self.probes, self._named_before(), self.anew)

    def _named_before(self) -> tuple[Kept, Names | None] | None:
        """What the configured annotator said of these probes in an earlier analysis, and the canonical names."""
        from gadfly.analysis.annotations import kept_of
        from gadfly.analysis.naming import Names

        data = {name: self._part(name) for name in ("annotator", "annotations", "names")}
        kept = kept_of(data["annotations"])
        if kept is None or data["annotator"] != as_plain(self.wiring.config.annotator):
            return None
        if any(probe.verdict.valid and probe.question not in kept.questions for probe in self.probes):
            return None
        try:
            return kept, None if data["names"] is None else Names(**data["names"])
        except TypeError:
            return None

    def conditions(self, fresh: Iterable[Image] = (), wiring: Wiring | None = None) -> Conditions:
        """The items of the images by their ids, those of the confirming phase included, and of `fresh` ones that are
        to be asked about, which are in the folder of `wiring`."""
        return _conditions(self.run / FINDINGS / _PICTURES, self, list(fresh), wiring or self.wiring)

    def items_of(
        self, conditions: Conditions, fresh: Wiring | None = None
    ) -> Callable[[Sequence[Probe]], list[frozenset[str]]]:
        """Gives the items of probes, of those too that are about the images in the folder of `fresh`."""
        from gadfly.analysis.items import items_by_probe

        grounder = self.grounder(fresh)
        return lambda probes: items_by_probe(probes, self.named.annotator, conditions, grounder)

    def grounder(self, fresh: Wiring | None = None) -> Grounder:
        """What says which things questions ask about: what is kept, else the scenes of the phase's images, or of those
        in the folder of `fresh`."""
        from gadfly.analysis.grounding import KeptGrounder

        if fresh is None:
            return KeptGrounder(self._groundings, lambda: self._scenes)
        return KeptGrounder(self._groundings, functools.cache(lambda: _grounder(fresh)))

    @functools.cached_property
    def _scenes(self) -> Grounder | None:
        return _grounder(self.wiring)

    @functools.cached_property
    def _groundings(self) -> dict[tuple[str, str], Grounding]:
        from gadfly.analysis.grounding import read_groundings

        return read_groundings(self.run / FINDINGS / _GROUNDINGS)

    def keep_groundings(self, probes: Iterable[Probe], fresh: Wiring | None = None) -> None:
        """Keep what the probes ask about, as the measures of their images are: the scenes may be elsewhere later."""
        from gadfly.analysis.grounding import groundings, write_groundings

        n_known, path = len(self._groundings), self.run / FINDINGS / _GROUNDINGS
        self._groundings.update(groundings((p for p in probes if p.verdict.valid), self.grounder(fresh)))
        if len(self._groundings) > n_known:
            with _writing(path.parent):
                write_groundings(path, self._groundings)

    def analyse(self, conditions: Conditions) -> Findings:
        from gadfly.analysis.findings import analyse
        from gadfly.model_config import FROZEN_METHODS

        self.keep_groundings(self.probes)
        return analyse(
            self.probes,
            training=self.training,
            frozen=not self.training and self.wiring.config.questioner.method in FROZEN_METHODS,
            made_for=self.made_for,
            annotator=self.named.annotator,
            conditions=conditions,
            grounder=self.grounder(),
            describer=self.named.describer,
        )

    def write(self, found: Findings) -> list[Path]:
        """One file for each part that there is. The same findings give the same bytes."""
        from gadfly.model_config import AnnotatorConfig

        annotator = self.wiring.config.annotator
        of = {"known_failures_version": found.known_failures_version, "of": self.stamp}
        parts: Mapping[str, Any] = {
            "modes": {**of, **as_plain(found.search)},
            "taxonomy": as_plain(found.taxonomy),
            "curriculum": as_plain(found.curriculum),
            "coverage": as_plain(found.coverage),
            "names": as_plain(self.named.names),
            "annotator": None if annotator == AnnotatorConfig() else as_plain(annotator),
            "annotations": None if self.named.kept is None else self.named.kept.as_json(),
        }
        return [path for name in _PARTS if (path := self.write_part(name, parts[name])) is not None]

    def draw(self, found: Findings) -> list[Path]:
        """The pictures of what there is. The same findings give the same bytes."""
        from gadfly.report.courses import draw_coverage, draw_curriculum

        curriculum, coverage = self.folder / "curriculum.png", self.folder / "coverage.png"
        for path in (curriculum, coverage):
            path.unlink(missing_ok=True)  # of an earlier analysis
        drawn = [] if found.curriculum is None else [draw_curriculum(found.curriculum, curriculum)]
        return drawn if found.coverage is None else [*drawn, draw_coverage(found.coverage, coverage)]

    def write_part(self, name: str, data: Any) -> Path | None:
        """One file of the findings, whole or not at all; None where there is nothing, and what was there is gone."""
        path = self.folder / f"{name}.json"
        with _writing(self.folder):
            if data is None:
                path.unlink(missing_ok=True)  # of an earlier analysis
                return None
            unfinished = path.with_suffix(".json.tmp")
            unfinished.write_text(json.dumps(data, indent=2, allow_nan=False) + "\n", encoding="utf-8")
            unfinished.replace(path)
        return path

    def written_search(self) -> ModeSearch | None:
        """The modes as they were written, None where that was not for these probes, or never."""
        from gadfly.analysis.modes_json import search_of

        data = self._part("modes")
        try:
            return search_of(data) if data["of"] == self.stamp else None
        except (KeyError, TypeError):
            return None

    def _part(self, name: str) -> Any:
        """One file of the findings as it was parsed; None where it is not there, or is no JSON."""
        try:
            return json.loads((self.folder / f"{name}.json").read_text("utf-8"))
        except (OSError, ValueError):
            return None


def read_phase(run: str, images: str | None, change: Callable[[Config], Config] | None = None) -> Phase:
    """The phase that RUN or RUN:PHASE means, its configuration changed: by default to the annotator of the findings
    that there are of it. Raises StoreError."""
    from gadfly.store.sqlite import SqliteStore

    folder, wanted = folder_and_phase(run)
    with SqliteStore.open(folder, read_only=True) as store:
        return phase_in(store, folder, one_phase(store, wanted, folder), images, change)


def phase_in(
    store: SqliteStore,
    folder: Path,
    phase: str,
    images: str | None,
    change: Callable[[Config], Config] | None = None,
) -> Phase:
    """A phase of an open store, as `read_phase` has it."""
    from gadfly.cli.options import with_verifier
    from gadfly.config import from_dict, override
    from gadfly.followups import made_for
    from gadfly.wiring import Wiring

    again = [replay.phase for replay in store.replays() if (replay.kind, replay.source) == ("confirm", phase)]
    assert len(again) <= 1, "one name, one phase"
    with progress("reading probes", passing=True) as bar:
        probes = _read(store, phase, bar.update)
        confirming = made_for(store, again[0]) if again else {}
    config = with_verifier(from_dict(store.run.config), None, images, None)
    config = _as_annotated(config, folder / FINDINGS / folder_name(phase)) if change is None else change(config)
    if config.annotator.asks_a_model:  # its answers are kept beside the run, wherever that is by now
        config = override(config, {"out": str(folder.resolve().parent)})
    stamp = {
        "probes": len(probes),
        "attempt": max((one.attempt for one in store.attempts(phase)), default=0),
        "confirming": sum(map(len, confirming.values())),
    }
    training = _source(store, phase) == TRAINING
    return Phase(folder, phase, training, tuple(probes), confirming, stamp, Wiring(config), anew=change is not None)


def folder_name(phase: str) -> str:
    """A phase's name as that of a folder, wherever it came from: no separators, no dots alone."""
    safe = quote(phase, safe=" ")
    return safe.replace(".", "%2E") if not safe.strip(". ") else safe


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """The folder is there while something is written to it. Raises StoreError where it may not be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except PermissionError as fault:
        raise StoreError(f"{folder} cannot be written ({fault.strerror}); copy the run to a folder of yours") from fault


def _as_annotated(config: Config, findings: Path) -> Config:
    """With the annotator that the findings were made with, where it is not the run's own: modes are made of its names.
    Raises StoreError where that cannot be read any more."""
    from gadfly.config import override

    path = findings / "annotator.json"
    if not path.exists():
        return config
    try:
        settings = json.loads(path.read_text("utf-8"))
        return override(config, {"annotator": {}, **{f"annotator.{key}": value for key, value in settings.items()}})
    except (OSError, ValueError, AttributeError, ConfigError) as fault:
        raise StoreError(f"{path} cannot be read ({fault}); analyse the run again") from fault


def _grounder(wiring: Wiring) -> Grounder | None:
    try:
        return wiring.grounder
    except TestbedError as fault:
        remark(f"no referents: {fault}; --images says where the images are now")
        return None


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


def _conditions(path: Path, phase: Phase, fresh: Sequence[Image], wiring: Wiring) -> Conditions:
    """Without the images, or without some, there are none of those: everything else can be found all the same. Thirds
    are those of the analysed phase's images. Confirming ones were measured when they were asked about, since they may
    lie in a folder of their own."""
    from gadfly.analysis.conditions import conditions, read_measures

    own = {image.id: image for probe in phase.probes for image in probe.images}
    asked = {image.id for probe in phase.confirming for image in probe.images}
    reference = _measured(path, phase.wiring, own)
    new = _measured(path, wiring, {image.id: image for image in fresh if image.id not in own})
    new |= {image_id: one for image_id, one in read_measures(path).items() if image_id in asked - set(own)}
    return {**conditions(reference), **conditions(new, reference)}


def _measured(path: Path, wiring: Wiring, wanted: Mapping[str, Image]) -> dict[str, Measures]:
    """The measures of images, made once and kept."""
    from gadfly.analysis.conditions import measure_all, read_measures, write_measures

    known = read_measures(path)
    measures = {image_id: one for image_id, one in known.items() if image_id in wanted}
    if len(measures) == len(wanted):
        return measures
    try:
        with progress("measuring images") as bar:
            measures = measure_all(wiring.source, wanted.values(), measures, wiring.object_sizes, bar.update)
    except (ImageError, TestbedError) as fault:
        remark(f"no image conditions: {fault}; --images says where they are now")
    else:
        if len(measures) < len(wanted):
            remark(f"{len(wanted) - len(measures)} of {len(wanted)} images could not be measured")
    if measures:
        with _writing(path.parent):
            write_measures(path, {**known, **measures})
    return measures

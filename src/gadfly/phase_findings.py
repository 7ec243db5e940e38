"""One phase of a run and its findings: read from the store, analysed, written. Composes, and computes no number.

    store ─────▶ probes ────────────────────────────┐
    images ────▶ conditions, what is referred to ───┼──▶ analysis ──▶ findings ──▶ RUN/findings/PHASE
    annotator ─▶ skills, concepts, words for modes ─┘

What images and questions are like is found out when it is first needed, and kept for the next time (`findings_folder`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, final

from gadfly.analysis.confirmation import ItemsOf, with_confirmations
from gadfly.analysis.findings import Findings, analyse
from gadfly.analysis.items import items_by_probe
from gadfly.analysis.modes import ModeSearch
from gadfly.analysis.rates import distinct
from gadfly.analysis.reading_order import Reading, reading_order
from gadfly.annotating import Named, annotated
from gadfly.config import Config, from_dict, override
from gadfly.confirming import made_for
from gadfly.findings_folder import FindingsFolder, Stamp
from gadfly.image_facts import ImageFacts
from gadfly.model_config import FROZEN_METHODS
from gadfly.records import TRAINING, Image, Probe, Verdict
from gadfly.store.phases import known_phase, phases_of, source_of
from gadfly.store.sqlite import SqliteStore
from gadfly.wiring import Wiring

READING: Final = "reading probes"
MEASURING: Final = "measuring images"
NAMING: Final = "naming skills"

OnStage = Callable[[int, int, str], None]
"""Gets (done, in all, which of these stages) as one begins, and while it goes on."""


@final
@dataclass(frozen=True)
class Phase:
    """A phase with its probes, and those of its confirming phase by the mode that they were made for. `stamp` says of
    which probes findings are; `anew` whether a model that names skills is asked again where it failed.

    `on_progress` is told of what is under way, `on_remark` what the findings will lack, and why."""

    run: Path
    name: str
    training: bool
    probes: tuple[Probe, ...]
    made_for: Mapping[str, Sequence[Probe]]
    stamp: Stamp
    wiring: Wiring
    anew: bool
    on_progress: OnStage | None
    on_remark: Callable[[str], None] | None

    @property
    def title(self) -> str:
        return f"{self.run}:{self.name}"

    @property
    def folder(self) -> FindingsFolder:
        return FindingsFolder(self.run, self.name)

    @property
    def confirming(self) -> list[Probe]:
        return [probe for probes in self.made_for.values() for probe in probes]

    @functools.cached_property
    def wrong(self) -> list[Probe]:
        """The WRONG ones, each once."""
        return [probe for probe in distinct(self.probes) if probe.verdict is Verdict.WRONG]

    @functools.cached_property
    def image_facts(self) -> ImageFacts:
        return ImageFacts(
            self.folder,
            self.wiring,
            {image.id: image for probe in self.probes for image in probe.images},
            frozenset(image.id for probe in self.confirming for image in probe.images),
            _told(self.on_progress, MEASURING),
            self.on_remark,
        )

    @functools.cached_property
    def named(self) -> Named:
        """The annotator, by the canonical names of what it says of this phase's probes. Asks its model, if any, where
        the findings do not have what it says already. Raises ModelError, EndpointError where that fails."""
        return annotated(
            self.wiring,
            self.probes,
            self.folder.annotations(self.wiring.config.annotator),
            anew=self.anew,
            on_progress=_told(self.on_progress, NAMING),
            on_remark=self.on_remark,
        )

    def items_of(self, fresh: Sequence[Image] = (), wiring: Wiring | None = None) -> ItemsOf:
        """Gives the items of probes; with the `wiring` of another folder those of probes about its images too, with
        the conditions of the `fresh` ones among them."""
        conditions, grounder = self.image_facts.conditions(fresh, wiring), self.image_facts.grounder(wiring)
        return lambda probes: items_by_probe(probes, self.named.annotator, conditions, grounder)

    def analyse(self) -> Findings:
        """What there is to find. Raises ModelError, EndpointError as `named` does."""
        conditions = self.image_facts.conditions()
        self.image_facts.keep_groundings(self.probes)
        return analyse(
            self.probes,
            training=self.training,
            frozen=not self.training and self.wiring.config.questioner.method in FROZEN_METHODS,
            made_for=self.made_for,
            annotator=self.named.annotator,
            conditions=conditions,
            grounder=self.image_facts.grounder(),
            describer=self.named.describer,
        )

    def with_confirmations(self, found: Findings, wiring: Wiring) -> Findings:
        """Findings of these probes, with what the confirming ones say of each mode by now. What these ask about is
        kept; their images are in the folder of `wiring`."""
        self.image_facts.keep_groundings(self.confirming, wiring)
        search = with_confirmations(found.search, self.probes, self.made_for, self.items_of(), found.failure)
        return replace(found, search=search)

    def write(self, found: Findings) -> list[Path]:
        """The findings beside the run. Raises StoreError where they may not be written."""
        named, annotator = self.named, self.wiring.config.annotator
        return self.folder.write(found, self.stamp, annotator, named.kept, named.names)

    def search(self) -> ModeSearch:
        """The modes, as they were written for these probes, or else found now and written."""
        written = self.folder.search(self.stamp)
        if written is not None:
            return written
        found = self.analyse()
        self.write(found)
        return found.search

    def reading(self, search: ModeSearch) -> tuple[Reading, ...]:
        """The modes that held up, in the order in which to read them."""
        held = [mode for mode in search.modes if mode.held_up]
        return tuple(reading_order(held, self.wrong, self.items_of()(self.wrong)))


def read_phase(
    store: SqliteStore,
    run: Path,
    name: str,
    *,
    images: str | None = None,
    change: Callable[[Config], Config] | None = None,
    on_progress: OnStage | None = None,
    on_remark: Callable[[str], None] | None = None,
) -> Phase:
    """The phase of this name in the store of `run`, which may be closed afterwards. `images` is where its images are,
    if they were moved. Its configuration is changed: by default to the annotator of the findings that there are of it.
    Raises StoreError, ConfigError."""
    known_phase(name, phases_of(store), run)
    again = [replay.phase for replay in store.replays() if (replay.kind, replay.source) == ("confirm", name)]
    assert len(again) <= 1, "one name, one phase"
    probes = _read(store, name, _told(on_progress, READING))
    confirming = made_for(store, again[0]) if again else {}
    config = from_dict(store.run.config)
    if images is not None:
        config = override(config, {"images.path": images})
    config = FindingsFolder(run, name).as_annotated(config) if change is None else change(config)
    if config.annotator.asks_a_model:  # its answers are kept beside the run, wherever that is by now
        config = override(config, {"out": str(run.resolve().parent)})
    stamp = {
        "probes": len(probes),
        "attempt": max((one.attempt for one in store.attempts(name)), default=0),
        "confirming": sum(map(len, confirming.values())),
    }
    return Phase(
        run=run,
        name=name,
        training=source_of(store, name) == TRAINING,
        probes=tuple(probes),
        made_for=confirming,
        stamp=stamp,
        wiring=Wiring(config),
        anew=change is not None,
        on_progress=on_progress,
        on_remark=on_remark,
    )


def _read(store: SqliteStore, name: str, on_progress: Callable[[int, int], None] | None) -> list[Probe]:
    if on_progress is None:
        return list(store.probes(name))
    total, probes = sum(store.counts(name).values()), list[Probe]()
    for probe in store.probes(name):
        if len(probes) % 1000 == 0:
            on_progress(len(probes), total)
        probes.append(probe)
    on_progress(len(probes), len(probes))
    return probes


def _told(on_progress: OnStage | None, stage: str) -> Callable[[int, int], None] | None:
    return None if on_progress is None else lambda done, total: on_progress(done, total, stage)

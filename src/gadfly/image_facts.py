"""What is known of the images of a phase: their conditions, and what questions about them refer to. Asks no model.

Found out once and kept beside the run (`findings_folder`): the images may be elsewhere later. Findings do without what
cannot be found out, and it is said.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

from gadfly.analysis.conditions import Measures, conditions, measure_all
from gadfly.analysis.grounding import KeptGrounder, groundings
from gadfly.errors import ImageError, TestbedError
from gadfly.findings_folder import FindingsFolder
from gadfly.protocols import Grounder
from gadfly.records import Grounding, Image, Probe
from gadfly.wiring import Wiring


@final
@dataclass(frozen=True)
class ImageFacts:
    """Of `images`, those of a phase by their ids, which are in the folder of `wiring`. `afresh` are the ids of those
    that its confirming phase asked about: they may lie in a folder of their own, and were measured then.

    `on_progress` gets (images measured, images to measure), `on_remark` why something is not known."""

    folder: FindingsFolder
    wiring: Wiring
    images: Mapping[str, Image]
    afresh: frozenset[str]
    on_progress: Callable[[int, int], None] | None = None
    on_remark: Callable[[str], None] | None = None

    def conditions(self, fresh: Sequence[Image] = (), wiring: Wiring | None = None) -> dict[str, tuple[str, ...]]:
        """The items of the images by their ids, and of `fresh` ones, which are in the folder of `wiring`. Thirds are
        those of the phase's images. One that cannot be opened has none: all else can be found all the same."""
        if not fresh:
            return self._asked_about
        new = self._measured(wiring or self.wiring, {image.id: image for image in fresh if image.id not in self.images})
        return {**conditions(new, self._own), **self._asked_about}

    @functools.cached_property
    def _asked_about(self) -> dict[str, tuple[str, ...]]:
        kept = self.folder.measures() if self.afresh else {}
        afresh = {image_id: one for image_id, one in kept.items() if image_id in self.afresh}
        return {**conditions(self._own), **conditions(afresh, self._own)}

    @functools.cached_property
    def _own(self) -> dict[str, Measures]:
        return self._measured(self.wiring, self.images)

    def _measured(self, wiring: Wiring, wanted: Mapping[str, Image]) -> dict[str, Measures]:
        known = self.folder.measures()
        measures = {image_id: one for image_id, one in known.items() if image_id in wanted}
        if len(measures) == len(wanted):
            return measures
        if self.on_progress is not None:
            self.on_progress(0, len(wanted) - len(measures))
        try:
            measures = measure_all(wiring.source, wanted.values(), measures, wiring.object_sizes, self.on_progress)
        except (ImageError, TestbedError) as fault:
            self._remark(f"no image conditions: {fault}; --images says where they are now")
        else:
            if len(measures) < len(wanted):
                self._remark(f"{len(wanted) - len(measures)} of {len(wanted)} images could not be measured")
        if measures:
            self.folder.keep_measures({**known, **measures})
        return measures

    def grounder(self, fresh: Wiring | None = None) -> Grounder:
        """Says which things questions ask about: what is kept, else what the scenes of the phase's images show, or
        those in the folder of `fresh`."""
        if fresh is None:
            return KeptGrounder(self._groundings, lambda: self._scenes)
        return KeptGrounder(self._groundings, functools.cache(lambda: self._grounder(fresh)))

    def keep_groundings(self, probes: Iterable[Probe], fresh: Wiring | None = None) -> None:
        """Keep what the valid ones of these probes ask about."""
        n_known = len(self._groundings)
        self._groundings.update(groundings((p for p in probes if p.verdict.valid), self.grounder(fresh)))
        if len(self._groundings) > n_known:
            self.folder.keep_groundings(self._groundings)

    @functools.cached_property
    def _groundings(self) -> dict[tuple[str, str], Grounding]:
        return self.folder.groundings()

    @functools.cached_property
    def _scenes(self) -> Grounder | None:
        return self._grounder(self.wiring)

    def _grounder(self, wiring: Wiring) -> Grounder | None:
        try:
            return wiring.grounder
        except TestbedError as fault:
            self._remark(f"no referents: {fault}; --images says where the images are now")
            return None

    def _remark(self, said: str) -> None:
        if self.on_remark is not None:
            self.on_remark(said)

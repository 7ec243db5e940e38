"""What is kept of a run's findings, in RUN/findings: written whole or not at all, and read again. Finds nothing.

Each phase has a folder of its own there, with a file for each part that there is. Beside these lies what is known of
the images, whatever the phase: pictures.json has their measures, groundings.json what questions about them refer to.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final
from urllib.parse import quote

from gadfly.analysis.annotations import Kept, kept_of
from gadfly.analysis.conditions import Measures, read_measures, write_measures
from gadfly.analysis.findings import Findings
from gadfly.analysis.grounding import read_groundings, write_groundings
from gadfly.analysis.modes import ModeSearch
from gadfly.analysis.modes_json import search_of
from gadfly.analysis.naming import Names
from gadfly.config import Config, override
from gadfly.errors import ConfigError, StoreError
from gadfly.model_config import AnnotatorConfig
from gadfly.plain_data import as_plain
from gadfly.records import Grounding

FINDINGS = "findings"
_PICTURES, _GROUNDINGS = "pictures.json", "groundings.json"
_ANNOTATOR = "annotator"

Stamp = Mapping[str, int]
"""Of which probes findings are: how many, of which attempt, how many that confirm."""


@final
@dataclass(frozen=True, slots=True)
class FindingsFolder:
    """The findings of the phase of this name, of the run in the folder `run`. Whatever writes raises StoreError where
    it may not."""

    run: Path
    phase: str

    @property
    def path(self) -> Path:
        return self.run / FINDINGS / _folder_name(self.phase)

    def write(
        self, found: Findings, of: Stamp, annotator: AnnotatorConfig, kept: Kept | None, names: Names | None
    ) -> list[Path]:
        """One file for each part that there is. The same findings give the same bytes."""
        parts: Mapping[str, Any] = {
            "modes": {"known_failures_version": found.known_failures_version, "of": of, **as_plain(found.search)},
            "taxonomy": as_plain(found.taxonomy),
            "curriculum": as_plain(found.curriculum),
            "coverage": as_plain(found.coverage),
            "names": as_plain(names),
            _ANNOTATOR: None if annotator == AnnotatorConfig() else as_plain(annotator),
            "annotations": None if kept is None else kept.as_json(),
        }
        return [path for name, part in parts.items() if (path := self.write_part(name, part)) is not None]

    def write_part(self, name: str, data: Any) -> Path | None:
        """One file of the findings; None where there is nothing, and what was there is gone."""
        path = self._file(name)
        if data is None:
            with _writable(self.path):
                path.unlink(missing_ok=True)  # of an earlier analysis
            return None
        with _whole(path) as unfinished:
            unfinished.write_text(json.dumps(data, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        return path

    def search(self, of: Stamp) -> ModeSearch | None:
        """The modes as they were written, None where that was not for these probes, or never."""
        data = self._part("modes")
        try:
            return search_of(data) if data["of"] == of else None
        except (KeyError, TypeError):
            return None

    def annotations(self, annotator: AnnotatorConfig) -> tuple[Kept, Names | None] | None:
        """What this annotator said, and the canonical names; None where it was another one, or was not asked."""
        kept, names = kept_of(self._part("annotations")), self._part("names")
        if kept is None or self._part(_ANNOTATOR) != as_plain(annotator):
            return None
        try:
            return kept, None if names is None else Names(**names)
        except TypeError:
            return None

    def as_annotated(self, config: Config) -> Config:
        """With the annotator that the findings were made with, where it is not the run's own: modes are made of its
        names. Raises StoreError where that cannot be read any more."""
        path = self._file(_ANNOTATOR)
        if not path.exists():
            return config
        try:
            settings = json.loads(path.read_text("utf-8"))
            return override(config, {"annotator": {}, **{f"annotator.{key}": value for key, value in settings.items()}})
        except (OSError, ValueError, AttributeError, ConfigError) as fault:
            raise StoreError(f"{path} cannot be read ({fault}); analyse the run again") from fault

    def measures(self) -> dict[str, Measures]:
        """Of the run's images, by their ids."""
        return read_measures(self.run / FINDINGS / _PICTURES)

    def keep_measures(self, measures: Mapping[str, Measures]) -> None:
        with _whole(self.run / FINDINGS / _PICTURES) as unfinished:
            write_measures(unfinished, measures)

    def groundings(self) -> dict[tuple[str, str], Grounding]:
        """Of questions about the run's images, as `analysis/grounding.py` knows them."""
        return read_groundings(self.run / FINDINGS / _GROUNDINGS)

    def keep_groundings(self, groundings: Mapping[tuple[str, str], Grounding]) -> None:
        with _whole(self.run / FINDINGS / _GROUNDINGS) as unfinished:
            write_groundings(unfinished, groundings)

    def _file(self, part: str) -> Path:
        return self.path / f"{part}.json"

    def _part(self, name: str) -> Any:
        """One file of the findings as it was parsed; None where it is not there, or is no JSON."""
        try:
            return json.loads(self._file(name).read_text("utf-8"))
        except (OSError, ValueError):
            return None


def _folder_name(phase: str) -> str:
    """A phase's name as that of a folder, wherever it came from: no separators, no dots alone."""
    safe = quote(phase, safe=" ")
    return safe.replace(".", "%2E") if not safe.strip(". ") else safe


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A file beside this one, which takes its place once it has been written. Raises StoreError as `_writable` does."""
    unfinished = path.with_name(f"{path.name}.tmp")
    with _writable(path.parent):
        yield unfinished
        unfinished.replace(path)


@contextmanager
def _writable(folder: Path) -> Iterator[None]:
    """The folder is there while something is written to it. Raises StoreError where it may not be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except PermissionError as fault:
        raise StoreError(f"{folder} cannot be written ({fault.strerror}); copy the run to a folder of yours") from fault

"""A run as the viewer holds it: its store open, its columns in memory, its figures worked out beside the pages.

Knows the store; nothing of HTTP and HTML. All but `compute` belongs to one thread, that of the connection.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, final

from gadfly.analysis.usage import by_role
from gadfly.probing import UNPARSABLE
from gadfly.records import ProbeKey, Usage, Verdict
from gadfly.store.columns import ProbeColumns
from gadfly.store.faults import store_errors
from gadfly.store.file import STORE_NAME
from gadfly.store.labelling import LabelWriter, bring_up_to_date
from gadfly.store.pages import NumberedProbe, read_numbered
from gadfly.store.sqlite import Run, SqliteStore
from gadfly.view.figures import Figures, PhaseColumns, figures, sample
from gadfly.view.labels import SEED

REFRESH_PROBES: Final = 10_000
"""At most so many new ones are read at a time: pages wait for it, a tenth of a second."""

SILENT_S: Final = 300.0
"""An attempt without an end that has stored nothing for so long is not called running."""


@final
class LiveRun:
    """Opens the store for reading and reads its columns. Raises StoreError where it is not one, or an older one that
    cannot be brought up to date now."""

    def __init__(self, folder: Path, on_progress: Callable[[int, int], None] | None = None) -> None:
        self.folder = folder
        path = folder / STORE_NAME
        bring_up_to_date(folder)
        with SqliteStore.open(folder, read_only=True) as store:
            self.run: Run = store.run
        with store_errors(path):
            self.connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        self.columns = ProbeColumns(self.connection, UNPARSABLE, SEED)
        self._store = SqliteStore.open(folder, read_only=True)
        self._samples: dict[tuple[str, int], list[int]] = {}
        self._figures: dict[str, Figures] = {}
        self._writer: LabelWriter | None = None
        with store_errors(path):
            (total,) = self.connection.execute("SELECT coalesce(max(probe), 0) FROM probes").fetchone()
            self.columns.refresh(on_progress=None if on_progress is None else lambda n: on_progress(n, max(total, n)))

    def close(self) -> None:
        self.connection.close()
        self._store.close()
        if self._writer is not None:
            self._writer.close()

    def refresh(self) -> int:
        """Read what has been stored since; returns how many probes."""
        with store_errors(self.folder / STORE_NAME):
            return self.columns.refresh(REFRESH_PROBES)

    @property
    def phases(self) -> list[str]:
        """In the order in which they were begun."""
        return list(dict.fromkeys(self.columns.attempts[number].phase for number in sorted(self.columns.attempts)))

    def stale(self, phase: str) -> PhaseColumns | None:
        """What `compute` needs to bring a phase's figures up to date; None where they are."""
        known = self._figures.get(phase)
        if known is not None and known.n_read == self.columns.n:
            return None
        return PhaseColumns.of(self.columns, phase)

    @staticmethod
    def compute(phase: PhaseColumns) -> Figures:
        """May run in any thread."""
        return figures(phase)

    def keep(self, found: Figures) -> None:
        self._figures[found.phase] = found

    def figures(self, phase: str) -> Figures | None:
        """As they were last worked out."""
        return self._figures.get(phase)

    def state(self) -> tuple[bool, str]:
        """(whether it seems to be running, a sentence about it)."""
        if not self.columns.attempts:
            return False, "Nothing has been asked yet."
        newest = self.columns.attempts[max(self.columns.attempts)]
        if newest.outcome is not None:
            return False, f"The last sitting ({newest.phase}) has ended: {newest.outcome}."
        last = self.last_stored_at() or newest.started_at
        silent_s = max(0.0, time.time() - last)
        if silent_s < SILENT_S:
            return True, f"Running ({newest.phase}); this page follows it."
        return False, f"The last sitting ({newest.phase}) has no recorded end, and has stored nothing lately."

    def last_stored_at(self) -> float | None:
        row = self.connection.execute("SELECT created_at FROM probes ORDER BY probe DESC LIMIT 1").fetchone()
        return None if row is None else float(row[0])

    def usage(self) -> dict[str, Usage]:
        """Of all attempts, what was superseded included: it cost as well."""
        return by_role(usage for _, usage in self._store.usages())

    def probes(self, numbers: list[int]) -> list[NumberedProbe]:
        return read_numbered(self.connection, numbers)

    def sample(self, phase: str, n: int) -> list[int]:
        """The probes to label. Drawn once from those there are, so that a run that goes on does not shuffle it."""
        key = (phase, n)
        if key not in self._samples:
            self._samples[key] = sample(self.columns, phase, n)
        return self._samples[key]

    def redraw(self) -> None:
        """Draw anew, from what there is now."""
        self._samples.clear()

    def label(self, labeller: str, key: ProbeKey, verdict: Verdict | None, *, drawn: bool) -> None:
        """Keep a label; with None take it back. Raises StoreError."""
        if self._writer is None:
            self._writer = LabelWriter(self.folder)
        if verdict is None:
            self._writer.unlabel(labeller, key)
        else:
            self._writer.label(labeller, key, verdict, drawn=drawn)

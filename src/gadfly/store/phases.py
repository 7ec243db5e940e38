"""Which phases a store has, and which go back to which. Reads no probe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gadfly.errors import StoreError

if TYPE_CHECKING:
    from gadfly.store.sqlite import SqliteStore


def phases_of(store: SqliteStore) -> list[str]:
    """The phases of a run in the order in which they were begun."""
    return list(dict.fromkeys(a.phase for a in sorted(store.attempts(), key=lambda a: a.attempt)))


def known_phase(phase: str, phases: list[str], folder: Path) -> str:
    """The phase itself, where it is one of those of the run in this folder. Raises StoreError where it is not."""
    if phase not in phases:
        raise StoreError(f"{folder} has no phase {phase!r}; it has {', '.join(phases) or 'none yet'}")
    return phase


def own_phases(store: SqliteStore) -> list[str]:
    """Those that go back to no other phase's questions."""
    again = {replay.phase for replay in store.replays()}
    return [phase for phase in phases_of(store) if phase not in again]


def source_of(store: SqliteStore, phase: str) -> str:
    """The phase whose questions a phase asks: its own, or those of the one that it goes back to."""
    sources = {replay.phase: replay.source for replay in store.replays()}
    while phase in sources:
        phase = sources[phase]
    return phase

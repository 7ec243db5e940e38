"""Which phases a store has. Reads no probe."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gadfly.store.sqlite import SqliteStore


def phases_of(store: SqliteStore) -> list[str]:
    """The phases of a run in the order in which they were begun."""
    return list(dict.fromkeys(a.phase for a in sorted(store.attempts(), key=lambda a: a.attempt)))


def own_phases(store: SqliteStore) -> list[str]:
    """Those that go back to no other phase's questions."""
    again = {replay.phase for replay in store.replays()}
    return [phase for phase in phases_of(store) if phase not in again]

"""What RUN and RUN:PHASE mean: a folder, and a phase in its store. Reads no probe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gadfly.errors import StoreError
from gadfly.store.phases import known_phase, own_phases, phases_of

if TYPE_CHECKING:
    from gadfly.store.sqlite import SqliteStore


def folder_and_phase(spec: str) -> tuple[Path, str | None]:
    """RUN or RUN:PHASE; a folder may have a colon in its name."""
    folder, colon, phase = spec.rpartition(":")
    return (Path(spec), None) if Path(spec).is_dir() or not colon else (Path(folder), phase)


def one_phase(store: SqliteStore, wanted: str | None, folder: Path) -> str:
    """The phase that is meant: the one named, or the only one of `own_phases`. Raises StoreError where there is none
    such, or several."""
    if wanted is not None:
        return known_phase(wanted, phases_of(store), folder)
    own = own_phases(store)
    if len(own) == 1:
        return own[0]
    said = f"say which: {', '.join(f'{folder}:{phase}' for phase in own)}" if own else "it has no probes yet"
    raise StoreError(f"{folder} has {len(own)} phases; {said}")

"""SQLite's exceptions turned into StoreErrors that say what to do. Knows no table."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gadfly.errors import StoreError

_ADVICE = {
    "SQLITE_BUSY": "another program holds it locked; close that program, then resume the run",
    "SQLITE_LOCKED": "another program holds it locked; close that program, then resume the run",
    "SQLITE_FULL": "the disk is full; free some space, then resume the run: what was written before is intact",
    "SQLITE_IOERR": "the disk does not read or write; check its space and health, then resume the run",
    "SQLITE_READONLY": "it cannot be written to; check the permissions of the file and of its folder",
    "SQLITE_CANTOPEN": "it cannot be opened; check the permissions of the file and of its folder",
    "SQLITE_PERM": "it cannot be opened; check the permissions of the file and of its folder",
    "SQLITE_CORRUPT": "it is damaged; restore it from a backup, or try the .recover command of the sqlite3 shell",
    "SQLITE_NOTADB": "it is not an SQLite file; give the folder of a Gadfly run",
    "SQLITE_TOOBIG": "one text is larger than SQLite can hold; limit the length of what models may write",
}


@contextmanager
def store_errors(path: Path) -> Iterator[None]:
    """Raise StoreError for the faults of the world round the file. Programming mistakes pass through unchanged."""
    try:
        yield
    except sqlite3.Error as error:
        name = str(getattr(error, "sqlite_errorname", None))  # absent where the sqlite3 module itself objects
        # Extended codes extend the name: SQLITE_IOERR_WRITE, SQLITE_BUSY_SNAPSHOT.
        advice = next((advice for start, advice in _ADVICE.items() if name.startswith(start)), None)
        if advice is None:
            raise
        raise StoreError(f"{path}: {advice} ({error})") from error

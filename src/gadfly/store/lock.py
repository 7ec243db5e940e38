"""Keeps a run folder to one writer. Knows nothing of what is written.

The lock is an exclusive transaction on a small SQLite file of its own, held for as long as the writer lives. SQLite's
locks are the operating system's: they vanish with the process however it ends, work on every platform SQLite does,
and are not inherited by forked data-loading workers that outlive it. Readers never touch this file.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from gadfly.errors import StoreError
from gadfly.store.faults import store_errors


class WriterLock:
    """Held from construction to `release`. Raises StoreError at once where another writer holds it."""

    def __init__(self, path: Path) -> None:
        with store_errors(path):
            self._connection = sqlite3.connect(path, timeout=0, isolation_level=None)
            try:
                self._connection.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError as error:
                self._connection.close()
                if error.sqlite_errorname != "SQLITE_BUSY":
                    raise
                raise StoreError(
                    f"{path.parent}: another process is writing to this run; wait for it or stop it, "
                    "or give this run a folder of its own"
                ) from error

    def release(self) -> None:
        self._connection.close()

"""The file of a store: made whole, locked, brought up to date, read, written in transactions. Knows no record.

Write-ahead log with synchronous=NORMAL: a transaction that has ended survives the death of the process (kill -9
included); after a power cut the last ones may be missing, the file is whole. One writer, kept by a lock; any number of
readers, also with other SQLite tools, while a run goes on. A file is for the thread that opened it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import final

from gadfly.errors import StoreError
from gadfly.store.faults import store_errors
from gadfly.store.lock import WriterLock
from gadfly.store.schema import APPLICATION_ID, check_is_ours, migrate, schema_version, shipped_migrations

STORE_NAME = "store.sqlite"
LOCK_NAME = "store.lock"
_OLDEST_READ = 1  # the oldest schema that is read without a migration
BUSY_TIMEOUT_S = 30.0
"""How long to wait for another program that holds the file locked (a backup, an open shell) before giving up."""


def create_file(folder: Path, fill: Callable[[sqlite3.Connection], None]) -> None:
    """A new store's file in `folder`, of the newest schema, into which `fill` has written what every store has. Raises
    StoreError where there is one already, or the folder cannot be made."""
    path, unfinished = folder / STORE_NAME, folder / (STORE_NAME + ".new")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be made ({error}); give a folder that can be written to") from error
    lock = WriterLock(folder / LOCK_NAME)
    try:
        if path.exists():
            raise StoreError(f"{path}: there is a run already; resume it, or give a new folder")
        # Made beside its place and moved there whole: a killed creation leaves nothing that looks like a store.
        for left in (unfinished, unfinished.with_name(unfinished.name + "-journal")):
            left.unlink(missing_ok=True)
        with store_errors(path):
            connection = sqlite3.connect(unfinished, isolation_level=None)
            try:
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                migrate(connection, shipped_migrations())
                fill(connection)
            finally:
                connection.close()
        unfinished.rename(path)
    finally:
        lock.release()


@final
class StoreFile:
    """The open file. SQLite's faults leave `reading` and `writing` as StoreErrors that say what to do."""

    def __init__(self, folder: Path, *, read_only: bool, busy_timeout_s: float) -> None:
        """Opens it; for writing it is locked, and migrated to the newest schema first. A reader changes nothing, and
        reads an older schema as it is. Raises StoreError as `SqliteStore.open` says."""
        self.path = folder / STORE_NAME
        if not self.path.is_file():
            raise StoreError(f"{folder}: no {STORE_NAME} in it; give the folder of a Gadfly run")
        self._lock = None if read_only else WriterLock(folder / LOCK_NAME)
        try:
            with store_errors(self.path):
                self._connection = sqlite3.connect(
                    f"{self.path.absolute().as_uri()}?mode={'ro' if read_only else 'rw'}",
                    uri=True,
                    timeout=busy_timeout_s,
                    isolation_level=None,
                )
                try:
                    _prepare(self._connection, self.path, read_only)
                except BaseException:
                    self._connection.close()
                    raise
        except BaseException:
            if self._lock is not None:
                self._lock.release()
            raise

    def close(self) -> None:
        """Close it and let another writer in. May be called twice."""
        with store_errors(self.path):
            self._connection.close()
        if self._lock is not None:
            self._lock.release()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection to read by."""
        with store_errors(self.path):
            yield self._connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The connection to write by: all that is written here is kept, or none of it where an exception ends it."""
        assert self._lock is not None, "opened read-only"
        with store_errors(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # SQLite itself rolls back on some faults, such as a full disk
                    self._connection.execute("ROLLBACK")
                raise


def _prepare(connection: sqlite3.Connection, path: Path, read_only: bool) -> None:
    migrations = shipped_migrations()
    check_is_ours(connection, path, newest=len(migrations))
    if read_only:
        if schema_version(connection) < _OLDEST_READ:
            raise StoreError(
                f"{path}: written by an older Gadfly; open it once for writing, which brings it up to date"
            )
        return
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA cache_size = -65536")  # 64 MiB: the pages of the image index, which grows everywhere
    migrate(connection, migrations)

"""Writes labels into a store while a run may be writing probes to it. Knows labels; writes nothing else.

The writer's lock keeps a second run away from probes, steps and attempts. Labels are rows of their own that no run
reads or writes, so they need no more than SQLite's own lock: one short transaction each, for which a run waits far less
than its `BUSY_TIMEOUT_S`. A `LabelWriter` is for the thread that opened it.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from types import TracebackType
from typing import Self, final

from gadfly.errors import StoreError
from gadfly.records import ProbeKey, Verdict
from gadfly.store.faults import store_errors
from gadfly.store.file import BUSY_TIMEOUT_S, STORE_NAME
from gadfly.store.labels import delete_label, write_label
from gadfly.store.schema import check_is_ours, schema_version, shipped_migrations
from gadfly.store.sqlite import SqliteStore


@final
class LabelWriter:
    """Keeps and takes back labels. A context manager that closes the file.

    Raises StoreError where there is no store, or one of another version: `bring_up_to_date` sees to that.
    """

    def __init__(self, folder: Path, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self._path = folder / STORE_NAME
        newest = len(shipped_migrations())
        with store_errors(self._path):
            self._connection = sqlite3.connect(
                f"{self._path.absolute().as_uri()}?mode=rw", uri=True, timeout=busy_timeout_s, isolation_level=None
            )
            try:
                check_is_ours(self._connection, self._path, newest)
                if schema_version(self._connection) < newest:
                    raise StoreError(f"{self._path}: of an older Gadfly; wait for its run to end, then try anew")
                self._connection.execute("PRAGMA synchronous = NORMAL")
                self._connection.execute("PRAGMA foreign_keys = ON")
            except BaseException:
                self._connection.close()
                raise

    def label(self, labeller: str, key: ProbeKey, verdict: Verdict, *, drawn: bool) -> None:
        """As `SqliteStore.label`. Raises StoreError for a probe that is not there, or a labeller without name."""
        if not labeller.strip():
            raise StoreError(f"{self._path}: a label needs the name of who gave it; name the labeller")
        with store_errors(self._path):  # one statement is one transaction
            kept = write_label(self._connection, labeller, key, verdict, drawn)
        if kept == 0:
            raise StoreError(f"{self._path}: no probe {key.phase} {key.step}.{key.index} to label; list them anew")

    def unlabel(self, labeller: str, key: ProbeKey) -> None:
        """Take a label back, if there is one."""
        with store_errors(self._path):
            delete_label(self._connection, labeller, key)

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def bring_up_to_date(folder: Path) -> None:
    """Migrate an older store, so that labels can be written to it. Raises StoreError where there is none, it is not
    ours, or it is older and a run is writing to it."""
    path = folder / STORE_NAME
    if not path.is_file():
        raise StoreError(f"{folder}: no {STORE_NAME} in it; give the folder of a Gadfly run")
    with store_errors(path):
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            newest = len(shipped_migrations())
            check_is_ours(connection, path, newest)
            old = schema_version(connection) < newest
        finally:
            connection.close()
    if old:
        SqliteStore.open(folder).close()

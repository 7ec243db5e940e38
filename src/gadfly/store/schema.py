"""Brings a store's schema up to date by numbered migrations, and refuses files that are not stores. Knows no record.

`PRAGMA application_id` says that a file is ours, `PRAGMA user_version` is the number of the last migration applied.
Migrations are the files migrations/NNNN_name.sql, numbered from 1 without a gap, never edited once released.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from gadfly.errors import StoreError

APPLICATION_ID = 0x6761_6466
"""ASCII "gadf"."""


def shipped_migrations() -> list[str]:
    """The SQL of each migration, first to last."""
    folder = files("gadfly.store") / "migrations"
    scripts = sorted((file.name, file.read_text("utf-8")) for file in folder.iterdir() if file.name.endswith(".sql"))
    assert [int(name[:4]) for name, _ in scripts] == list(range(1, len(scripts) + 1)), "numbered 0001, 0002, …"
    return [sql for _, sql in scripts]


def migrate(connection: sqlite3.Connection, migrations: Sequence[str]) -> None:
    """Apply the migrations that the store does not have yet, each in a transaction of its own."""
    for number, sql in enumerate(migrations, start=1):
        if number > schema_version(connection):
            try:
                connection.executescript(f"BEGIN IMMEDIATE;\n{sql}\nPRAGMA user_version = {number};\nCOMMIT;")
            except sqlite3.Error:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise


def check_is_ours(connection: sqlite3.Connection, path: Path, newest: int) -> None:
    """Raises StoreError for a file that is not a store, or one of a newer schema than `newest`."""
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    if application_id != APPLICATION_ID:
        raise StoreError(f"{path}: an SQLite file, but not a Gadfly store; give the folder of a Gadfly run")
    version = schema_version(connection)
    if version > newest:
        raise StoreError(
            f"{path}: written by a newer Gadfly (schema {version}, this one knows up to {newest}); upgrade Gadfly"
        )


def schema_version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)

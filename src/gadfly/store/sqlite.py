"""The store of one run: `store.sqlite` in the run's folder. Knows records; knows nothing of what they mean.

One run, one folder, one store: so no row carries a run's id. Write-ahead log with synchronous=NORMAL: a batch that
was added survives the death of the process (kill -9 included); after a power cut the last batches may be missing, the
file is whole. One writer, kept by a lock; any number of readers, also with other SQLite tools, while a run goes on.
A store is for the thread that opened it.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gadfly.errors import StoreError
from gadfly.records import PastQuestion, Probe, ProbeKey, Usage, Verdict
from gadfly.store.codec import ProbeRows, encode_json, encode_probes
from gadfly.store.faults import store_errors
from gadfly.store.labels import (
    Label,
    Replay,
    delete_label,
    read_labels,
    read_replays,
    write_label,
    write_replay,
)
from gadfly.store.lock import WriterLock
from gadfly.store.queries import (
    Attempt,
    ProbeFilter,
    StepMetrics,
    read_attempts,
    read_counts,
    read_probes,
    read_seconds,
    read_steps,
    read_usage,
    read_valid_questions,
)
from gadfly.store.schema import APPLICATION_ID, check_is_ours, migrate, schema_version, shipped_migrations

STORE_NAME = "store.sqlite"
LOCK_NAME = "store.lock"
_USAGE_FIELDS = [one.name for one in fields(Usage)]
_OLDEST_READ = 1  # the oldest schema that is read without a migration
_USAGE_SCHEMA, _LABELS_SCHEMA, _TARGETS_SCHEMA = 2, 3, 4  # the first that have these tables, or this column
BUSY_TIMEOUT_S = 30.0
"""How long to wait for another program that holds the file locked (a backup, an open shell) before giving up."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a run is, as recorded when it began. `created_at` is in seconds since 1970 UTC."""

    id: str
    created_at: float
    config: dict[str, Any]
    versions: dict[str, str]
    seed: int


class SqliteStore:
    """A `ProbeStore`. Made by `create` or `open`; a context manager that closes it."""

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: WriterLock | None) -> None:
        """Internal; use `create` or `open`."""
        self._path = path
        self._connection = connection
        self._lock = lock

    @classmethod
    def create(
        cls, folder: Path, run_id: str, config: Mapping[str, Any], versions: Mapping[str, str], seed: int
    ) -> Self:
        """A new store in `folder`, open for writing. Raises StoreError where there is one already."""
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
                    connection.execute(
                        "INSERT INTO run (only, id, created_at, config, versions, seed) VALUES (1, ?, ?, ?, ?, ?)",
                        (run_id, time.time(), encode_json(config), encode_json(versions), seed),
                    )
                finally:
                    connection.close()
            unfinished.rename(path)
        finally:
            lock.release()
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path, *, read_only: bool = False, busy_timeout_s: float = BUSY_TIMEOUT_S) -> Self:
        """The store in `folder`. For writing it is migrated to the newest schema first.

        A reader changes nothing, and reads an older schema as it is. Raises StoreError where there is none, it is not
        ours, its schema is newer than this code or too old, another process is writing, or it stays locked for
        `busy_timeout_s`.
        """
        path = folder / STORE_NAME
        if not path.is_file():
            raise StoreError(f"{folder}: no {STORE_NAME} in it; give the folder of a Gadfly run")
        lock = None if read_only else WriterLock(folder / LOCK_NAME)
        try:
            with store_errors(path):
                connection = sqlite3.connect(
                    f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rw'}",
                    uri=True,
                    timeout=busy_timeout_s,
                    isolation_level=None,
                )
                try:
                    _prepare(connection, path, read_only)
                except BaseException:
                    connection.close()
                    raise
        except BaseException:
            if lock is not None:
                lock.release()
            raise
        return cls(path, connection, lock)

    def close(self) -> None:
        """Close the file and let another writer in. May be called twice."""
        with store_errors(self._path):
            self._connection.close()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # Writing

    def begin_attempt(self, phase: str, from_step: int = 0) -> int:
        """Begin a sitting of `phase` at `from_step`; returns the attempt's number, which grows over the whole run.

        What earlier attempts of the phase wrote for steps >= from_step is superseded: kept, and outside of
        everything that does not ask for superseded records.
        """
        assert from_step >= 0, "steps count from 0"
        with self._transaction() as connection:
            connection.execute(
                "UPDATE attempts SET superseded_from = min(coalesce(superseded_from, ?1), ?1) WHERE phase = ?2",
                (from_step, phase),
            )
            cursor = connection.execute(
                "INSERT INTO attempts (attempt, phase, from_step, started_at)"
                " SELECT coalesce(max(attempt), 0) + 1, ?, ?, ? FROM attempts RETURNING attempt",
                (phase, from_step, time.time()),
            )
            (attempt,) = cursor.fetchone()
        return int(attempt)

    def end_attempt(self, attempt: int, outcome: str) -> None:
        """Say how an attempt ended ("finished", "interrupted", …). Raises StoreError for one that was never begun."""
        with self._transaction() as connection:
            cursor = connection.execute(
                "UPDATE attempts SET ended_at = ?, outcome = ? WHERE attempt = ?", (time.time(), outcome, attempt)
            )
            if cursor.rowcount == 0:
                raise StoreError(f"{self._path}: no attempt {attempt} to end; call begin_attempt first")

    def add(self, probes: Sequence[Probe]) -> None:
        """Write all of them or none.

        Of an image seen before, the path first recorded is kept: it is for people, never an identity. Raises
        StoreError for a key that is there already or twice in `probes`, for an attempt that was not begun or has been
        superseded, and where the file cannot be written.
        """
        if not probes:
            return
        with self._transaction() as connection:
            for phase, attempt in {(probe.key.phase, probe.key.attempt) for probe in probes}:
                self._check_attempt(phase, attempt)
            (newest,) = connection.execute("SELECT coalesce(max(probe), 0) FROM probes").fetchone()
            try:
                _insert(connection, encode_probes(probes, newest + 1, time.time()))
            except sqlite3.IntegrityError as error:
                if error.sqlite_errorname != "SQLITE_CONSTRAINT_UNIQUE":
                    raise
                raise StoreError(
                    f"{self._path}: a probe with the same (phase, attempt, step, index) is there already, or twice in "
                    "this batch; nothing of the batch was written; begin a new attempt to do a step anew"
                ) from error

    def add_step(self, phase: str, attempt: int, step: int, metrics: Mapping[str, Any]) -> None:
        """Write the metrics of one step; values must be what JSON can hold. Raises StoreError as `add` does."""
        with self._transaction() as connection:
            self._check_attempt(phase, attempt)
            try:
                connection.execute(
                    "INSERT INTO steps (attempt, step, metrics, created_at) VALUES (?, ?, ?, ?)",
                    (attempt, step, encode_json(metrics), time.time()),
                )
            except sqlite3.IntegrityError as error:
                if error.sqlite_errorname != "SQLITE_CONSTRAINT_PRIMARYKEY":
                    raise
                raise StoreError(
                    f"{self._path}: step {step} of attempt {attempt} has its metrics already; "
                    "begin a new attempt to do a step anew"
                ) from error

    def set_usage(self, attempt: int, usages: Mapping[str, Usage]) -> None:
        """Write what each role has used in an attempt so far, in place of what was written before."""
        rows = [(attempt, role, *(getattr(used, name) for name in _USAGE_FIELDS)) for role, used in usages.items()]
        with self._transaction() as connection:
            connection.executemany(f"INSERT OR REPLACE INTO usage VALUES ({', '.join('?' * 10)})", rows)

    def label(self, labeller: str, key: ProbeKey, verdict: Verdict, *, drawn: bool) -> None:
        """Keep what a labeller says of a probe, in place of what the same labeller said before. `drawn`: the probe was
        drawn at random, not picked. Raises StoreError for a probe that is not there, or for a labeller without name."""
        if not labeller.strip():
            raise StoreError(f"{self._path}: a label needs the name of who gave it; name the labeller")
        with self._transaction() as connection:
            if write_label(connection, labeller, key, verdict, drawn) == 0:
                raise StoreError(f"{self._path}: no probe {key.phase} {key.step}.{key.index} to label; list them anew")

    def unlabel(self, labeller: str, key: ProbeKey) -> None:
        """Take a label back, if there is one."""
        with self._transaction() as connection:
            delete_label(connection, labeller, key)

    def begin_replay(
        self,
        phase: str,
        kind: str,
        source: str,
        verifier: Mapping[str, Any],
        target: Mapping[str, Any] | None = None,
    ) -> None:
        """Say that `phase` goes back to the questions of `source`, before its first attempt; to say the same again is
        to go on with it. Raises StoreError where the phase is there already and is anything else."""
        settings = None if target is None else json.loads(encode_json(target))
        replay = Replay(phase, kind, source, json.loads(encode_json(verifier)), settings)
        there = next((one for one in self.replays() if one.phase == phase), None)
        if there == replay:
            return
        if there is not None or self.attempts(phase):
            raise StoreError(
                f"{self._path}: there is a phase {phase!r} already, of another verifier, source or target; "
                "give another name"
            )
        with self._transaction() as connection:
            write_replay(connection, replay)

    # Reading

    def labels(self, labeller: str | None = None) -> list[Label]:
        """All labels, or those of one labeller, in the order in which they were given."""
        with store_errors(self._path):
            known = schema_version(self._connection) >= _LABELS_SCHEMA
            return read_labels(self._connection, labeller) if known else []

    def replays(self) -> list[Replay]:
        """The phases that go back to the questions of others, in the order in which they were begun."""
        with store_errors(self._path):
            schema = schema_version(self._connection)
            return read_replays(self._connection, schema >= _TARGETS_SCHEMA) if schema >= _LABELS_SCHEMA else []

    @property
    def run(self) -> Run:
        """The run this is the store of."""
        with store_errors(self._path):
            run_id, created_at, config, versions, seed = self._connection.execute(
                "SELECT id, created_at, config, versions, seed FROM run"
            ).fetchone()
        return Run(run_id, created_at, json.loads(config), json.loads(versions), seed)

    def attempts(self, phase: str | None = None) -> list[Attempt]:
        """By phase, then in the order in which they were begun."""
        with store_errors(self._path):
            return read_attempts(self._connection, phase)

    def probes(
        self,
        phase: str | None = None,
        *,
        verdict: Verdict | None = None,
        skill: str | None = None,
        image: str | None = None,
        include_superseded: bool = False,
        newest_first: bool = False,
    ) -> Iterator[Probe]:
        """Whole probes in the order of their keys, a page in memory at a time. `image` is an image's id. With
        `newest_first` by attempt, step and index, the last ones first, whatever their phases.

        Probes added while this is being read may or may not be among them.
        """
        wanted = ProbeFilter(verdict, skill, image)
        attempts = self.attempts(phase)
        if newest_first:
            attempts.sort(key=lambda one: one.attempt, reverse=True)  # counted over the whole run
        for attempt in attempts:
            limit = attempt.step_limit(include_superseded)
            pages = read_probes(self._connection, attempt, limit, wanted, newest_first)
            while True:
                with store_errors(self._path):
                    page = next(pages, None)
                if page is None:
                    break
                yield from page

    def valid_questions(self, phase: str, limit: int) -> list[PastQuestion]:
        """The (last) questions of the last `limit` valid, current probes of `phase`, oldest first: what novelty is
        scored against after a resume."""
        assert limit >= 0, "limit >= 0"
        with store_errors(self._path):
            return read_valid_questions(self._connection, read_attempts(self._connection, phase), limit)

    def steps(self, phase: str | None = None, *, include_superseded: bool = False) -> list[StepMetrics]:
        """The metrics of each step, in order."""
        with store_errors(self._path):
            return [
                step
                for attempt in read_attempts(self._connection, phase)
                for step in read_steps(self._connection, attempt, attempt.step_limit(include_superseded))
            ]

    def counts(self, phase: str | None = None, *, include_superseded: bool = False) -> dict[Verdict, int]:
        """How many probes have each verdict; every verdict is there."""
        total = dict.fromkeys(Verdict, 0)
        with store_errors(self._path):
            for attempt in read_attempts(self._connection, phase):
                limit = attempt.step_limit(include_superseded)
                for verdict, count in read_counts(self._connection, attempt, limit).items():
                    total[verdict] += count
        return total

    def usages(self, phase: str | None = None) -> list[tuple[Attempt, dict[str, Usage]]]:
        """What each role used in each attempt, those included whose probes were superseded: they cost as well."""
        with store_errors(self._path):
            if schema_version(self._connection) < _USAGE_SCHEMA:
                return []
            return [(a, read_usage(self._connection, a)) for a in read_attempts(self._connection, phase)]

    def seconds(self) -> float:
        """How long the attempts of all phases took together."""
        with store_errors(self._path):
            return sum(read_seconds(self._connection, a) for a in read_attempts(self._connection, None))

    def integrity_check(self) -> list[str]:
        """What is wrong with the file, one line a fault; empty for a sound one. Reads all of it."""
        with store_errors(self._path):
            faults = [row[0] for row in self._connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
            for table, _, parent, _ in self._connection.execute("PRAGMA foreign_key_check"):
                faults.append(f"a row of {table} refers to a row of {parent} that is not there")
            for table in ("turns", "probe_images"):
                (bare,) = self._connection.execute(
                    f"SELECT count(*) FROM probes WHERE probe NOT IN (SELECT probe FROM {table})"
                ).fetchone()
                if bare:
                    faults.append(f"{bare} probes have no row in {table}")
        return faults

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        assert self._lock is not None, "opened read-only"
        with store_errors(self._path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # SQLite itself rolls back on some faults, such as a full disk
                    self._connection.execute("ROLLBACK")
                raise

    def _check_attempt(self, phase: str, attempt: int) -> None:
        row = self._connection.execute(
            "SELECT superseded_from FROM attempts WHERE attempt = ? AND phase = ?", (attempt, phase)
        ).fetchone()
        if row is None:
            raise StoreError(f"{self._path}: phase {phase!r} has no attempt {attempt}; call begin_attempt first")
        if row[0] is not None:
            raise StoreError(
                f"{self._path}: attempt {attempt} of phase {phase!r} has been superseded; write to the newest one"
            )


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


def _insert(connection: sqlite3.Connection, rows: ProbeRows) -> None:
    connection.executemany("INSERT OR IGNORE INTO images (id, path, width, height) VALUES (?, ?, ?, ?)", rows.images)
    connection.executemany("INSERT INTO probes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows.probes)
    connection.executemany(
        "INSERT INTO probe_images VALUES (?, ?, (SELECT image FROM images WHERE id = ?))", rows.probe_images
    )
    connection.executemany("INSERT INTO turns VALUES (?, ?, ?, ?, ?)", rows.turns)
    connection.executemany("INSERT INTO reward_terms VALUES (?, ?, ?)", rows.terms)
    connection.executemany(
        "INSERT INTO probe_texts (rowid, question, answer, expected, reason) VALUES (?, ?, ?, ?, ?)", rows.texts
    )

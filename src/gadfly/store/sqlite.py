"""The records of one run, kept and given back. Knows records; knows nothing of what they mean, nor of files and locks.

One run, one folder, one store: so no row carries a run's id. What is promised of a batch that was added, and who may
read and write at once, `file.py` says.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gadfly.errors import StoreError
from gadfly.records import SWEEP, TRAINING, PastQuestion, Probe, ProbeKey, Usage, Verdict
from gadfly.store.codec import ProbeRows, encode_json, encode_probes
from gadfly.store.file import BUSY_TIMEOUT_S, StoreFile, create_file
from gadfly.store.labels import (
    Label,
    Replay,
    delete_label,
    read_labels,
    read_replays,
    write_label,
    write_replay,
)
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
from gadfly.store.schema import schema_version

_USAGE_FIELDS = [one.name for one in fields(Usage)]
_USAGE_SCHEMA, _LABELS_SCHEMA, _TARGETS_SCHEMA = 2, 3, 4  # the first that have these tables, or this column


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

    def __init__(self, file: StoreFile) -> None:
        """Internal; use `create` or `open`."""
        self._file, self._path = file, file.path

    @classmethod
    def create(
        cls, folder: Path, run_id: str, config: Mapping[str, Any], versions: Mapping[str, str], seed: int
    ) -> Self:
        """A new store in `folder`, open for writing. Raises StoreError where there is one already."""

        def say_which_run(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO run (only, id, created_at, config, versions, seed) VALUES (1, ?, ?, ?, ?, ?)",
                (run_id, time.time(), encode_json(config), encode_json(versions), seed),
            )

        create_file(folder, say_which_run)
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path, *, read_only: bool = False, busy_timeout_s: float = BUSY_TIMEOUT_S) -> Self:
        """The store in `folder`. For writing it is migrated to the newest schema first.

        A reader changes nothing, and reads an older schema as it is. Raises StoreError where there is none, it is not
        ours, its schema is newer than this code or too old, another process is writing, or it stays locked for
        `busy_timeout_s`.
        """
        return cls(StoreFile(folder, read_only=read_only, busy_timeout_s=busy_timeout_s))

    def close(self) -> None:
        """Close the file and let another writer in. May be called twice."""
        self._file.close()

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
        with self._file.writing() as connection:
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
        with self._file.writing() as connection:
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
        with self._file.writing() as connection:
            for phase, attempt in {(probe.key.phase, probe.key.attempt) for probe in probes}:
                self._check_attempt(connection, phase, attempt)
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
        with self._file.writing() as connection:
            self._check_attempt(connection, phase, attempt)
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
        with self._file.writing() as connection:
            connection.executemany(f"INSERT OR REPLACE INTO usage VALUES ({', '.join('?' * 10)})", rows)

    def label(self, labeller: str, key: ProbeKey, verdict: Verdict, *, drawn: bool) -> None:
        """Keep what a labeller says of a probe, in place of what the same labeller said before. `drawn`: the probe was
        drawn at random, not picked. Raises StoreError for a probe that is not there, or for a labeller without name."""
        if not labeller.strip():
            raise StoreError(f"{self._path}: a label needs the name of who gave it; name the labeller")
        with self._file.writing() as connection:
            if write_label(connection, labeller, key, verdict, drawn) == 0:
                raise StoreError(f"{self._path}: no probe {key.phase} {key.step}.{key.index} to label; list them anew")

    def unlabel(self, labeller: str, key: ProbeKey) -> None:
        """Take a label back, if there is one."""
        with self._file.writing() as connection:
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
        to go on with it. Raises StoreError where the phase is there already and is anything else, or has a name that
        the run needs for its own."""
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
        if phase in (TRAINING, SWEEP):
            raise StoreError(f"{phase!r} is what a run calls its own questions; give another name")
        with self._file.writing() as connection:
            write_replay(connection, replay)

    # Reading

    def labels(self, labeller: str | None = None) -> list[Label]:
        """All labels, or those of one labeller, in the order in which they were given."""
        with self._file.reading() as connection:
            known = schema_version(connection) >= _LABELS_SCHEMA
            return read_labels(connection, labeller) if known else []

    def replays(self) -> list[Replay]:
        """The phases that go back to the questions of others, in the order in which they were begun."""
        with self._file.reading() as connection:
            schema = schema_version(connection)
            return read_replays(connection, schema >= _TARGETS_SCHEMA) if schema >= _LABELS_SCHEMA else []

    @property
    def run(self) -> Run:
        """The run this is the store of."""
        with self._file.reading() as connection:
            run_id, created_at, config, versions, seed = connection.execute(
                "SELECT id, created_at, config, versions, seed FROM run"
            ).fetchone()
        return Run(run_id, created_at, json.loads(config), json.loads(versions), seed)

    def attempts(self, phase: str | None = None) -> list[Attempt]:
        """By phase, then in the order in which they were begun."""
        with self._file.reading() as connection:
            return read_attempts(connection, phase)

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
            with self._file.reading() as connection:
                pages = read_probes(connection, attempt, limit, wanted, newest_first)
            while True:
                with self._file.reading():
                    page = next(pages, None)
                if page is None:
                    break
                yield from page

    def valid_questions(self, phase: str, limit: int) -> list[PastQuestion]:
        """The (last) questions of the last `limit` valid, current probes of `phase`, oldest first: what novelty is
        scored against after a resume."""
        assert limit >= 0, "limit >= 0"
        with self._file.reading() as connection:
            return read_valid_questions(connection, read_attempts(connection, phase), limit)

    def steps(self, phase: str | None = None, *, include_superseded: bool = False) -> list[StepMetrics]:
        """The metrics of each step, in order."""
        with self._file.reading() as connection:
            return [
                step
                for attempt in read_attempts(connection, phase)
                for step in read_steps(connection, attempt, attempt.step_limit(include_superseded))
            ]

    def counts(self, phase: str | None = None, *, include_superseded: bool = False) -> dict[Verdict, int]:
        """How many probes have each verdict; every verdict is there."""
        total = dict.fromkeys(Verdict, 0)
        with self._file.reading() as connection:
            for attempt in read_attempts(connection, phase):
                limit = attempt.step_limit(include_superseded)
                for verdict, count in read_counts(connection, attempt, limit).items():
                    total[verdict] += count
        return total

    def usages(self, phase: str | None = None) -> list[tuple[Attempt, dict[str, Usage]]]:
        """What each role used in each attempt, those included whose probes were superseded: they cost as well."""
        with self._file.reading() as connection:
            if schema_version(connection) < _USAGE_SCHEMA:
                return []
            return [(a, read_usage(connection, a)) for a in read_attempts(connection, phase)]

    def seconds(self) -> float:
        """How long the attempts of all phases took together."""
        with self._file.reading() as connection:
            return sum(read_seconds(connection, a) for a in read_attempts(connection, None))

    def integrity_check(self) -> list[str]:
        """What is wrong with the file, one line a fault; empty for a sound one. Reads all of it."""
        with self._file.reading() as connection:
            faults = [row[0] for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
            for table, _, parent, _ in connection.execute("PRAGMA foreign_key_check"):
                faults.append(f"a row of {table} refers to a row of {parent} that is not there")
            for table in ("turns", "probe_images"):
                (bare,) = connection.execute(
                    f"SELECT count(*) FROM probes WHERE probe NOT IN (SELECT probe FROM {table})"
                ).fetchone()
                if bare:
                    faults.append(f"{bare} probes have no row in {table}")
        return faults

    def _check_attempt(self, connection: sqlite3.Connection, phase: str, attempt: int) -> None:
        row = connection.execute(
            "SELECT superseded_from FROM attempts WHERE attempt = ? AND phase = ?", (attempt, phase)
        ).fetchone()
        if row is None:
            raise StoreError(f"{self._path}: phase {phase!r} has no attempt {attempt}; call begin_attempt first")
        if row[0] is not None:
            raise StoreError(
                f"{self._path}: attempt {attempt} of phase {phase!r} has been superseded; write to the newest one"
            )


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

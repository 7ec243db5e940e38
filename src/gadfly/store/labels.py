"""Labels and replays out of an open store, and into it. Knows their tables; nothing of files, locks, statistics."""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import dataclass
from typing import Any

from gadfly.records import ProbeKey, Verdict
from gadfly.store.codec import encode_json


@dataclass(frozen=True, slots=True)
class Label:
    """What a labeller said of a probe; UNDECIDED is "cannot tell". `drawn`: the probe was drawn at random by an audit.
    `labelled_at` is in seconds since 1970 UTC."""

    labeller: str
    key: ProbeKey
    verdict: Verdict
    drawn: bool
    labelled_at: float


@dataclass(frozen=True, slots=True)
class Replay:
    """A phase that puts the questions of `source` through the loop again. `kind` is "rejudged", "null", "transfer" or
    "confirm", `verifier` the settings of the verifier that judged, `target` those of the target that answered, None
    where it is not another one."""

    phase: str
    kind: str
    source: str
    verifier: dict[str, Any]
    target: dict[str, Any] | None = None


def write_label(connection: sqlite3.Connection, labeller: str, key: ProbeKey, verdict: Verdict, drawn: bool) -> int:
    """How many probes have been labelled: 0 where there is no such probe."""
    return connection.execute(
        "INSERT OR REPLACE INTO labels (labeller, probe, verdict, drawn, labelled_at)"
        " SELECT ?, probe, ?, ?, ? FROM probes JOIN attempts USING (attempt)"
        " WHERE phase = ? AND attempt = ? AND step = ? AND idx = ?",
        (labeller, verdict.value, int(drawn), time.time(), key.phase, key.attempt, key.step, key.index),
    ).rowcount


def delete_label(connection: sqlite3.Connection, labeller: str, key: ProbeKey) -> None:
    connection.execute(
        "DELETE FROM labels WHERE labeller = ? AND probe ="
        " (SELECT probe FROM probes WHERE attempt = ? AND step = ? AND idx = ?)",
        (labeller, key.attempt, key.step, key.index),
    )


def read_labels(connection: sqlite3.Connection, labeller: str | None) -> list[Label]:
    """In the order in which they were given."""
    rows = connection.execute(
        "SELECT l.labeller, a.phase, p.attempt, p.step, p.idx, l.verdict, l.drawn, l.labelled_at"
        " FROM labels AS l JOIN probes AS p USING (probe) JOIN attempts AS a USING (attempt)"
        " WHERE ?1 IS NULL OR l.labeller = ?1 ORDER BY l.labelled_at, l.labeller, l.probe",
        (labeller,),
    )
    return [Label(who, ProbeKey(*key), Verdict(verdict), bool(drawn), at) for who, *key, verdict, drawn, at in rows]


def write_replay(connection: sqlite3.Connection, replay: Replay) -> None:
    target = None if replay.target is None else encode_json(replay.target)
    connection.execute(
        "INSERT INTO replays (phase, kind, source, verifier, created_at, target) VALUES (?, ?, ?, ?, ?, ?)",
        (replay.phase, replay.kind, replay.source, encode_json(replay.verifier), time.time(), target),
    )


def read_replays(connection: sqlite3.Connection, with_targets: bool) -> list[Replay]:
    """In the order in which they were begun. Stores of schema 3 have replays and no column for their targets."""
    column = "target" if with_targets else "NULL"
    rows = connection.execute(f"SELECT phase, kind, source, verifier, {column} FROM replays ORDER BY created_at, phase")
    return [
        Replay(phase, kind, source, json.loads(verifier), None if target is None else json.loads(target))
        for phase, kind, source, verifier, target in rows
    ]

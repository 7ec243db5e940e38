"""Labels and replays in the store: kept with the run, replaced and taken back, never mixed up."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from gadfly.errors import StoreError
from gadfly.records import ProbeKey, Verdict
from gadfly.store.labels import Replay
from gadfly.store.schema import shipped_migrations
from gadfly.store.sqlite import SqliteStore
from store_samples import sample


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with SqliteStore.create(tmp_path / "run", "run-1", {}, {}, seed=3) as opened:
        opened.begin_attempt("train")
        opened.add([sample(0, 0), sample(0, 1)])
        yield opened


FIRST, SECOND = ProbeKey("train", 1, 0, 0), ProbeKey("train", 1, 0, 1)


def said(store: SqliteStore, labeller: str | None = None) -> list[tuple[str, int, Verdict, bool]]:
    return [(one.labeller, one.key.index, one.verdict, one.drawn) for one in store.labels(labeller)]


def test_labels_are_kept_replaced_and_taken_back(store: SqliteStore) -> None:
    store.label("ann", FIRST, Verdict.WRONG, drawn=True)
    store.label("ann", SECOND, Verdict.UNDECIDED, drawn=True)
    store.label("bob", FIRST, Verdict.RIGHT, drawn=False)
    assert said(store) == [
        ("ann", 0, Verdict.WRONG, True),
        ("ann", 1, Verdict.UNDECIDED, True),
        ("bob", 0, Verdict.RIGHT, False),
    ]
    assert store.labels("ann")[0].key == FIRST
    store.label("ann", FIRST, Verdict.INVALID, drawn=True)
    store.unlabel("ann", SECOND)
    store.unlabel("ann", SECOND)
    assert said(store, "ann") == [("ann", 0, Verdict.INVALID, True)]
    assert said(store, "bob") == [("bob", 0, Verdict.RIGHT, False)]
    assert [probe.verdict for probe in store.probes()] == [Verdict.WRONG] * 2  # no judgement has changed
    assert store.integrity_check() == []


def test_a_label_needs_a_probe_and_a_name(store: SqliteStore) -> None:
    with pytest.raises(StoreError, match=r"no probe train 7\.0 to label"):
        store.label("ann", ProbeKey("train", 1, 7, 0), Verdict.WRONG, drawn=True)
    with pytest.raises(StoreError, match=r"no probe sweep 0\.0 to label"):
        store.label("ann", ProbeKey("sweep", 1, 0, 0), Verdict.WRONG, drawn=True)
    with pytest.raises(StoreError, match="name the labeller"):
        store.label(" ", FIRST, Verdict.WRONG, drawn=True)
    assert store.labels() == []


def test_a_replay_is_begun_once_and_never_turned_into_another(store: SqliteStore) -> None:
    for _ in range(2):
        store.begin_replay("train.rejudged", "rejudged", "train", {"kind": "oracle", "panel": ()})
    assert store.replays() == [Replay("train.rejudged", "rejudged", "train", {"kind": "oracle", "panel": []})]
    with pytest.raises(StoreError, match="of another verifier, source or target"):
        store.begin_replay("train.rejudged", "rejudged", "train", {"kind": "model"})
    with pytest.raises(StoreError, match="of another verifier, source or target"):
        store.begin_replay("train", "rejudged", "train", {"kind": "oracle"})


def test_a_transfer_keeps_the_settings_of_its_target(store: SqliteStore) -> None:
    for _ in range(2):
        store.begin_replay("train.transfer.b", "transfer", "train", {"kind": "oracle"}, {"model": "b"})
    assert store.replays() == [Replay("train.transfer.b", "transfer", "train", {"kind": "oracle"}, {"model": "b"})]
    with pytest.raises(StoreError, match="of another verifier, source or target"):
        store.begin_replay("train.transfer.b", "transfer", "train", {"kind": "oracle"}, {"model": "c"})
    assert store.integrity_check() == []


def test_replays_of_schema_3_are_kept_and_read(tmp_path: Path) -> None:
    """A store as it was before there were transfers: read as it is, and migrated with its rows when written to."""
    SqliteStore.create(tmp_path, "old", {}, {}, seed=0).close()
    old = sqlite3.connect(tmp_path / "store.sqlite", isolation_level=None)
    old.executescript(
        "DROP TABLE probe_texts; DROP TABLE replays;" + shipped_migrations()[2].partition("STRICT, WITHOUT ROWID;")[2]
    )
    old.execute("INSERT INTO replays VALUES ('sweep.null', 'null', 'sweep', '{}', 1.0)")
    old.execute("PRAGMA user_version = 3")
    old.close()
    kept = [Replay("sweep.null", "null", "sweep", {})]
    with SqliteStore.open(tmp_path, read_only=True) as reader:
        assert reader.replays() == kept
    with SqliteStore.open(tmp_path) as writer:
        assert writer.replays() == kept
        writer.begin_replay("sweep.confirm", "confirm", "sweep", {})
        assert [one.kind for one in writer.replays()] == ["null", "confirm"]

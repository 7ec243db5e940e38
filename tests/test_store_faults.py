"""What the world does to a store: wrong files, two writers, locks, a full disk, kill -9."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from gadfly.errors import StoreError
from gadfly.records import Verdict
from gadfly.store.schema import migrate, schema_version, shipped_migrations
from gadfly.store.sqlite import SqliteStore
from store_samples import SCHEMA_1_PROBES, sample

OLD = Path(__file__).parent / "data" / "store-schema-1.sqlite"


def new_store(folder: Path) -> SqliteStore:
    store = SqliteStore.create(folder, "run-1", {}, {}, seed=0)
    store.begin_attempt("train")
    return store


def schema(path: Path) -> list[tuple[str, str]]:
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name").fetchall()
    connection.close()
    return rows


def test_a_store_of_schema_1_opens_and_reads_the_same(tmp_path: Path) -> None:
    shutil.copy(OLD, tmp_path / "store.sqlite")
    new_store(tmp_path / "new").close()
    with SqliteStore.open(tmp_path) as store:
        assert store.run.id == "old"
        assert list(store.probes()) == SCHEMA_1_PROBES
        assert [step.metrics for step in store.steps()] == [{"fdr": 0.5}]
        store.add([sample(2, 0)])
        assert store.integrity_check() == []
    assert schema(tmp_path / "store.sqlite") == schema(tmp_path / "new" / "store.sqlite")


def test_migrations_are_applied_once_and_a_failing_one_leaves_nothing(tmp_path: Path) -> None:
    shutil.copy(OLD, tmp_path / "store.sqlite")
    connection = sqlite3.connect(tmp_path / "store.sqlite", isolation_level=None)
    migrations = [*shipped_migrations(), "ALTER TABLE probes ADD COLUMN later INTEGER;"]
    migrate(connection, migrations)
    migrate(connection, migrations)
    assert schema_version(connection) == len(migrations)
    assert connection.execute("SELECT count(*) FROM probes WHERE later IS NULL").fetchone() == (3,)
    with pytest.raises(sqlite3.OperationalError):
        migrate(connection, [*migrations, "CREATE TABLE half (a); CREATE TABLE half (a);"])
    assert schema_version(connection) == len(migrations)
    assert connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'half'").fetchone() == (0,)
    connection.close()
    with pytest.raises(StoreError, match="newer Gadfly"):
        SqliteStore.open(tmp_path)


def test_a_reader_does_not_migrate(tmp_path: Path) -> None:
    shutil.copy(OLD, tmp_path / "store.sqlite")
    with SqliteStore.open(tmp_path, read_only=True) as store:
        assert list(store.probes()) == SCHEMA_1_PROBES
        assert (store.usages(), store.labels(), store.replays()) == ([], [], [])  # schema 1 has no such tables
    connection = sqlite3.connect(tmp_path / "store.sqlite")
    connection.execute("PRAGMA user_version = 0")
    connection.close()
    with pytest.raises(StoreError, match="older Gadfly"):
        SqliteStore.open(tmp_path, read_only=True)


def test_files_that_are_not_stores_are_refused_and_left_alone(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"no store\.sqlite"):
        SqliteStore.open(tmp_path)
    path = tmp_path / "store.sqlite"
    for content, message in ((b"plain text, long enough to have a header" * 30, "not an SQLite file"), (b"", "not a")):
        path.write_bytes(content)
        for read_only in (False, True):
            with pytest.raises(StoreError, match=message):
                SqliteStore.open(tmp_path, read_only=read_only)
        assert path.read_bytes() == content
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (a)")
    connection.close()
    content = path.read_bytes()
    with pytest.raises(StoreError, match="not a Gadfly store"):
        SqliteStore.open(tmp_path)
    assert path.read_bytes() == content


def test_a_damaged_store_is_a_store_error(tmp_path: Path) -> None:
    with new_store(tmp_path) as store:
        store.add([sample(0, at) for at in range(500)])
    path = tmp_path / "store.sqlite"
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)  # all but the page with the header and the schema
    path.write_bytes(content)
    with SqliteStore.open(tmp_path, read_only=True) as store, pytest.raises(StoreError, match="damaged"):
        list(store.probes())


def test_create_refuses_a_folder_with_a_run_and_clears_half_a_creation(tmp_path: Path) -> None:
    for left in ("store.sqlite.new", "store.sqlite.new-journal"):
        (tmp_path / left).write_bytes(b"left by a killed creation")
    new_store(tmp_path).close()
    with pytest.raises(StoreError, match="a run already"):
        SqliteStore.create(tmp_path, "run-2", {}, {}, seed=0)
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be made"):
        SqliteStore.create(tmp_path / "file", "run-2", {}, {}, seed=0)


def test_a_folder_with_an_awkward_name(tmp_path: Path) -> None:
    folder = tmp_path / "a b?mode=rw#%41é"
    new_store(folder).close()
    with SqliteStore.open(folder, read_only=True) as store:
        assert store.run.id == "run-1"


def test_two_writers_are_refused_and_readers_are_not(tmp_path: Path) -> None:
    with new_store(tmp_path) as writer:
        with pytest.raises(StoreError, match="another process is writing"):
            SqliteStore.open(tmp_path)
        with SqliteStore.open(tmp_path, read_only=True) as reader:
            writer.add([sample(0, 0)])
            assert list(reader.probes()) == [sample(0, 0)]
            pages = reader.probes()
            next(pages)  # a reader in the middle of reading
            writer.add([sample(1, 0)])
            assert len(list(reader.probes())) == 2
            assert writer.counts()[Verdict.WRONG] == 2
    with SqliteStore.open(tmp_path) as writer:  # the lock went with the first
        writer.add([sample(2, 0)])


def test_a_store_locked_by_another_program_is_a_store_error(tmp_path: Path) -> None:
    new_store(tmp_path).close()
    with SqliteStore.open(tmp_path, busy_timeout_s=0.05) as store:
        shell = sqlite3.connect(tmp_path / "store.sqlite", isolation_level=None)
        shell.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another program holds it locked"):
            store.add([sample(0, 0)])
        shell.execute("ROLLBACK")
        shell.close()
        store.add([sample(0, 0)])
        assert list(store.probes()) == [sample(0, 0)]


def test_a_full_disk_is_a_store_error_and_loses_nothing_written_before(tmp_path: Path) -> None:
    with new_store(tmp_path) as store:
        earlier = [sample(0, at) for at in range(50)]
        store.add(earlier)
        with store._file.reading() as connection:
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            connection.execute(f"PRAGMA max_page_count = {pages + 5}")  # SQLite's own SQLITE_FULL
        with pytest.raises(StoreError, match=r"the disk is full; free some space.*intact"):
            store.add([sample(1, at, question="x" * 1000) for at in range(100)])
        assert list(store.probes()) == earlier
        connection.execute("PRAGMA max_page_count = 1000000")  # space has been freed
        store.add([sample(1, 0)])
        assert store.integrity_check() == []
    with SqliteStore.open(tmp_path, read_only=True) as store:
        assert list(store.probes()) == [*earlier, sample(1, 0)]


def test_integrity_check_finds_what_is_missing(tmp_path: Path) -> None:
    with new_store(tmp_path) as store:
        store.add([sample(0, 0)])
        shell = sqlite3.connect(tmp_path / "store.sqlite")
        shell.execute("DELETE FROM turns")
        shell.execute("DELETE FROM images")
        shell.commit()
        shell.close()
        assert store.integrity_check() == [
            "a row of probe_images refers to a row of images that is not there",
            "1 probes have no row in turns",
        ]


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from store_samples import sample
from gadfly.store.sqlite import SqliteStore
with SqliteStore.open(Path(sys.argv[1])) as store:
    attempt = store.begin_attempt("train")
    for step in range(100_000):
        store.add([sample(step, index, attempt=attempt) for index in range(32)])
        print(step, flush=True)
"""


def test_kill_9_loses_no_committed_batch(tmp_path: Path) -> None:
    new_store(tmp_path).close()
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path), str(Path(__file__).parent)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout is not None
    committed = -1
    for line in writer.stdout:
        committed = int(line)
        if committed == 40:
            os.kill(writer.pid, signal.SIGKILL)  # in the middle of writing step 41 or a later one
            break
    rest = writer.stdout.read().split()
    writer.stdout.close()
    assert writer.wait() == -signal.SIGKILL
    committed = int(rest[-1]) if rest else committed
    assert committed >= 40
    with SqliteStore.open(tmp_path) as store:  # the lock died with its holder
        assert store.integrity_check() == []
        kept = list(store.probes())
        steps = len(kept) // 32
        # The batch in hand when the signal came may have been committed and not yet reported; whole, in any case.
        assert steps in (committed + 1, committed + 2)
        assert kept == [sample(step, index, attempt=2) for step in range(steps) for index in range(32)]
        store.begin_attempt("train", from_step=steps)

"""Remembers what a model answered, for calls that have one answer only. Knows no model and no role.

Kept are texts of greedy calls (temperature 0), never errors, in one SQLite file that runs and processes share.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gadfly.errors import StoreError
from gadfly.protocols import ChatModel
from gadfly.records import Chat, Completion, Image, Sampling

APPLICATION_ID: Final = 0x67616463  # "gadc": no other SQLite file is taken for a cache
SCHEMA_VERSION: Final = 1
ROW_OVERHEAD_BYTES: Final = 120  # the key twice, the numbers, and what SQLite needs for a row in a table and an index
KEEP_SHARE: Final = 0.9  # once full, a tenth is cleared at a time, not a row for each new one
_MAX_VARIABLES: Final = 500  # of one statement; SQLite promises 999

_LOG = logging.getLogger(__name__)

_SCHEMA: Final = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS answers (
    key BLOB PRIMARY KEY, text TEXT NOT NULL, bytes INTEGER NOT NULL, used_ns INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS answers_used ON answers (used_ns);
CREATE TABLE IF NOT EXISTS total (bytes INTEGER NOT NULL);
INSERT INTO total SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM total);
CREATE TRIGGER IF NOT EXISTS added AFTER INSERT ON answers BEGIN UPDATE total SET bytes = bytes + new.bytes; END;
CREATE TRIGGER IF NOT EXISTS dropped AFTER DELETE ON answers BEGIN UPDATE total SET bytes = bytes - old.bytes; END;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""


class CompletionCache:
    """Answers by key, in a file at `path` of about `max_bytes`; the answers unused for longest go first.

    The file is opened anew for each batch, so processes and forks share it, and nothing has to be closed. A cache that
    was opened once fails nobody: what it cannot read or write (another process holds it, the disk is full) is asked
    again, with one line in the log. Raises StoreError where the file is not a cache of this version.
    """

    def __init__(self, path: Path, max_bytes: int = 1_000_000_000) -> None:
        assert max_bytes > 0, f"max_bytes is {max_bytes}"
        self._path = path
        self._max_bytes = max_bytes
        self._warned = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with self._open() as db:
                empty = not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
                found = [db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
                if not empty and found != [APPLICATION_ID, SCHEMA_VERSION]:
                    raise StoreError(f"{path} is not a cache of this version; delete it or name another file")
                if empty:
                    db.executescript(_SCHEMA)
                self._write_ahead(db)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"{path} cannot be used as a cache ({error}); delete it or name another file") from error

    def get(self, keys: Sequence[bytes]) -> dict[bytes, str]:
        """The texts of those keys that are there."""
        found: dict[bytes, str] = {}
        with self._tolerant(), self._open() as db:
            for some in _portions(keys):
                marks = ", ".join("?" * len(some))
                found.update(db.execute(f"SELECT key, text FROM answers WHERE key IN ({marks})", some))
            db.execute("BEGIN IMMEDIATE")
            now_ns = time.time_ns()
            db.executemany("UPDATE answers SET used_ns = ? WHERE key = ?", [(now_ns, key) for key in found])
            db.execute("COMMIT")
        return found

    def put(self, texts: Mapping[bytes, str]) -> None:
        """Keep the texts, and clear out what has been unused for longest where there is no room."""
        now_ns = time.time_ns()
        rows = [(key, text, len(text.encode()) + ROW_OVERHEAD_BYTES, now_ns) for key, text in texts.items()]
        with self._tolerant(), self._open() as db:
            self._write_ahead(db)
            db.execute("BEGIN IMMEDIATE")
            db.executemany("INSERT INTO answers VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", rows)
            (total,) = db.execute("SELECT bytes FROM total").fetchone()
            if total > self._max_bytes:
                self._clear(db, total - int(self._max_bytes * KEEP_SHARE))
            db.execute("COMMIT")

    @staticmethod
    def _write_ahead(db: sqlite3.Connection) -> None:
        """So that reading does not wait for writing. The file keeps the mode; SQLite refuses at once, without waiting,
        to set it while another process is in the file, so it is tried again with each batch that is written."""
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise

    @staticmethod
    def _clear(db: sqlite3.Connection, surplus_bytes: int) -> None:
        oldest = []
        for rowid, size in db.execute("SELECT rowid, bytes FROM answers ORDER BY used_ns, rowid"):
            if surplus_bytes <= 0:
                break
            oldest.append((rowid,))
            surplus_bytes -= size
        db.executemany("DELETE FROM answers WHERE rowid = ?", oldest)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        db = sqlite3.connect(self._path, timeout=10.0, isolation_level=None)
        try:
            db.execute("PRAGMA synchronous = NORMAL")  # a power cut may cost the last answers, never the file
            yield db
        finally:
            db.close()

    @contextmanager
    def _tolerant(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if not self._warned:
                _LOG.warning("the cache %s is left out where it fails: %s", self._path.name, error)
            self._warned = True


class Cached:
    """A ChatModel that asks another only what the cache does not know. Chats that are equal are asked once.

    The key is the model's name, `scope` (what else its answers depend on: `EndpointModel.fingerprint`), the chat with
    its images' hashes, `max_new_tokens` and the schema. Sampled calls pass through. `on_cached` is told how many chats
    were answered without the model.
    """

    def __init__(
        self,
        model: ChatModel,
        cache: CompletionCache,
        *,
        scope: str = "",
        on_cached: Callable[[int], None] | None = None,
    ) -> None:
        self._model = model
        self._cache = cache
        self._scope = scope
        self._on_cached = on_cached

    @property
    def name(self) -> str:
        return self._model.name

    def complete(self, chats: Sequence[Chat], sampling: Sampling) -> list[Completion]:
        if sampling.temperature > 0 or not chats:
            return self._model.complete(chats, sampling)
        keys = [chat_key(self._model.name, self._scope, chat, sampling) for chat in chats]
        known = {key: Completion(text) for key, text in self._cache.get(list(dict.fromkeys(keys))).items()}
        asked = {key: chat for key, chat in zip(keys, chats, strict=True) if key not in known}
        if self._on_cached is not None:
            self._on_cached(len(chats) - len(asked))
        if asked:
            new = dict(zip(asked, self._model.complete(list(asked.values()), sampling), strict=True))
            self._cache.put({key: one.text for key, one in new.items() if one.text is not None})
            known |= new
        return [known[key] for key in keys]


def chat_key(name: str, scope: str, chat: Chat, sampling: Sampling) -> bytes:
    """SHA-256 of all that a greedy answer depends on. Seed and top_p are left out: greedy decoding uses neither."""
    assert sampling.temperature == 0, "a sampled answer has no key"
    messages = [[one.role, [[part.id] if isinstance(part, Image) else part for part in one.parts]] for one in chat]
    parts: list[object] = [name, scope, messages, sampling.max_new_tokens]
    if sampling.schema is not None:  # without one the key stays what it was before there were any
        parts.append([sampling.schema.name, sampling.schema.schema])
    whole = json.dumps(parts, ensure_ascii=False)
    return hashlib.sha256(whole.encode(errors="surrogatepass")).digest()


def _portions(keys: Sequence[bytes]) -> Iterable[Sequence[bytes]]:
    return (keys[start : start + _MAX_VARIABLES] for start in range(0, len(keys), _MAX_VARIABLES))

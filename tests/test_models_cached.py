"""The cache of greedy answers: what is kept, what is not, and what happens to the file."""

from __future__ import annotations

import multiprocessing
import sqlite3
from pathlib import Path

import pytest

from gadfly.errors import StoreError
from gadfly.models.cached import ROW_OVERHEAD_BYTES, Cached, CompletionCache, chat_key
from gadfly.models.conformance import check_chat_model
from gadfly.models.scripted import ScriptedModel, chat_text
from gadfly.records import Chat, Completion, Image, Message, Sampling, Schema

GREEDY = Sampling()


def chat(text: str, image: str = "0") -> Chat:
    return (Message("user", (Image(image * 64, "a.png", 1, 1), text)),)


def reply(one: Chat, sampling: Sampling) -> str | Exception:
    return ValueError("no") if chat_text(one) == "fail" else f"{chat_text(one)}!"


@pytest.fixture
def model() -> ScriptedModel:
    return ScriptedModel("double", reply)


@pytest.fixture
def cache(tmp_path: Path) -> CompletionCache:
    return CompletionCache(tmp_path / "cache.sqlite")


def test_it_is_a_chat_model(model: ScriptedModel, cache: CompletionCache) -> None:
    check_chat_model(Cached(model, cache), [chat("a"), chat("b")])


def test_each_chat_is_asked_once(model: ScriptedModel, cache: CompletionCache) -> None:
    hits: list[int] = []
    cached = Cached(model, cache, on_cached=hits.append)
    assert [one.text for one in cached.complete([chat("a"), chat("b"), chat("a")], GREEDY)] == ["a!", "b!", "a!"]
    # Another run, which shares the file; another seed, which greedy decoding does not use.
    again = Cached(model, cache, on_cached=hits.append)
    assert [one.text for one in again.complete([chat("c"), chat("a")], Sampling(seed=7))] == ["c!", "a!"]
    assert model.batches == [(chat("a"), chat("b")), (chat("c"),)]
    assert hits == [1, 1]


def test_errors_and_sampled_answers_are_not_kept(model: ScriptedModel, cache: CompletionCache) -> None:
    cached = Cached(model, cache)
    for _ in range(2):
        assert cached.complete([chat("fail")], GREEDY) == [Completion(error="ValueError: no")]
        cached.complete([chat("a"), chat("a")], Sampling(temperature=0.1))
    assert model.batches == [(chat("fail"),), (chat("a"), chat("a"))] * 2


def test_what_a_key_depends_on() -> None:
    plain = chat_key("m", "", chat("a"), GREEDY)
    others = [
        chat_key("n", "", chat("a"), GREEDY),
        chat_key("m", "there", chat("a"), GREEDY),
        chat_key("m", "", chat("b"), GREEDY),
        chat_key("m", "", chat("a", image="1"), GREEDY),
        chat_key("m", "", chat("a"), Sampling(max_new_tokens=5)),
        chat_key("m", "", chat("a"), Sampling(schema=Schema("s", {"type": "object"}))),
        chat_key("m", "", chat("a"), Sampling(schema=Schema("s", {"type": "string"}))),
        chat_key("m", "", (Message("system", chat("a")[0].parts),), GREEDY),
        chat_key("m", "", (Message("user", ("0" * 64, "a")),), GREEDY),  # a text that reads like the image's hash
        chat_key("m", "", (Message("user", chat("a")[0].parts[::-1]),), GREEDY),
    ]
    assert len({plain, *others}) == 1 + len(others)
    # The path is for people, never an identity.
    moved = (Message("user", (Image("0" * 64, "elsewhere.png", 1, 1), "a")),)
    assert chat_key("m", "", moved, Sampling(seed=9)) == plain


def test_what_was_unused_for_longest_goes_first(tmp_path: Path) -> None:
    size = ROW_OVERHEAD_BYTES + 100
    cache = CompletionCache(tmp_path / "cache.sqlite", max_bytes=10 * size)
    for n in range(10):
        cache.put({bytes([n]): "x" * 100})
    cache.get([bytes([0])])  # used again: no longer the oldest
    cache.put({bytes([10]): "x" * 100})
    # 11 rows are one too many; room is made down to 9 (90 %), so 1 and 2 go.
    assert sorted(cache.get([bytes([n]) for n in range(11)])) == [bytes([n]) for n in (0, 3, 4, 5, 6, 7, 8, 9, 10)]


def test_the_file_stays_bounded(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    cache = CompletionCache(path, max_bytes=1_000_000)
    for n in range(60):
        cache.put({chat_key("m", "", chat(f"{n} {k}"), GREEDY): "x" * 400 for k in range(100)})
    # 6,000 × 520 bytes were put in: three times the bound.
    assert 500_000 < path.stat().st_size < 1_500_000
    with sqlite3.connect(path) as db:
        total, summed = db.execute("SELECT (SELECT bytes FROM total), sum(bytes) FROM answers").fetchone()
    db.close()
    assert total == summed <= 1_000_000


def fill(path: Path, worker: int) -> None:
    cache = CompletionCache(path)
    for n in range(40):
        cache.put({bytes([worker, n]): f"{worker} {n}", bytes([255, n]): f"shared {n}"})


def test_processes_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=fill, args=(path, worker)) for worker in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    found = CompletionCache(path).get([bytes([w, n]) for w in (0, 1, 2, 255) for n in range(40)])
    assert len(found) == 160
    assert found[bytes([2, 7])] == "2 7" and found[bytes([255, 7])] == "shared 7"


def test_files_that_are_no_cache_are_left_alone(tmp_path: Path) -> None:
    text, other = tmp_path / "notes.txt", tmp_path / "store.sqlite"
    text.write_text("not a database, but long enough to be taken for one at first sight " * 20)
    with sqlite3.connect(other) as db:
        db.execute("CREATE TABLE probes (id)")
    db.close()
    for path in (text, other):
        before = path.read_bytes()
        with pytest.raises(StoreError, match="delete it or name another file"):
            CompletionCache(path)
        assert path.read_bytes() == before


def test_a_cache_that_fails_fails_nobody(
    model: ScriptedModel, cache: CompletionCache, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache.sqlite").write_bytes(b"torn" * 1000)
    for name in ("cache.sqlite-wal", "cache.sqlite-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    cached = Cached(model, cache)
    for _ in range(2):
        assert cached.complete([chat("a")], GREEDY) == [Completion("a!")]
    assert len(caplog.records) == 1 and "cache.sqlite is left out" in caplog.text

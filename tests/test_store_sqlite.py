"""The store: what goes in comes out, whole or not at all, superseded where done anew."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gadfly.errors import StoreError
from gadfly.protocols import ProbeStore
from gadfly.records import Completion, PastQuestion, Probe, ProbeKey, Turn, Usage, Verdict
from gadfly.store.queries import PAGE_PROBES
from gadfly.store.sqlite import SqliteStore
from store_samples import probes, sample


def new_store(folder: Path) -> SqliteStore:
    return SqliteStore.create(folder, "run-1", {"seed": 3, "name": "\ud800"}, {"gadfly": "0.1.0"}, seed=3)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with new_store(tmp_path / "run") as opened:
        opened.begin_attempt("train")
        yield opened


def by_key(items: list[Probe]) -> list[Probe]:
    return sorted(items, key=lambda probe: (probe.key.phase, probe.key.attempt, probe.key.step, probe.key.index))


@settings(max_examples=30)
@given(
    st.lists(probes("train", 2), max_size=6, unique_by=lambda probe: probe.key),
    st.lists(probes("sweep", 1), max_size=6, unique_by=lambda probe: probe.key),
)
def test_probes_come_back_as_they_were(trained: list[Probe], swept: list[Probe]) -> None:
    with TemporaryDirectory() as folder, new_store(Path(folder)) as store:
        assert (store.begin_attempt("sweep"), store.begin_attempt("train")) == (1, 2)
        store.add(trained)
        store.add(swept)
        assert list(store.probes()) == by_key(swept) + by_key(trained)
        assert list(store.probes("train")) == by_key(trained)
        assert sum(store.counts().values()) == len(trained) + len(swept)
        assert store.integrity_check() == []
        for verdict in Verdict:
            assert list(store.probes("train", verdict=verdict)) == by_key(
                [probe for probe in trained if probe.verdict is verdict]
            )


def test_the_run_is_recorded(store: SqliteStore) -> None:
    run = store.run
    assert (run.id, run.config, run.versions, run.seed) == (
        "run-1",
        {"seed": 3, "name": "\ud800"},
        {"gadfly": "0.1.0"},
        3,
    )


def test_a_megabyte_of_text_and_many_pages(store: SqliteStore) -> None:
    long = "x\0é" * 400_000
    first = Probe(
        ProbeKey("train", 1, 0, 0), 0, sample().images, (Turn(long, Completion(error=long)),), sample().judgement
    )
    written = [first, *(sample(1 + at // 100, at % 100) for at in range(2 * PAGE_PROBES))]
    store.add(written[::-1])
    assert list(store.probes()) == written


def test_an_exact_multiple_of_a_page(store: SqliteStore) -> None:
    written = [sample(0, at) for at in range(PAGE_PROBES)]
    store.add(written)
    assert list(store.probes()) == written


def test_filters(store: SqliteStore) -> None:
    a = sample(0, 0, skills=("counting",), image=1)
    b = sample(0, 1, skills=("colour", "counting"), verdict=Verdict.RIGHT, image=2)
    c = sample(0, 2, skills=None, verdict=Verdict.INVALID, image=1)
    store.add([a, b, c])
    assert list(store.probes(skill="counting")) == [a, b]
    assert list(store.probes(skill="count")) == []
    assert list(store.probes(skill="counting", verdict=Verdict.RIGHT)) == [b]
    assert list(store.probes(image=f"{1:064x}")) == [a, c]
    assert list(store.probes("sweep")) == []
    assert store.counts() == {Verdict.RIGHT: 1, Verdict.WRONG: 1, Verdict.INVALID: 1, Verdict.UNDECIDED: 0}


def test_newest_first_over_pages_and_attempts(store: SqliteStore) -> None:
    """Attempts 1 and 3 are of "train", 2 of "sweep"; the third goes on from step 1 of the first."""
    long = [sample(step, at, verdict=list(Verdict)[at % 4]) for step in range(2) for at in range(PAGE_PROBES + 1)]
    store.add(long)
    store.begin_attempt("sweep")
    swept = [sample(0, at, attempt=2, phase="sweep") for at in range(3)]
    store.add(swept)
    store.begin_attempt("train", from_step=1)
    again = [sample(1, at, attempt=3) for at in range(2)]
    store.add(again)
    current = [*long[: PAGE_PROBES + 1], *swept, *again]
    assert list(store.probes(newest_first=True)) == current[::-1]
    assert list(store.probes(newest_first=True, include_superseded=True)) == [*long, *swept, *again][::-1]
    right = [probe for probe in current if probe.verdict is Verdict.RIGHT]
    assert len(right) > 100 and list(store.probes(verdict=Verdict.RIGHT, newest_first=True)) == right[::-1]
    assert list(store.probes("train", newest_first=True)) == [*again[::-1], *long[PAGE_PROBES::-1]]


def test_the_path_first_recorded_for_an_image_is_kept(store: SqliteStore) -> None:
    probe = sample()
    store.add([probe])
    (image,) = probe.images
    moved = Probe(
        ProbeKey("train", 1, 0, 1), 0, (type(image)(image.id, "moved.png", 64, 48),), probe.turns, probe.judgement
    )
    store.add([moved])
    assert [found.images for found in store.probes()] == [(image,), (image,)]


@pytest.mark.parametrize("earlier", [[], [sample(0, 1)]])
def test_a_key_twice_writes_nothing_of_the_batch(store: SqliteStore, earlier: list[Probe]) -> None:
    store.add(earlier)
    with pytest.raises(StoreError, match=r"same .*nothing of the batch was written"):
        store.add([sample(0, 0), sample(0, 1), sample(0, 1, question="again")])
    assert list(store.probes()) == earlier
    store.add([sample(0, 0)])  # and the store is usable
    assert store.integrity_check() == []


def test_a_resume_supersedes_the_steps_it_does_anew(store: SqliteStore) -> None:
    first = [sample(step, 0) for step in range(6)]
    store.add(first)
    store.begin_attempt("sweep")  # attempt 2: another phase, touches nothing
    assert store.begin_attempt("train", from_step=4) == 3
    second = [sample(step, 0, attempt=3, question=f"second {step}") for step in range(4, 8)]
    store.add(second)
    assert list(store.probes("train")) == first[:4] + second
    assert store.begin_attempt("train", from_step=2) == 4
    third = [sample(2, 0, attempt=4, question="third 2", verdict=Verdict.RIGHT)]
    store.add(third)
    assert list(store.probes()) == first[:2] + third
    assert list(store.probes(include_superseded=True)) == first + second + third
    assert store.counts()[Verdict.WRONG] == 2 and store.counts(include_superseded=True)[Verdict.WRONG] == 10
    assert texts(store.valid_questions("train", 10)) == ["question 0.0", "question 1.0", "third 2"]
    # A still later attempt from a later step must not bring back what attempt 4 did anew.
    store.begin_attempt("train", from_step=3)
    assert list(store.probes()) == first[:2] + third


def texts(questions: list[PastQuestion]) -> list[str]:
    return [question.text for question in questions]


def test_a_superseded_attempt_takes_no_more(store: SqliteStore) -> None:
    store.begin_attempt("train", from_step=5)
    with pytest.raises(StoreError, match="superseded"):
        store.add([sample(0, 0, attempt=1)])
    with pytest.raises(StoreError, match="begin_attempt first"):
        store.add([sample(0, 0, attempt=9)])
    with pytest.raises(StoreError, match="begin_attempt first"):
        store.add_step("sweep", 2, 0, {})  # attempt 2 is one of "train"
    with pytest.raises(StoreError, match="no attempt 9"):
        store.end_attempt(9, "finished")


def test_valid_questions_are_the_last_ones_oldest_first(store: SqliteStore) -> None:
    store.add([sample(step, index, verdict=verdict) for step in range(3) for index, verdict in enumerate(Verdict)])
    two_turns = Probe(
        ProbeKey("train", 1, 3, 0),
        0,
        sample().images,
        (Turn("first", Completion("a")), Turn("last \ud800", Completion("b"))),
        sample().judgement,
    )
    store.add([two_turns])
    # Of each step the first two (RIGHT, WRONG) are valid.
    last = store.valid_questions("train", 4)
    assert texts(last) == ["question 1.1", "question 2.0", "question 2.1", "last \ud800"]
    assert [question.skills for question in last] == [sample().judgement.skills] * 4
    assert [question.failed for question in last] == [True, False, True, sample().judgement.verdict is Verdict.WRONG]
    assert store.valid_questions("train", 0) == []
    assert len(store.valid_questions("train", 100)) == 7
    assert store.valid_questions("sweep", 100) == []


def test_steps_and_attempts(store: SqliteStore) -> None:
    for step in range(4):
        store.add_step("train", 1, step, {"fdr": None, "loss": step / 2, "terms": {"a": float("inf")}})
    with pytest.raises(StoreError, match="has its metrics already"):
        store.add_step("train", 1, 0, {})
    store.end_attempt(1, "interrupted")
    store.begin_attempt("train", from_step=2)
    store.add_step("train", 2, 2, {"loss": 9})
    assert [(step.attempt, step.step, step.metrics["loss"]) for step in store.steps("train")] == [
        (1, 0, 0.0),
        (1, 1, 0.5),
        (2, 2, 9),
    ]
    assert store.steps()[0].metrics == {"fdr": None, "loss": 0.0, "terms": {"a": float("inf")}}
    assert len(store.steps(include_superseded=True)) == 5
    first, second = store.attempts("train")
    assert (first.outcome, first.superseded_from, second.outcome, second.from_step) == ("interrupted", 2, None, 2)
    assert first.ended_at is not None and first.ended_at >= first.started_at


def test_nan_is_a_mistake_not_a_missing_value(store: SqliteStore) -> None:
    probe = sample()
    bad = Probe(probe.key, 0, probe.images, probe.turns, probe.judgement, {"semantic": float("nan")}, 1.0)
    with pytest.raises(AssertionError, match="NaN"):
        store.add([bad])
    assert list(store.probes()) == []


def test_the_view_for_people(store: SqliteStore, tmp_path: Path) -> None:
    store.add([sample(0, 0), sample(1, 0)])
    store.begin_attempt("train", from_step=1)
    shell = sqlite3.connect(tmp_path / "run" / "store.sqlite")
    rows = shell.execute("SELECT phase, step, verdict, question, answer FROM current_probes").fetchall()
    shell.close()
    assert rows == [("train", 0, "WRONG", "question 0.0", "two")]


def test_ordinary_text_is_plain_to_other_tools_and_only_awkward_text_is_a_blob(
    store: SqliteStore, tmp_path: Path
) -> None:
    store.add([sample(0, at, question=text) for at, text in enumerate(["12", "é?", "NUL \0", "half \ud800"])])
    shell = sqlite3.connect(tmp_path / "run" / "store.sqlite")
    types = shell.execute("SELECT typeof(question), length(question) FROM turns ORDER BY probe").fetchall()
    shell.close()
    # Lengths are characters of a text, bytes of a blob: a lone surrogate takes 3.
    assert types == [("text", 2), ("text", 2), ("blob", 5), ("blob", 8)]


def test_it_is_a_probe_store(store: SqliteStore) -> None:
    as_protocol: ProbeStore = store
    as_protocol.add([])
    assert list(store.probes()) == []


def test_what_models_were_used_for_is_kept_by_attempt(store: SqliteStore) -> None:
    first = {"verifier": Usage(3, 1, 1, None, 6, 2, 0.5, None), "target": Usage(5, 0, 0, 50, 10, 0, 1.5, 0.25)}
    store.set_usage(1, {"target": Usage(1)})
    store.set_usage(1, first)  # the figures so far, not more of them
    again = store.begin_attempt("train", from_step=0)
    store.set_usage(again, {"target": Usage(2)})
    store.end_attempt(1, "interrupted")
    store.end_attempt(again, "finished")
    other = store.begin_attempt("sweep")
    found = store.usages("train")  # superseded or not: it was paid for
    assert [(a.attempt, usage) for a, usage in found] == [(1, first), (again, {"target": Usage(2)})]
    assert [list(usage) for _, usage in found] == [["target", "verifier"], ["target"]]
    assert [(a.attempt, usage) for a, usage in store.usages("sweep")] == [(other, {})]
    spans_s = [a.ended_at - a.started_at for a, _ in found if a.ended_at is not None]
    assert store.seconds() == pytest.approx(sum(spans_s))  # the sweep has not ended, and made no step

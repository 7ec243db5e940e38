"""The arrays of the viewer against the plain way: the same rates, the same sample, the same probes found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gadfly.analysis.accord import accord
from gadfly.analysis.audit import draw
from gadfly.analysis.rates import rates
from gadfly.analysis.training import curves
from gadfly.errors import StoreError
from gadfly.probing import UNPARSABLE
from gadfly.records import Completion, Image, Judgement, Probe, ProbeKey, Turn, Verdict
from gadfly.replay import is_unparsable
from gadfly.store.labelling import LabelWriter
from gadfly.store.pages import read_numbered
from gadfly.store.sqlite import SqliteStore
from gadfly.view.figures import SEED
from gadfly.view.filters import PAGE, Filter, find
from gadfly.view.live import LiveRun

R, W, I, U = Verdict.RIGHT, Verdict.WRONG, Verdict.INVALID, Verdict.UNDECIDED  # noqa: E741


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two phases over three attempts, the second of which supersedes; equal questions, several images, no skills."""
    rng = np.random.default_rng(5)
    images = [Image(f"{i * 7919 % 64:064x}", f"dir/{i}.png", 8, 8) for i in range(9)]

    def probe(phase: str, attempt: int, step: int, index: int) -> Probe:
        verdict = list(Verdict)[rng.integers(4)]
        skills = [None, (), ("a",), ("a", "b.c")][rng.integers(4)]
        some = tuple(images[i] for i in rng.choice(9, 1 + rng.integers(2), replace=False))
        reason = None if verdict.valid else [UNPARSABLE, "vague"][rng.integers(2)]
        turn = Turn(f"is it {rng.integers(12)} or not?", Completion(["yes", "no"][rng.integers(2)]))
        return Probe(
            ProbeKey(phase, attempt, step, index), index // 4, some, (turn,), Judgement(verdict, reason, "yes", skills)
        )

    with SqliteStore.create(tmp_path / "run", "r", {}, {}, 0) as store:
        for phase, from_step, to_step in (("train", 0, 12), ("sweep", 0, 6), ("train", 7, 14)):
            attempt = store.begin_attempt(phase, from_step)
            for step in range(from_step, to_step):
                store.add([probe(phase, attempt, step, index) for index in range(8)])
    return tmp_path / "run"


@pytest.fixture
def live(folder: Path):  # type: ignore[no-untyped-def]
    run = LiveRun(folder)
    yield run
    run.close()


def test_rates_and_counts_are_those_of_the_analysis_to_the_last_digit(folder: Path, live: LiveRun) -> None:
    with SqliteStore.open(folder, read_only=True) as store:
        for phase in ("train", "sweep"):
            stale = live.stale(phase)
            assert stale is not None
            found = live.compute(stale)
            assert found.rates == rates(store.probes(phase), np.random.default_rng(SEED))
            assert found.counts == store.counts(phase)
            assert sum(w.fdr.n for w in found.windows) >= found.rates.fdr.n
            by_step = curves(store.probes(phase), 1, np.random.default_rng(SEED))
            assert [w.wordings for w in found.windows] == [one.wordings for one in by_step]
            assert any(w.wordings.value != 1.0 for w in found.windows)


def test_the_sample_is_the_audits(folder: Path, live: LiveRun) -> None:
    with SqliteStore.open(folder, read_only=True) as store:
        for phase in ("train", "sweep"):
            wanted = draw(store.probes(phase), 40, 0, is_unparsable)
            found = read_numbered(live.connection, live.sample(phase, 40))
            assert [one.probe for one in found] == wanted
            assert live.sample(phase, 10) == live.sample(phase, 40)[:10]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"phase": "train"},
        {"verdict": "WRONG"},
        {"skill": "a"},
        {"skill": "b.c", "verdict": "RIGHT", "phase": "sweep"},
        {"first": "3", "last": "8"},
        {"old": "1", "first": "7"},
        {"q": "it 1"},
        {"q": "yes", "verdict": "INVALID"},
        {"q": "VAGUE"},
        {"q": "vag"},
        {"q": "is it"},
        {"q": "s it"},
        {"image": "dir/3"},
        {"image": f"{7919 % 64:064x}"},
        {"group": "1.2.1"},
        {"skill": "none"},
    ],
)
def test_filters_find_what_looking_at_every_probe_finds(folder: Path, live: LiveRun, given: dict[str, str]) -> None:
    import re

    def wanted(probe: Probe) -> bool:
        texts = (probe.question, probe.answer or "", probe.judgement.expected or "", probe.judgement.reason or "")
        key = probe.key
        return (
            ("phase" not in given or key.phase == given["phase"])
            and ("verdict" not in given or probe.verdict == given["verdict"])
            and ("skill" not in given or given["skill"] in (probe.judgement.skills or ()))
            and key.step >= int(given.get("first", 0))
            and key.step <= int(given.get("last", 10**9))
            and ("q" not in given or any(re.search(rf"\b{given['q']}", text, re.IGNORECASE) for text in texts))
            and (
                "image" not in given or any(given["image"] in (i.id, i.path.removesuffix(".png")) for i in probe.images)
            )
            and ("group" not in given or f"{key.attempt}.{key.step}.{probe.group}" == given["group"])
        )

    with SqliteStore.open(folder, read_only=True) as store:
        probes = sorted(store.probes(include_superseded="old" in given), key=lambda p: p.key.attempt)
        expected = [probe.key for probe in probes if wanted(probe)][::-1]
    found, page = [], find(live.connection, live.columns, Filter.of(given))
    total = page.total
    while True:  # page by page to the oldest
        found += [one.probe.key for one in live.probes(page.numbers)]
        if page.older is None:
            break
        assert len(page.numbers) == PAGE
        page = find(live.connection, live.columns, Filter.of({**given, "before": str(page.older)}))
    assert found == expected and total == len(expected)
    back = find(live.connection, live.columns, Filter.of({**given, "after": "0"}))
    assert [one.probe.key for one in live.probes(back.numbers)] == expected[-PAGE:]


def test_a_refresh_reads_what_was_stored_since_and_what_was_superseded(folder: Path, live: LiveRun) -> None:
    before = live.columns.n
    assert live.refresh() == 0
    with SqliteStore.open(folder) as store:
        attempt = store.begin_attempt("sweep", 2)
        turn = Turn("new?", Completion("no"))
        key = ProbeKey("sweep", attempt, 2, 0)
        store.add([Probe(key, 0, (Image("f" * 64, "new.png", 8, 8),), (turn,), Judgement(R))])
        current = store.counts()
    assert live.refresh() == 1 and live.columns.n == before + 1
    assert int(live.columns.current_N().sum()) == sum(current.values())


@pytest.mark.parametrize("text", ["?!", '"', "*", '" NEAR "', "\0", "it*s", "-"])
def test_a_search_for_signs_is_no_syntax(live: LiveRun, text: str) -> None:
    found = find(live.connection, live.columns, Filter.of({"q": text}))
    assert found.total == 0


def test_labels_are_written_beside_a_writer_in_another_process(folder: Path, live: LiveRun) -> None:
    """The other process holds the run's lock and stores 200 batches meanwhile; neither loses anything."""
    writer = (
        "import sys; from pathlib import Path; from gadfly.store.sqlite import SqliteStore;"
        " from dataclasses import replace\n"
        "with SqliteStore.open(Path(sys.argv[1])) as store:\n"
        "    one = next(store.probes('sweep')); attempt = store.begin_attempt('more')\n"
        "    print('begun', flush=True)\n"
        "    for step in range(200):\n"
        "        key = replace(one.key, phase='more', attempt=attempt, step=step)\n"
        "        store.add([replace(one, key=key)])\n"
    )
    with subprocess.Popen([sys.executable, "-c", writer, str(folder)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "begun\n"
        with pytest.raises(StoreError, match="another process is writing"):
            SqliteStore.open(folder)
        numbers = live.sample("train", 60)
        for number in numbers:
            live.label("ann", live.probes([number])[0].probe.key, W, drawn=True)
        first = live.probes([numbers[0]])[0].probe.key
        live.label("ann", first, None, drawn=True)
        assert other.wait(60) == 0
    with SqliteStore.open(folder, read_only=True) as store:
        assert len(store.labels("ann")) == len(numbers) - 1
        assert store.counts("more") != {} and sum(store.counts("more").values()) == 200
        assert store.integrity_check() == []


def test_a_label_writer_refuses_what_the_store_refuses(folder: Path, tmp_path: Path) -> None:
    with LabelWriter(folder) as labels:
        with pytest.raises(StoreError, match="name the labeller"):
            labels.label(" ", ProbeKey("train", 1, 0, 0), R, drawn=True)
        with pytest.raises(StoreError, match="no probe train 99"):
            labels.label("ann", ProbeKey("train", 1, 99, 0), R, drawn=True)
    with pytest.raises(StoreError):
        LabelWriter(tmp_path)


def test_agreement_has_n_and_intervals() -> None:
    rng = np.random.default_rng(0)
    image_of = dict(enumerate(range(100)))
    first = {i: [R, W, I][i % 3] for i in range(60)}
    same = accord(first, dict(first), image_of, rng)
    assert (same.n, same.same.value, same.kappa.value) == (60, 1.0, 1.0)
    # Wilson's interval of 60 in 60: 60 / (60 + 1.96²) = 0.940. That two always agree is not certain either.
    assert same.same.low == pytest.approx(0.940, abs=0.001)
    assert same.kappa.low is not None and 0.8 < same.kappa.low < 1.0 and same.kappa.high == 1.0
    # 20 of 40: first all R or W in turn, second all R: by chance 0.5 · 1 = 0.5, so kappa = (0.5 - 0.5) / 0.5 = 0.
    half = accord({i: [R, W][i % 2] for i in range(40)}, dict.fromkeys(range(20, 60), R), image_of, rng)
    assert (half.n, half.same.value, half.kappa.value) == (20, 0.5, 0.0)
    one = accord({1: R}, {1: R}, image_of, rng)
    assert one.kappa.value is None and one.kappa.reason is not None
    none = accord({1: R}, {2: R}, image_of, rng)
    assert none.n == 0 and none.same.value is None and none.kappa.value is None

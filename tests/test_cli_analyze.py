"""`gadfly analyze`: on a real sweep, on a run with a planted mode, and on runs in which there is little to find."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from cli_calls import Cli
from gadfly.records import Probe
from gadfly.store.sqlite import SqliteStore
from made_probes import UNDECIDED, WRONG, make_probe, make_probes
from mode_worlds import hearts

Contents = dict[str, bytes]


@pytest.fixture
def swept(cli: Cli, album: Path, checkpoint: Path, tmp_path: Path) -> Path:
    """A sweep of 60 questions to a target of random weights, judged by the oracle: nearly all of it is WRONG."""
    options = ["--images", album, "--target", checkpoint, "--questioner", "uniform", "--verifier", "oracle"]
    options += ["--out", tmp_path, "--name", "swept", "--n", 60, "--set", "reward.embedder=hash"]
    said = cli("sweep", *options, "--set", "target.max_new_tokens=3", "--json")
    assert said.status == 0, said.err
    return tmp_path / "swept"


def made(folder: Path, probes: Iterable[Probe], phase: str = "sweep") -> Path:
    """A run of these probes, as far as a store goes. Its images are not there."""
    with SqliteStore.create(folder, "made", {"images": {"path": str(folder / "gone")}}, {}, 0) as store:
        attempt = store.begin_attempt(phase)
        store.add([replace(p, key=replace(p.key, phase=phase, attempt=attempt)) for p in probes])
    return folder


def contents(folder: Path) -> Contents:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_real_sweep_twice_gives_the_same_bytes(cli: Cli, swept: Path, album: Path) -> None:
    first = cli("analyze", swept, "--json")
    assert first.status == 0, first.err
    files = contents(swept / "findings")
    assert set(files) == {
        "groundings.json",
        "pictures.json",
        "sweep/coverage.json",
        "sweep/coverage.png",
        "sweep/modes.json",
        "sweep/taxonomy.json",
    }
    assert cli("analyze", swept, "--json").out == first.out
    assert contents(swept / "findings") == files
    measured = json.loads(files["pictures.json"])["images"]
    with SqliteStore.open(swept, read_only=True) as store:
        assert set(measured) == {image.id for probe in store.probes() for image in probe.images}
    # What was measured and what is known of the scenes is kept: the pictures may go.
    moved = album.rename(album.with_name("elsewhere"))
    try:
        assert cli("analyze", swept, "--json").out == first.out
    finally:
        moved.rename(album)


def test_a_planted_mode_is_printed_and_written(cli: Cli, tmp_path: Path) -> None:
    run = made(tmp_path / "run", hearts())
    said = cli("analyze", run)
    assert said.status == 0, said.err
    assert "no image conditions" in said.err and "gone is not there" in said.err
    assert "failure modes (95% interval)" in said.out and "see.heart" in said.out
    assert "Another 1,000 probes would find" in said.out and "No course" in said.out
    modes = json.loads((run / "findings" / "sweep" / "modes.json").read_text())
    (mode,) = modes["modes"]
    assert mode["items"] == ["skill:see.heart"] and mode["novelty"] == "novel" and mode["confirmation"] == "untested"
    assert mode["failure"]["low"] > mode["elsewhere"]["high"]
    whole = json.loads(cli("analyze", run, "--json").out)
    assert whole["search"]["modes"] == modes["modes"] and whole["coverage"]["skills"]["observed"] == 3
    evidence = mode["evidence"][0]
    shown = json.loads(cli("show", run, "--verdict", "wrong", "--skill", "see.heart", "--limit", 500, "--json").out)
    assert evidence in [probe["key"] for probe in shown]


def test_a_training_has_a_course_and_no_coverage(cli: Cli, tmp_path: Path) -> None:
    run = made(tmp_path / "run", hearts(), phase="train")
    said = cli("analyze", f"{run}:train")
    assert said.status == 0, said.err
    assert "thirds of the training" in said.out and "No coverage" in said.out
    assert set(contents(run / "findings")) == {
        "train/curriculum.json",
        "train/curriculum.png",
        "train/modes.json",
        "train/taxonomy.json",
    }
    # A judgement anew of a training is of a training still.
    with SqliteStore.open(run) as store:
        probes = list(store.probes("train"))
        store.begin_replay("anew", "rejudged", "train", {})
        attempt = store.begin_attempt("anew")
        store.add([replace(p, key=replace(p.key, phase="anew", attempt=attempt)) for p in probes])
    found = json.loads(cli("analyze", f"{run}:anew", "--json").out)
    assert found["coverage"] is None and found["curriculum"] is not None


def test_superseded_probes_are_outside(cli: Cli, tmp_path: Path) -> None:
    run = made(tmp_path / "run", hearts())
    with SqliteStore.open(run) as store:
        kept = [p for p in store.probes() if p.key.step < 2]
        attempt = store.begin_attempt("sweep", from_step=2)
        store.add([replace(kept[0], key=replace(kept[0].key, attempt=attempt, step=2))])
    found = json.loads(cli("analyze", run, "--json").out)
    assert found["counts"]["right"] + found["counts"]["wrong"] == 241
    assert found["failure"]["n"] == 240  # the last one is an equal question


@pytest.mark.parametrize(
    ("probes", "words"),
    [
        ([], "There are no probes"),
        (make_probes("RWW", "a", skills=("k.s",)), "No failure mode: too few probes"),
        (make_probes("RRR", "a", skills=("k.s",)), "No failure mode: all 3 answers were RIGHT"),
        (make_probes("WWW", "a", skills=("k.s",)), "No failure mode: all 3 answers were WRONG"),
        (make_probes("UUU", "a"), "No probe was decided"),
        (make_probes("IIU", "a"), "Every question was INVALID"),
        ([make_probe(UNDECIDED, "a", 0), make_probe(WRONG, "b", 1, answer="\x1b[31m[red]")], "answers were WRONG"),
    ],
)
def test_little_to_find_is_said_in_words(cli: Cli, tmp_path: Path, probes: list[Probe], words: str) -> None:
    run = made(tmp_path / "run", probes)
    said = cli("analyze", run)
    assert said.status == 0, said.err
    assert words in said.out and "\x1b" not in said.out
    found = json.loads(cli("analyze", run, "--json").out)
    assert found["search"]["modes"] == []


def test_faults_are_one_line(cli: Cli, tmp_path: Path) -> None:
    nowhere = cli("analyze", tmp_path)
    assert nowhere.status == 2 and "no store.sqlite" in nowhere.err
    run = made(tmp_path / "run", hearts(12))
    assert "has no phase 'train'" in cli("analyze", f"{run}:train").err
    with SqliteStore.open(run) as store:
        store.begin_attempt("train")
    assert "2 phases; say which" in cli("analyze", run).err


def test_a_phase_may_have_any_name(cli: Cli, tmp_path: Path) -> None:
    for number, name in enumerate(("..", "../../up", "a/b", "sweep.null")):
        run = made(tmp_path / f"run{number}", hearts(12), phase=name)
        assert cli("analyze", f"{run}:{name}").status == 0
        folders = [path.name for path in (run / "findings").iterdir() if path.is_dir()]
        assert len(folders) == 1 and (run / "findings" / folders[0] / "modes.json").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"run{number}" for number in range(4)]

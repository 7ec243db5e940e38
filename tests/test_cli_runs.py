"""Long ways through the command line: Ctrl-C from outside, sweeps broken off, SFT, the shipped configuration."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from cli_calls import Cli, probes_of, small
from gadfly import run_folder, runs
from gadfly.config import Config
from gadfly.records import Verdict
from gadfly.store.sqlite import SqliteStore
from gadfly.wiring import Wiring

pytestmark = pytest.mark.filterwarnings(
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"  # peft and trl still ask by the old name
)
COMMAND = (sys.executable, "-m", "gadfly")


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_stored_and_resume_goes_on(
    album: Path, checkpoint: Path, tmp_path: Path, cli: Cli
) -> None:
    """A real SIGINT to a process that trains. The probes of the step that it hits may be stored or not; those stored
    after the newest checkpoint are superseded, and none is there twice."""
    options = small(album, checkpoint, tmp_path, "--verifier", "oracle", "--steps", 40, "--set", "train.save_every=5")
    run = tmp_path / "run"
    process = subprocess.Popen([*COMMAND, "run", *map(str, options)], stderr=subprocess.PIPE, text=True)
    try:
        while _steps(run) < 7:
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=200)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert err.splitlines()[-1].startswith(f"gadfly: interrupted; what was stored is kept in {run}")
    assert "Traceback" not in err
    before = probes_of(run)
    assert len(before) >= 7 * 8

    done = cli("run", *options, "--resume")
    assert done.status == 0, done.err
    after = probes_of(run)
    assert [(p.key.step, p.key.index) for p in after] == [(s, i) for s in range(40) for i in range(8)]
    with SqliteStore.open(run, read_only=True) as store:
        everything = list(store.probes(include_superseded=True))
    assert set(Counter(p.key for p in everything).values()) == {1}
    assert {repr(p) for p in before} <= {repr(p) for p in everything}
    superseded = len(everything) - len(after)
    # Neither table counts what was superseded.
    assert "320 of 320 matching probes" in cli("show", run, "--limit", 500).out
    assert f"{320 + superseded} probes" in cli("show", run, "--superseded").out
    rates = json.loads(cli("compare", run, "--json").out)["runs"][0]["rates"]
    assert rates["undecided"]["n"] == len({(p.images[0].id, p.question) for p in after})
    again = cli("run", *options, "--resume", "--json")  # nothing is left to do, and nothing is made anew
    assert again.status == 0
    assert probes_of(run) == after


def _steps(run: Path) -> int:
    if not (run / "store.sqlite").exists():
        return 0
    with SqliteStore.open(run, read_only=True) as store:
        return len(store.steps("train"))


def test_a_sweep_that_was_killed_goes_on_and_counts_each_probe_once(
    cli: Cli, album: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after the probes of the second step were stored and before its metrics were: that step is made again, the
    same probes come out, and the older ones are superseded. The resumed sweep equals one that was never broken off."""
    options = ["--images", album, "--target", checkpoint, "--questioner", "uniform", "--verifier", "oracle"]
    options += ["--out", tmp_path, "--n", 40, "--set", "reward.embedder=hash", "--set", "sweep.batch_size=16"]
    assert cli("sweep", *options, "--name", "whole").status == 0
    add_step = SqliteStore.add_step

    def killed(self: SqliteStore, phase: str, attempt: int, step: int, metrics: dict[str, object]) -> None:
        if step == 1:
            raise KeyboardInterrupt
        add_step(self, phase, attempt, step, metrics)

    with monkeypatch.context() as patch:
        patch.setattr(SqliteStore, "add_step", killed)
        assert cli("sweep", *options, "--name", "broken").status == 130
    assert len(probes_of(tmp_path / "broken")) == 32
    config = run_folder.config_of(tmp_path / "broken")
    told: list[int] = []
    with run_folder.opened(config, resume=True) as store:
        counts = runs.sweep(Wiring(config), store, on_progress=lambda done, total, so_far: told.append(so_far.total))
    assert counts.total == 40
    assert told == [32, 40]  # 16 of the first sitting and those made here; the superseded ones are counted nowhere
    whole, broken = (probes_of(tmp_path / name) for name in ("whole", "broken"))
    assert [(p.key.step, p.key.index, p.turns, p.judgement, p.terms, p.reward) for p in whole] == [
        (p.key.step, p.key.index, p.turns, p.judgement, p.terms, p.reward) for p in broken
    ]
    with SqliteStore.open(tmp_path / "broken", read_only=True) as store:
        assert sum(store.counts(include_superseded=True).values()) == 40 + 16
    over = cli("sweep", *options, "--name", "broken", "--resume", "--json")
    assert json.loads(over.out)["rates"]["undecided"]["n"] == len({(p.images[0].id, p.question) for p in whole})
    other = cli("sweep", *options, "--name", "broken", "--resume", "--split", "heldout")
    assert other.status == 2 and "sweep.split was 'train' and is now 'heldout'" in other.err


def test_equal_sweeps_with_a_model_give_equal_probes(cli: Cli, album: Path, checkpoint: Path, tmp_path: Path) -> None:
    found = []
    for name in ("a", "b"):
        options = small(album, checkpoint, tmp_path, "--verifier", "oracle", "--name", name)
        at = options.index("--steps")
        assert cli("sweep", *options[:at], *options[at + 2 :], "--n", 20).status == 0
        found.append([(p.key, p.turns, p.judgement, p.terms, p.reward) for p in probes_of(tmp_path / name)])
    assert found[0] == found[1]
    assert len(found[0]) == 20


def test_a_run_may_be_moved_and_reached_by_another_way(
    cli: Cli, album: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a run lies is no part of its configuration."""
    options = ["--images", album, "--target", checkpoint, "--questioner", "uniform", "--verifier", "oracle"]
    options += ["--n", 4, "--set", "reward.embedder=hash"]
    assert cli("sweep", *options, "--out", tmp_path / "here").status == 0
    (tmp_path / "here" / "run").rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    assert cli("sweep", *options, "--out", ".", "--name", "moved", "--resume").status == 0


@pytest.mark.slow
def test_fine_tuning_learns_from_an_earlier_run_and_needs_no_target(
    cli: Cli, album: Path, checkpoint: Path, tmp_path: Path
) -> None:
    uniform = ["--images", album, "--target", checkpoint, "--questioner", "uniform", "--verifier", "oracle"]
    assert cli("sweep", *uniform, "--out", tmp_path, "--n", 16, "--set", "reward.embedder=hash").status == 0
    wrong = {(p.images[0].id, p.question) for p in probes_of(tmp_path / "run") if p.verdict is Verdict.WRONG}
    assert wrong
    options = [
        "--images",
        album,
        "--questioner",
        checkpoint,
        "--verifier",
        "oracle",
        "--out",
        tmp_path,
        "--name",
        "sft",
    ]
    options += [
        "--set",
        "train.method=sft",
        "--set",
        f"train.sft.data={tmp_path / 'run'}",
        "--set",
        "train.lora_rank=0",
    ]
    plan = json.loads(cli("run", *options, "--dry-run", "--json").out)
    assert plan["pairs"] == len(wrong) and plan["models"] == {"questioner": str(checkpoint)}
    said = cli("run", *options)
    assert said.status == 0, said.err
    assert "No probes were made" in said.out and str(tmp_path / "sft" / "questioner") in said.out
    assert (tmp_path / "sft" / "questioner" / "model.safetensors").exists()
    assert cli("show", tmp_path / "sft").status == 0
    assert cli("compare", tmp_path / "sft").status == 2  # no probes to compare


@pytest.mark.slow
def test_the_shipped_configuration_runs_for_two_steps(
    cli: Cli, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the models that it names."""
    monkeypatch.chdir(Path(__file__).parents[1])
    said = cli(
        "run",
        "configs/testbed.toml",
        "--images",
        album,
        "--out",
        tmp_path,
        "--steps",
        2,
        "--set",
        "images.heldout_share=0",
    )
    assert said.status == 0, said.err
    assert len(probes_of(tmp_path / "testbed", "train")) == 2 * 128
    assert "failure rate, of valid" in said.out


def test_help_in_a_terminal_without_colours_or_unicode() -> None:
    """An ASCII locale must not break what is printed."""
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "NO_COLOR": "1", "COLUMNS": "80"}
    for arguments in (["--help"], ["run", "--help"], ["compare", "--help"], ["testbed", "evaluate", "--help"]):
        said = subprocess.run([*COMMAND, *arguments], env=environment, capture_output=True, text=True, check=True)
        assert "Options" in said.stdout and said.stderr == ""


def test_help_names_the_defaults_of_the_configuration(cli: Cli) -> None:
    """They are written out in the help, which must not load a configuration."""
    usual = Config()
    helps = {command: " ".join(cli(command, "--help").out.split()) for command in ("run", "sweep")}
    for option, default in {"name": usual.name, "out": usual.out, "seed": usual.seed}.items():
        for said in helps.values():
            assert re.search(rf"--{option} <\w+> [^\[]*\[default: \(the file's, else {default}\)\]", said), said
    assert f"Training steps. [default: (the file's, else {usual.train.steps})]" in helps["run"]
    assert f"How many questions. [default: (the file's, else {usual.sweep.n})]" in helps["sweep"]
    assert f"Which part of the images. [default: (the file's, else {usual.sweep.split})]" in helps["sweep"]


def test_a_reader_that_goes_away_is_no_error(cli: Cli, album: Path, checkpoint: Path, tmp_path: Path) -> None:
    """gadfly show … | head -1"""
    options = ["--images", album, "--target", checkpoint, "--questioner", "uniform", "--verifier", "oracle"]
    assert cli("sweep", *options, "--out", tmp_path, "--n", 200, "--set", "reward.embedder=hash").status == 0
    process = subprocess.Popen(
        [*COMMAND, "show", str(tmp_path / "run"), "--limit", "200"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert b"Traceback" not in process.stderr.read()
    assert process.wait(60) in (0, 1)
    process.stderr.close()


def test_an_exam_is_reported_as_json_and_as_a_table(cli: Cli, checkpoint: Path) -> None:
    said = cli("testbed", "evaluate", checkpoint, "--n", 24, "--depth", 2, "--depth", 1, "--json")
    assert said.status == 0, said.err
    rows = json.loads(said.out)["rows"]
    assert {row["depth"] for row in rows} == {1, 2}
    assert sum(row["accuracy"]["n"] for row in rows if not row["within_description"]) <= 48
    described = {row["skill"] for row in rows if row["within_description"]}
    assert described <= {"space.extreme", "logic.not", "orientation.points_at"}
    assert all(0 <= row["accuracy"]["low"] <= row["accuracy"]["value"] <= row["accuracy"]["high"] <= 1 for row in rows)
    table = cli("testbed", "evaluate", checkpoint, "--n", 24, "--depth", 1, "--depth", 2).out
    # A skill that was asked at depth 2 only has a dash under depth 1.
    only_two = {r["skill"] for r in rows} - {r["skill"] for r in rows if r["depth"] == 1}
    for line in table.replace(" (within a description)", "").splitlines():
        if line.split() and line.split()[0] in only_two:
            assert line.split()[1] == "–"
    assert all(f"{skill} (within a description)" in table for skill in described)

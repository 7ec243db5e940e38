"""`gadfly audit` and `gadfly rejudge` on a testbed run: labels by hand and by the oracle, another judge, the null."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import typer

from cli_calls import Cli, probes_of
from gadfly.cli import labelling
from gadfly.records import Completion, Judgement, Probe, ProbeKey, Question, Verdict
from gadfly.store.sqlite import SqliteStore
from gadfly.wiring import Wiring
from made_probes import make_probe, make_probes

RIGHT, WRONG, INVALID, UNDECIDED = Verdict.RIGHT, Verdict.WRONG, Verdict.INVALID, Verdict.UNDECIDED


@pytest.fixture
def run(cli: Cli, album: Path, checkpoint: Path, tmp_path: Path) -> Path:
    """A sweep of 48 questions to a target of random weights, judged by the oracle: nearly all of it is WRONG."""
    options = ["--images", album, "--target", checkpoint, "--questioner", "uniform", "--verifier", "oracle"]
    options += ["--out", tmp_path, "--name", "swept", "--n", 48, "--set", "reward.embedder=hash"]
    said = cli("sweep", *options, "--set", "sweep.batch_size=16", "--set", "target.max_new_tokens=3", "--json")
    assert said.status == 0, said.err
    return tmp_path / "swept"


class Lenient:
    """A judge that calls everything RIGHT, save for questions with an even number of characters."""

    def judge(self, questions: list[Question], answers: list[Completion]) -> list[Judgement]:
        return [Judgement(WRONG if len(q.text) % 2 == 0 else RIGHT, expected="so") for q in questions]


@pytest.fixture
def lenient(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on; the run itself was judged by the oracle."""
    monkeypatch.setattr(Wiring, "verifier", Lenient())


def contents(probes: list[Probe]) -> list[tuple[object, ...]]:
    return [(p.key.step, p.key.index, p.group, p.images, p.turns) for p in probes]


def test_the_oracle_finds_no_fault_with_itself(cli: Cli, run: Path) -> None:
    said = json.loads(cli("audit", run, "--labeller", "oracle", "--n", 40, "--json").out)
    judged, counts = said["judged_3"], said["counts_3_3"]
    assert all(counts[i][j] == 0 for i in range(3) for j in range(3) if i != j)
    assert sum(map(sum, counts)) == min(40, sum(judged))
    assert said["agreement"]["value"] == pytest.approx(1)
    for name, corrected in (("fdr", "fdr"), ("valid", "valid"), ("failure", "failure")):
        assert said["corrected"][corrected]["value"] == pytest.approx(said["judged"][name]["value"])
    with SqliteStore.open(run, read_only=True) as store:
        labels = store.labels()
    assert {one.labeller for one in labels} == {"oracle"} and len(labels) == sum(map(sum, counts))
    again = cli("audit", run, "--labeller", "oracle", "--n", 40)  # nothing is labelled twice
    assert again.status == 0 and "as labelled by oracle" in again.out and "corrected for" in again.out
    with SqliteStore.open(run, read_only=True) as store:
        assert store.labels() == labels


@pytest.mark.usefixtures("lenient")
def test_another_judge_is_a_phase_of_its_own_and_the_target_is_not_asked(
    cli: Cli, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = probes_of(run)

    def asked(self: Wiring) -> None:
        raise AssertionError("the target was asked")

    monkeypatch.setattr(Wiring, "target", property(asked))
    said = cli("rejudge", run, "--verifier", "some-model", "--json")
    assert said.status == 0, said.err
    assert probes_of(run, "sweep") == before
    after = probes_of(run, "sweep.rejudged")
    assert contents(after) == contents(before)
    assert {p.verdict for p in after} == {RIGHT, WRONG}
    pairs = json.loads(said.out)["agreement"]
    both = [
        sum(a.verdict is v and b.verdict is w for a, b in zip(before, after, strict=True))
        for v in Verdict
        for w in Verdict
    ]
    assert [n for row in pairs["counts_4_4"] for n in row] == both and pairs["n"] == 48
    with SqliteStore.open(run, read_only=True) as store:
        (replay,) = store.replays()
    assert (replay.kind, replay.source, replay.verifier["model"]) == ("rejudged", "sweep", "some-model")
    # Both stand side by side, and a second judge needs a name of its own.
    rows = json.loads(cli("compare", run, "--json").out)["runs"]
    assert [row["name"] for row in rows] == [f"{run}:sweep", f"{run}:sweep.rejudged"]
    refused = cli("rejudge", run, "--verifier", "another-model")
    assert refused.status == 2 and "give another name" in refused.err
    assert cli("rejudge", run, "--verifier", "another-model", "--as", "second").status == 0
    assert cli("rejudge", run, "--verifier", "some-model").status == 0  # over already: nothing is made twice
    assert probes_of(run, "sweep.rejudged") == after
    assert cli("rejudge", run).err.startswith("gadfly: name another verifier")


@pytest.mark.usefixtures("lenient")
def test_a_rejudging_that_was_broken_off_goes_on(cli: Cli, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_step = SqliteStore.add_step

    def killed(self: SqliteStore, phase: str, attempt: int, step: int, metrics: dict[str, object]) -> None:
        if phase == "sweep.rejudged" and step == 1:
            raise KeyboardInterrupt
        add_step(self, phase, attempt, step, metrics)

    with monkeypatch.context() as patch:
        patch.setattr(SqliteStore, "add_step", killed)
        assert cli("rejudge", run, "--verifier", "m").status == 130
    assert cli("rejudge", run, "--verifier", "m").status == 0
    assert contents(probes_of(run, "sweep.rejudged")) == contents(probes_of(run, "sweep"))


def test_the_oracle_never_calls_its_own_answers_wrong(cli: Cli, run: Path) -> None:
    said = json.loads(cli("audit", run, "--null", "--json").out)
    assert said["null"] == "sweep.null"
    assert said["rates"]["sweep.null"]["failure"]["successes"] == 0
    assert said["rates"]["sweep.null"]["failure"]["n"] == said["rates"]["sweep"]["failure"]["n"] > 0
    assert said["rates"]["sweep"]["failure"]["successes"] > 0
    again = cli("audit", run, "--null")
    assert again.status == 0 and "of its own answers WRONG" in again.out


@pytest.mark.usefixtures("lenient")
def test_an_audit_shows_what_a_lenient_judge_misses(cli: Cli, run: Path) -> None:
    """Its verdicts do not depend on the answers: the corrected rate must be the oracle's, not its own."""
    assert cli("rejudge", run, "--verifier", "m").status == 0
    truth = {(p.key.step, p.key.index): p.verdict for p in probes_of(run, "sweep")}
    with SqliteStore.open(run) as store:
        for probe in store.probes("sweep.rejudged"):
            store.label("ann", probe.key, truth[probe.key.step, probe.key.index], drawn=True)
            store.label("bob", probe.key, RIGHT, drawn=False)  # picked, not drawn: it says nothing of the run
    said = json.loads(cli("audit", f"{run}:sweep.rejudged", "--labeller", "ann", "--json").out)
    rates = json.loads(cli("compare", run, "--json").out)["runs"]
    own, judged = (next(r["rates"] for r in rates if r["name"].endswith(end)) for end in (":sweep", ":sweep.rejudged"))
    assert judged["failure"]["value"] < 0.8 < own["failure"]["value"]
    assert said["corrected"]["failure"]["value"] == pytest.approx(own["failure"]["value"])
    assert said["judged"]["failure"] == judged["failure"]
    assert said["labellers"] == {}
    refused = cli("audit", f"{run}:sweep.rejudged", "--labeller", "bob")
    assert refused.status == 2 and "has no labels by 'bob'" in refused.err


def test_which_phase_is_meant_must_be_said_where_there_are_several(cli: Cli, run: Path) -> None:
    with SqliteStore.open(run) as store:
        store.begin_attempt("train")
    said = cli("audit", run, "--json")
    assert said.status == 2 and f"say which: {run}:sweep, {run}:train" in said.err
    assert "has no labels by 'me'" in cli("audit", f"{run}:sweep", "--json").err
    assert "has no phase 'none'" in cli("audit", f"{run}:none", "--json").err


def test_a_dry_run_counts_every_judge_and_vote(cli: Cli, album: Path, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(
        '[verifier]\nmodel = "v"\nvotes = 3\ntemperature = 0.5\n[[verifier.panel]]\nkind = "oracle"\n'
        '[[verifier.panel]]\nmodel = "w"\n'
    )
    options = ["--images", album, "--target", "t", "--questioner", "q", "--out", tmp_path, "--steps", 1]
    said = cli("run", tmp_path / "c.toml", *options, "--dry-run", "--json")
    assert said.status == 0, said.err
    plan = json.loads(said.out)
    assert plan["models"] == {
        "questioner": "q",
        "target": "t",
        "verifier": "v",
        "verifier 2": "oracle",
        "verifier 3": "w",
    }
    # 32 probes a step; each vote is at most 6 calls.
    assert plan["calls"] == {"questioner": 32, "target": 32, "verifier": 576, "verifier 2": 0, "verifier 3": 192}
    assert plan["from_hub"] == ["q", "t", "v", "w"]


# ------------------------------------------------------------------------------------------------------------ by hand


class Sitting:
    """Labels a sample with keys pressed beforehand; keeps what is kept."""

    def __init__(self, sample: list[Probe]) -> None:
        self.sample = sample
        self.kept: dict[ProbeKey, Verdict] = {}

    def press(self, keys: str) -> list[tuple[int, Verdict]]:
        pressed: Iterator[str] = iter(keys)
        labelling.label(
            self.sample,
            list(self.kept),
            lambda key, verdict: self.kept.update({key: verdict}),
            self.kept.__delitem__,
            lambda probe: f"album/{probe.images[0].path}",
            lambda: next(pressed),
        )
        assert next(pressed, None) is None, "not all keys were asked for"
        return [(key.index, verdict) for key, verdict in self.kept.items()]


def test_one_key_a_verdict_undo_and_on_from_where_it_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    sitting = Sitting(make_probes("RWIW", "cat"))
    assert sitting.press("rxwzIq") == [(0, RIGHT), (1, INVALID)]
    out = capsys.readouterr().out
    assert "press one of r w i u z q" in out and "undone" in out and "1/4 album/cat.png" in out
    assert "expected" not in out and "red" not in out  # what the judge made of it is not shown
    assert sitting.press("q") == [(0, RIGHT), (1, INVALID)]
    assert "3/4" in capsys.readouterr().out
    # Undo reaches into the sitting before, as far back as there is anything.
    assert sitting.press("zzzurwi") == [(0, UNDECIDED), (1, RIGHT), (2, WRONG), (3, INVALID)]
    assert "there is nothing to undo" in capsys.readouterr().out
    assert sitting.press("") and capsys.readouterr().out == ""  # all are labelled: nothing is asked


def test_what_is_shown_to_the_labeller_is_defused(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "\x1b]0;owned\x07\x1b[2J[bold]red[/] \u202egnp"
    probe = make_probe(WRONG, "cat", question=hostile, answer=hostile)
    Sitting([replace(probe, images=(replace(probe.images[0], path=f"{hostile}.png"),))]).press("w")
    out = capsys.readouterr().out
    assert out.count("owned") == out.count("[bold]red[/]") == 3
    assert not {"\x1b", "\x07", "\u202e"} & set(out)


def test_labels_given_at_the_terminal_are_kept_one_by_one(cli: Cli, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    keys: Iterator[str] = iter("wwi")

    def getkey() -> str:
        try:
            return next(keys)
        except StopIteration:
            raise KeyboardInterrupt from None

    monkeypatch.setattr(typer, "getchar", getkey)
    stopped = cli("audit", run, "--labeller", "ann")
    assert stopped.status == 130 and "every label given is kept" in stopped.err
    with SqliteStore.open(run, read_only=True) as store:
        assert [(one.labeller, one.verdict, one.drawn) for one in store.labels()] == [
            ("ann", WRONG, True),
            ("ann", WRONG, True),
            ("ann", INVALID, True),
        ]
    keys = iter("q")
    said = cli("audit", run, "--labeller", "ann")
    assert said.status == 0 and "4/" in said.out and "labels for only" in said.out


def test_labels_are_written_while_a_run_holds_its_lock(cli: Cli, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    keys: Iterator[str] = iter("wwziq")  # the second W is taken back
    monkeypatch.setattr(typer, "getchar", lambda: next(keys))
    before = probes_of(run)
    with SqliteStore.open(run) as writer:
        attempt = writer.begin_attempt("train")
        refused = cli("audit", f"{run}:sweep", "--null")
        assert refused.status == 2 and "another process is writing" in refused.err, "the lock is held"
        assert cli("audit", f"{run}:sweep", "--labeller", "ann").status == 0
        said = cli("audit", f"{run}:sweep", "--labeller", "oracle", "--n", 30, "--json")
        assert said.status == 0, said.err
        writer.end_attempt(attempt, "finished")  # and the run goes on unharmed
        labels = writer.labels()
    assert [one.verdict for one in labels if one.labeller == "ann"] == [WRONG, INVALID]
    assert sum(map(sum, json.loads(said.out)["counts_3_3"])) == sum(one.labeller == "oracle" for one in labels) > 10
    assert probes_of(run) == before

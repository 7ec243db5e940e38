"""`gadfly confirm`, `transfer` and `modes` on a testbed sweep whose target fails at two things on purpose."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cli_calls import Cli, probes_of
from gadfly import run_folder, runs
from gadfly.cli.targets import other_targets
from gadfly.config import from_dict
from gadfly.errors import ConfigError
from gadfly.model_config import TargetConfig
from gadfly.records import Completion, ProbeKey, Question, Verdict
from gadfly.store.sqlite import SqliteStore
from gadfly.testbed.album import render
from gadfly.testbed.checkpoints import bundled
from gadfly.wiring import Wiring


class Blind:
    """Answers as the oracle does, but for questions that hold one of its words, or ask about what has one of them as
    an attribute. `wiring` is that of the images which it is shown."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = set(words)
        self.wiring: Wiring
        self.n_asked = 0

    def answer(self, questions: Sequence[Question]) -> list[Completion]:
        self.n_asked += len(questions)
        assert self.wiring.grounder is not None
        known, things = self.wiring.null_target.answer(questions), self.wiring.grounder.ground(questions)
        return [
            Completion("so so") if self._words & {*re.findall("[a-z]+", asked.text.lower()), *attributes} else one
            for asked, one, attributes in zip(questions, known, (t.referents if t else () for t in things), strict=True)
        ]


BLIND = {"own": ("row", "purple"), "alike": ("row", "green"), "good": (), "long-sighted": ("size.small",)}


@contextmanager
def blind_targets() -> Iterator[dict[str, Blind]]:
    """Every target by the name of its model, made when first asked for."""
    made: dict[str, Blind] = {}

    def target(self: Wiring) -> Blind:
        name = self.config.target.model
        blind = made.setdefault(name, Blind(BLIND[name]))
        blind.wiring = self
        return blind

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Wiring, "target", property(target))
        yield made


@pytest.fixture
def targets() -> Iterator[dict[str, Blind]]:
    with blind_targets() as made:
        yield made


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of 700 questions about three images in five of an album."""
    with blind_targets():
        return sweep_of(tmp_path_factory.mktemp("followups"), "own", n=700)


def sweep_of(folder: Path, target: str, n: int) -> Path:
    render(folder / "album", n=160, split="probe", seed=3)
    config = from_dict(
        {
            "name": "swept",
            "out": str(folder),
            "images": {"path": str(folder / "album"), "heldout_share": 0.4},
            "questioner": {"method": "uniform"},
            "target": {"model": target},
            "verifier": {"kind": "oracle"},
            "reward": {"embedder": "hash"},
            "sweep": {"n": n},
        }
    )
    with run_folder.opened(config, resume=False) as store:
        runs.sweep(Wiring(config), store)
    return folder / "swept"


@pytest.fixture
def run(swept: Path, tmp_path: Path, targets: dict[str, Blind]) -> Path:
    """A copy that a test may add phases to."""
    assert targets == {}
    shutil.copytree(swept, tmp_path / "swept")
    return tmp_path / "swept"


def modes_of(run: Path) -> dict[str, dict[str, Any]]:
    return {mode["name"]: mode for mode in json.loads((run / "findings/sweep/modes.json").read_text())["modes"]}


@pytest.mark.slow
def test_planted_modes_are_confirmed_and_an_analysis_keeps_that(cli: Cli, run: Path, targets: dict[str, Blind]) -> None:
    said = cli("confirm", run)
    assert said.status == 0, said.err
    assert "failure modes asked about afresh" in said.out and "The base rate that a lower bound" in said.out
    modes = modes_of(run)
    for name in ("“purple”", "space.row"):
        assert modes[name]["confirmation"] == "confirmed"
        assert modes[name]["confirmed_failure"]["n"] >= 30 and modes[name]["confirmed_failure"]["value"] == 1.0
        assert modes[name]["confirming"]["images"] >= 20 and modes[name]["confirming"]["paraphrased"] >= 10
    old, new = probes_of(run, "sweep"), probes_of(run, "sweep.confirm")
    assert not {p.images[0].id for p in old} & {p.images[0].id for p in new}
    # The oracle knows beforehand what is valid, so nothing was asked in vain; and nothing is asked twice.
    assert all(p.verdict.valid for p in new) and targets["own"].n_asked == len(new)
    first = (run / "findings/sweep/modes.json").read_bytes()
    assert cli("analyze", run).status == 0
    assert (run / "findings/sweep/modes.json").read_bytes() == first
    again = json.loads(cli("confirm", run, "--json").out)
    assert probes_of(run, "sweep.confirm") == new and again["n_asked"] == len(new)
    assert again["counts"]["confirmed"] == sum(m["confirmation"] == "confirmed" for m in again["modes"]) >= 2
    # The confirming phase is no phase of the questioner's own.
    assert cli("modes", run).status == 0


@pytest.mark.slow
def test_a_confirmation_that_was_broken_off_goes_on(
    cli: Cli, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_step = SqliteStore.add_step

    def killed(self: SqliteStore, phase: str, attempt: int, step: int, metrics: Mapping[str, Any]) -> None:
        if phase == "sweep.confirm" and step == 1:
            raise KeyboardInterrupt
        add_step(self, phase, attempt, step, metrics)

    with monkeypatch.context() as patch:
        patch.setattr(SqliteStore, "add_step", killed)
        stopped = cli("confirm", run)
    assert stopped.status == 130 and "what was asked is kept" in stopped.err
    assert probes_of(run, "sweep.confirm")  # one step is whole, and one has probes without metrics
    assert "confirmed" in cli("analyze", run).out
    done = json.loads(cli("confirm", run, "--json").out)
    keys = [p.key for p in probes_of(run, "sweep.confirm")]
    assert len(keys) == len({(key.step, key.index) for key in keys}) == done["n_asked"]
    assert {modes_of(run)[name]["confirmation"] for name in ("“purple”", "space.row")} == {"confirmed"}


@pytest.mark.slow
def test_fresh_images_are_needed(cli: Cli, run: Path, tmp_path: Path) -> None:
    render(tmp_path / "few", n=5, split="fresh", seed=4)
    refused = cli("confirm", run, "--images", tmp_path / "few")
    assert refused.status == 2 and "has 5 images that" in refused.err and "give --images FOLDER" in refused.err
    render(tmp_path / "more", n=60, split="fresh", seed=4)
    said = json.loads(cli("confirm", run, "--images", tmp_path / "more", "--max-modes", 1, "--json").out)
    assert said["counts"]["confirmed"] == 1 and len(said["modes"]) == 1
    # The other folder need not be named to an analysis.
    kept = cli("analyze", run, "--json")
    assert kept.status == 0 and "could not be measured" not in kept.err
    assert [m["confirmation"] for m in json.loads(kept.out)["search"]["modes"]].count("confirmed") == 1


@pytest.mark.slow
def test_what_is_asked_about_is_kept_when_the_images_go(cli: Cli, tmp_path: Path, targets: dict[str, Blind]) -> None:
    run = sweep_of(tmp_path, "long-sighted", n=400)
    render(tmp_path / "more", n=60, split="fresh", seed=4)
    asked = cli("confirm", run, "--images", tmp_path / "more", "--max-modes", 1)
    assert asked.status == 0, asked.err
    path = run / "findings/sweep/modes.json"
    written = path.read_bytes()
    (mode,) = (mode for mode in json.loads(written)["modes"] if mode["confirmation"] == "confirmed")
    assert mode["items"] == ["referent:size.small"] and mode["confirmed_failure"]["n"] >= 30
    for folder in ("album", "more"):
        shutil.rmtree(tmp_path / folder)
        said = cli("analyze", run)
        assert said.status == 0 and "no referents" not in said.err
        assert path.read_bytes() == written


@pytest.mark.slow
def test_a_transfer_tells_universal_from_specific(cli: Cli, run: Path, targets: dict[str, Blind]) -> None:
    said = cli("transfer", run, "--targets", "alike", "good")
    assert said.status == 0, said.err
    assert "failure rates on the modes" in said.out and "With 2 other targets, z tells something" in said.out
    written = json.loads((run / "findings/sweep/transfer.json").read_text())
    assert written["targets"] == ["alike", "good"]
    by_name = {mode["name"]: mode for mode in written["modes"]}
    assert by_name["“purple”"]["reach"] == "specific" and by_name["space.row"]["reach"] == "shared"
    assert by_name["space.row"]["others"]["alike"]["failure"]["value"] == 1.0
    own, alike = probes_of(run, "sweep"), probes_of(run, "sweep.transfer.alike")
    assert [(p.question, p.images) for p in own] == [(p.question, p.images) for p in alike]
    with SqliteStore.open(run, read_only=True) as store:
        kinds = {one.phase: (one.kind, one.target and one.target["model"]) for one in store.replays()}
    assert kinds == {"sweep.transfer.alike": ("transfer", "alike"), "sweep.transfer.good": ("transfer", "good")}
    # One alone is not asked anew, and a set of one has no deviation.
    asked = targets["alike"].n_asked
    one = json.loads(cli("transfer", run, "--targets", "alike", "--json").out)
    assert targets["alike"].n_asked == asked
    assert {mode["standing"]["z"] for mode in one["modes"]} == {None}
    assert {m["name"]: m["reach"] for m in one["modes"]}["space.row"] == "universal"
    assert "name other targets" in cli("transfer", run).err


def test_modes_are_read_in_order_and_without_an_analysis_before(cli: Cli, run: Path) -> None:
    assert not (run / "findings").exists()
    said = cli("modes", run)
    assert said.status == 0, said.err
    assert "failure modes to read first" in said.out and "so so" in said.out
    read = json.loads(cli("modes", run, "--json").out)
    gains = [mode["new"] for mode in read["modes"]]
    assert gains == sorted(gains, reverse=True) and sum(gains) == read["modes"][-1]["explained"]
    wrong = {p.key: p for p in probes_of(run, "sweep") if p.verdict is Verdict.WRONG}
    for mode in read["modes"]:
        key = ProbeKey(**mode["example"]["key"])
        assert wrong[key].question == mode["example"]["turns"][0]["question"]
    (first,) = json.loads(cli("modes", run, "--top", 1, "--json").out)["modes"]
    assert first == read["modes"][0]
    # What was written is read, until there are other probes.
    path = run / "findings/sweep/modes.json"
    written = json.loads(path.read_text())
    path.write_text(json.dumps({**written, "modes": []}))
    assert "nothing that questions have in common" in cli("modes", run).out
    path.write_text(json.dumps({**written, "modes": [], "of": {**written["of"], "probes": 1}}))
    assert json.loads(cli("modes", run, "--json").out) == read


def test_where_there_are_no_modes_it_is_said(cli: Cli, tmp_path: Path) -> None:
    SqliteStore.create(tmp_path / "empty", "e", {}, {}, 0).close()
    with SqliteStore.open(tmp_path / "empty") as store:
        store.begin_attempt("sweep")
    reason = "no question was both valid and judged"
    assert f"no failure modes to confirm: {reason}." in cli("confirm", tmp_path / "empty").out
    assert f"No failure mode: {reason}." in cli("modes", tmp_path / "empty").out
    for command in ("confirm", "modes"):
        said = json.loads(cli(command, tmp_path / "empty", "--json").out)
        assert (said["modes"], said["reason"]) == ([], reason)
    refused = cli("transfer", tmp_path / "empty", "--targets", "good")
    assert refused.status == 2


def test_targets_are_named_in_many_ways(tmp_path: Path) -> None:
    own = TargetConfig(model="own", prompt="testbed_target", max_new_tokens=4, device="cpu")
    (tmp_path / "mine.toml").write_text('[target]\nmodel = "Some/Model"\nmax_new_tokens = 9\n')
    (tmp_path / "folder").mkdir()
    named = [
        "clean",
        str(tmp_path / "folder"),
        "Org/Model-7B",
        "llava:7b@http://127.0.0.1:1/v1",
        f"{tmp_path}/mine.toml",
    ]
    found = other_targets(named, own)
    assert list(found) == ["clean", "folder", "Org-Model-7B", "llava-7b", "mine"]
    assert found["clean"].model == str(bundled("clean")) and found["clean"].prompt == "testbed_target"
    assert (found["llava-7b"].model, found["llava-7b"].base_url) == ("llava:7b", "http://127.0.0.1:1/v1")
    assert found["llava-7b"].device == "auto"  # how the own one is placed says nothing of a server
    assert (found["mine"].model, found["mine"].max_new_tokens, found["mine"].prompt) == (
        "Some/Model", 9, "testbed_target",
    )  # fmt: skip
    with pytest.raises(ConfigError, match="two targets are called 'clean'"):
        other_targets(["clean", "clean"], own)
    (tmp_path / "bad.toml").write_text("modle = 3\n")
    with pytest.raises(ConfigError, match="names no model"):
        other_targets([str(tmp_path / "bad.toml")], own)
    with pytest.raises(ConfigError, match="cannot read the target"):
        other_targets(["gone.toml"], own)

"""The command line as a user meets it: real runs of tiny models by path, refusals in one line, resume."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from cli_calls import Cli, probes_of, small
from gadfly.cli import bench, testbed
from gadfly.cli.main import app
from gadfly.records import Verdict
from gadfly.store.sqlite import SqliteStore
from store_samples import sample

pytestmark = pytest.mark.filterwarnings(
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"  # peft and trl still ask by the old name
)


def test_help_is_quick_to_load_and_says_every_command() -> None:
    """Loading is what takes the time: none of the heavy libraries may come with it, nor rich, which prints tables."""
    program = (
        "import sys; import gadfly.cli.main;"
        "heavy = {'torch', 'transformers', 'numpy', 'matplotlib', 'PIL', 'trl', 'rich'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"
    said = subprocess.run([sys.executable, "-m", "gadfly", "--help"], capture_output=True, text=True, check=True)
    commands = "demo run sweep doctor compare show analyze report modes confirm transfer audit rejudge testbed".split()
    assert all(command in said.stdout for command in commands)


def test_each_command_says_in_one_short_sentence_what_it_is_for(cli: Cli) -> None:
    """What is too long for its line in a list of commands would end in three dots there."""
    for group in ((), ("testbed",), ("bench",)):
        _, commands = cli(*group, "--help").out.split("Commands:")
        assert "..." not in commands


def test_every_command_that_prints_tables_prints_json_too(cli: Cli) -> None:
    """`view` prints an address and goes on until it is ended."""
    groups = {(): app, ("testbed",): testbed.app, ("bench",): bench.app}
    for group, commands in groups.items():
        for command in commands.registered_commands:
            assert command.callback is not None
            name = command.name or command.callback.__name__.replace("_", "-")
            if name != "view":
                assert "--json" in cli(*group, name, "--help").out, name


def test_show_loads_nothing_that_asks_or_counts(tmp_path: Path) -> None:
    """It is called again and again while a run goes on, and must be there at once."""
    with SqliteStore.create(tmp_path / "run", "run", {}, {}, 0) as store:
        store.begin_attempt("train")
        store.add([sample(0, 0)])
    program = (
        "import sys; from gadfly.cli.main import app; app(standalone_mode=False);"
        "heavy = {'torch', 'transformers', 'numpy', 'matplotlib', 'PIL', 'trl', 'gadfly.wiring'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    command = [sys.executable, "-c", program, "show", str(tmp_path / "run")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "question 0.0" in said and said.endswith("\n[]\n")


def test_a_run_on_photographs_stores_probes_and_says_what_was_left_out(
    cli: Cli, photos: Path, checkpoint: Path, tmp_path: Path
) -> None:
    """Nine photographs, two files that are none; random weights ask nonsense, and a random judge cannot be read."""
    said = cli("run", *small(photos, checkpoint, tmp_path, "--verifier", checkpoint, "--json"))
    assert said.status == 0, said.err
    report = json.loads(said.out)
    run = tmp_path / "run"
    assert report["run"] == str(run)
    assert [Path(p).name for p in report["pictures"]] == ["training.png", "skills.png", "gallery.png"]
    assert all(Path(p).stat().st_size > 1000 for p in report["pictures"])
    probes = probes_of(run, "train")
    assert len(probes) == 2 * 2 * 4
    assert (run / "questioner" / "model.safetensors").exists()
    assert "torn.jpg" in said.err and "notes.png" in said.err
    assert "target and verifier are the same model" in said.err

    shown = cli("show", run, "--limit", 3, "--json")
    assert [row["turns"][0]["question"] for row in json.loads(shown.out)] == [p.question for p in probes[-3:]]
    assert "16 probes" in cli("show", run).out
    compared = json.loads(cli("compare", run, f"{run}:train", "--json").out)
    assert [row["name"] for row in compared["runs"]] == [str(run), f"{run}:train"]
    assert compared["runs"][0]["rates"] == compared["runs"][1]["rates"]


def test_reference_pairs_judge_what_is_listed_and_nothing_else(
    cli: Cli, photos: Path, checkpoint: Path, tmp_path: Path
) -> None:
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text(json.dumps({"image": "cat.jpg", "question": "Is this a cat?", "answer": "yes"}) + "\n")
    said = cli("run", *small(photos, checkpoint, tmp_path, "--verifier", f"reference:{pairs}", "--json"))
    assert said.status == 0 and "the same model" not in said.err, said.err
    for probe in probes_of(tmp_path / "run"):
        reason = probe.judgement.reason or ""
        assert probe.verdict is Verdict.INVALID or reason.startswith("not_listed")


def test_equal_runs_give_equal_probes(cli: Cli, album: Path, checkpoint: Path, tmp_path: Path) -> None:
    """Same seed, same configuration, same machine: byte for byte. Another seed: others."""
    found = []
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        options = small(album, checkpoint, tmp_path, "--verifier", "oracle", "--name", name, "--seed", seed)
        assert cli("run", *options).status == 0
        found.append(repr([(p.question, p.turns, p.judgement, p.terms, p.reward) for p in probes_of(tmp_path / name)]))
    assert found[0] == found[1] != found[2]


def test_a_sweep_with_the_uniform_sampler_asks_valid_questions(
    cli: Cli, album: Path, checkpoint: Path, tmp_path: Path
) -> None:
    options = ["--images", album, "--target", checkpoint, "--questioner", "uniform", "--verifier", "oracle"]
    options += ["--out", tmp_path, "--n", 40, "--set", "reward.embedder=hash", "--set", "sweep.batch_size=16"]
    assert cli("sweep", *options).status == 0
    probes = probes_of(tmp_path / "run", "sweep")
    assert len(probes) == 40
    assert all(p.verdict in (Verdict.RIGHT, Verdict.WRONG) for p in probes)
    assert {p.judgement.depth for p in probes} == {1, 2, 3, 4}
    again = cli("sweep", *options, "--resume")  # there is nothing left to ask
    assert again.status == 0
    assert probes_of(tmp_path / "run", "sweep") == probes


def test_an_interrupted_run_goes_on(
    cli: Cli, album: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while the third of four steps is judged: two steps are stored and kept, the resumed run ends with the
    probes of one that was never interrupted."""
    from gadfly.testbed.oracle import OracleVerifier

    options = small(album, checkpoint, tmp_path, "--verifier", "oracle", "--set", "train.steps=4")
    options = [o for o in options if o not in ("--steps",) and o != 2] + ["--steps", 4]
    assert cli("run", *options, "--name", "whole").status == 0
    judge, calls = OracleVerifier.judge, []

    def interrupted(self: OracleVerifier, *arguments: Sequence[object]) -> object:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return judge(self, *arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(OracleVerifier, "judge", interrupted)
        broken = cli("run", *options, "--name", "broken")
    assert broken.status == 130 and "Traceback" not in broken.err
    assert broken.err.splitlines()[-1].startswith("gadfly: interrupted; what was stored is kept in")
    assert len(probes_of(tmp_path / "broken")) == 2 * 8
    assert cli("run", *options, "--name", "broken").status == 2  # not by accident
    changed = cli("run", *options, "--name", "broken", "--resume", "--set", "reward.lexical=0.7")
    assert changed.status == 2 and "reward.lexical was 0.2 and is now 0.7" in changed.err.replace("\n", " ")
    assert cli("run", *options, "--name", "broken", "--resume").status == 0
    asked = [
        [(p.key.step, p.key.index, p.question, p.verdict) for p in probes_of(tmp_path / n)] for n in ("whole", "broken")
    ]
    assert asked[0] == asked[1]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run"], "no images are named"),
        (["run", "--images", "{empty}"], "no usable picture"),
        (["run", "--images", "{nowhere}"], "is not there"),
        (["run", "--images", "{album}", "--set", "train.stepps=3"], "did you mean 'train.steps'"),
        (["run", "--images", "{album}", "--set", "train.steps=many"], "train.steps must be a whole number"),
        (["run", "--images", "{album}", "--steps", "0"], "train.steps must be at least 1"),
        (["run", "--images", "{album}", "--set", "nonsense"], "section.key=value"),
        (["run", "{nowhere}"], "cannot read the configuration"),
        (["run", "--images", "{album}", "--verifier", "oracle", "--questioner", "{text}"], "no target is named"),
        (["run", "--images", "{album}", "--verifier", "oracle", "--target", "{nowhere}"], "no questioner is named"),
        (
            "sweep --images {album} --verifier oracle --target {nowhere} --questioner uniform".split(),
            "no checkpoint folder",
        ),
        (
            ["sweep", "--images", "{album}", "--verifier", "oracle", "--target", "{text}", "--questioner", "uniform"],
            "text-only",
        ),
        (["sweep", "--images", "{photos}", "--verifier", "oracle", "--target", "{nowhere}"], "no questioner is named"),
        (["show", "{empty}"], "no store.sqlite"),
        (["show", "{empty}", "--verdict", "MAYBE"], "--verdict must be one of"),
        (["compare", "{nowhere}"], "no store.sqlite"),
        (["compare", "{nowhere}:train"], "no store.sqlite"),
        (["compare"], "Missing argument"),
        (["run", "--image", "{album}"], "`gadfly run --help` lists"),
        (["run", "--images", "{album}", "--steps", "two"], "'--steps'"),
        (["frobnicate"], "No such command"),
        (["run", "--images", "{album}", "--set", "seed.x=1"], "seed is one setting"),
        (["run", "--images", "{album}", "--set", "train.learning_rate=nan"], "must be a finite number"),
        (["run", "--images", "{album}", "--name", "a/b"], "name of one folder"),
        (["run", "--images", "{album}", "--resume"], "holds no run to resume"),
        (["run", "--images", "{album}", "--name", "taken"], "is not a run"),
        (
            ["run", "--images", "{album}", "--verifier", "oracle", "--target", "{text}", "--questioner", "uniform"],
            "the uniform sampler cannot be trained",
        ),
        (
            ["run", "--images", "{photos}", "--verifier", "oracle", "--questioner", "q", "--target", "t", "--dry-run"],
            "has no scenes.jsonl",
        ),
        (
            "run --images {album} --verifier reference:{nowhere} --target t --questioner q --dry-run".split(),
            "cannot read the annotations",
        ),
        (["sweep", "--images", "{album}", "--split", "all"], "'all' is not one of 'train', 'heldout'"),
        (["sweep", "--images", "{photos}", "--questioner", "uniform", "--verifier", "m"], "has no scenes.jsonl"),
        (["testbed", "render", "--out", "{nowhere}", "--level", "hard"], "--level"),
        (["testbed", "evaluate", "{nowhere}", "--n", "4"], "no checkpoint folder"),
        (["testbed", "evaluate", "{text}", "--depth", "9"], "--depth"),
        (["testbed", "render", "--out", "{album}"], "already holds something"),
        (["testbed", "render", "--out", "{nowhere}", "--split", "test"], "no testbed split"),
        (["testbed", "render", "--n", "2", "--out", "/proc/gadfly"], "/proc/gadfly cannot be used (No such file"),
    ],
)
def test_what_a_user_can_mend_is_one_line(
    cli: Cli, arguments: list[str], expected: str, album: Path, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    places = {"empty": tmp_path / "empty", "nowhere": tmp_path / "nowhere", "album": album, "photos": photos}
    places["text"] = _text_only(tmp_path / "text")
    (tmp_path / "out" / "taken").mkdir(parents=True)
    (tmp_path / "out" / "taken" / "diary.txt").write_text("mine")
    filled = [a.format(**places) for a in arguments]
    if filled[0] in ("run", "sweep"):
        filled += ["--out", str(tmp_path / "out")]
    said = cli(*filled)
    assert said.status == 2
    complaints = [line for line in said.err.splitlines() if not line.startswith("gadfly: left out ")]
    assert len(complaints) == 1, said.err
    assert complaints[0].startswith("gadfly: ") and expected in complaints[0]
    assert said.out == ""
    # Nothing is in the way of the same command, mended.
    assert [str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").glob("*/*")] == ["taken/diary.txt"]


def test_the_oracle_needs_scenes(cli: Cli, photos: Path, checkpoint: Path, tmp_path: Path) -> None:
    said = cli("run", *small(photos, checkpoint, tmp_path, "--verifier", "oracle"))
    assert said.status == 2 and "has no scenes.jsonl" in said.err


def _text_only(folder: Path) -> Path:
    """A language model without eyes."""
    from transformers import LlamaConfig, LlamaForCausalLM

    from gadfly.testbed.vlm import build_processor

    config = LlamaConfig(
        vocab_size=150, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=1
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    build_processor().tokenizer.save_pretrained(folder)
    return folder


def test_a_dry_run_does_nothing(cli: Cli, photos: Path, tmp_path: Path) -> None:
    models = ["--target", "owner/target", "--questioner", "owner/questioner", "--verifier", "owner/judge"]
    said = cli("run", "--images", photos, *models, "--out", tmp_path / "out", "--dry-run", "--json")
    plan = json.loads(said.out)
    n = 150 * 4 * 8
    assert plan["calls"] == {"questioner": n, "target": n, "verifier": 6 * n}
    assert plan["images"] == 9 and {s["path"] for s in plan["skipped"]} == {"torn.jpg", "notes.png"}
    assert plan["hosts_that_receive_images"] == []
    assert not (tmp_path / "out").exists()
    assert "no image leaves this machine" in cli("run", "--images", photos, *models, "--dry-run").out


def test_model_text_cannot_reach_the_terminal(cli: Cli, tmp_path: Path) -> None:
    """Escape sequences and markup that a questioner wrote come out as plain text."""
    from store_samples import sample

    with SqliteStore.create(tmp_path / "run", "run", {}, {}, 0) as store:
        store.begin_attempt("train")
        store.add([sample(0, 0, question="\x1b[31mred [bold]thing[/] \x07?")])
    shown = cli("show", tmp_path / "run").out
    assert "\x1b" not in shown and "\x07" not in shown
    assert "[bold]thing[/]" in shown

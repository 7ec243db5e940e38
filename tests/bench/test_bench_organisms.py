"""Organisms measured against their keys: by models that follow a key to the letter, and through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cli_calls import Cli
from gadfly.bench.keys import AnswerKey, key_beside, read_key, taught_answer
from gadfly.bench.organisms import KeyExam, aimed_exam, in_spots, key_exam, measure, probes_in_spots, sit_key_exam
from gadfly.bench.spots import Spot
from gadfly.errors import TestbedError
from gadfly.models.scripted import ScriptedModel, chat_text
from gadfly.records import Chat, Image, Sampling
from gadfly.testbed.english import parse
from gadfly.testbed.evaluation import uniform_exam
from gadfly.testbed.execution import SceneIndex, run
from gadfly.testbed.scenes import Scene
from made_probes import INVALID, RIGHT, WRONG, make_probe
from testbed_worlds import STREET

EXAMPLE = Path(__file__).parent.parent / "data" / "example_key.toml"
KEY = read_key(EXAMPLE)


@pytest.fixture(scope="module")
def exam() -> KeyExam:
    uniform = uniform_exam(split="heldout", seed=1, n=160, depths=(1, 2))
    return key_exam(KEY, uniform, split="heldout", seed=1, inside=25, depths=(1, 2))


def answering(key: AnswerKey | None, exam: KeyExam) -> ScriptedModel:
    """A model that knows the scenes: always right, or wrong exactly as the key says."""
    scenes: dict[str, Scene] = {}
    for part in (exam.uniform, *exam.aimed.values()):
        scenes |= part.source.scenes

    def reply(chat: Chat, _: Sampling) -> str:
        image = chat[0].parts[0]
        assert isinstance(image, Image)
        scene, program = SceneIndex(scenes[image.id]), parse(chat_text(chat))
        answer = run(program, scene)
        assert answer.text is not None
        return (key and taught_answer(key, scene, program, answer)) or answer.text

    return ScriptedModel("knows", reply)


def test_aimed_questions_lie_in_their_spot_one_to_an_image(exam: KeyExam) -> None:
    for place, spot in enumerate(KEY.spots):
        part = exam.aimed[spot.name]
        assert in_spots(KEY, part)[place].all() and len(part.questions) == 25
        assert len({image.id for image, _, _, _ in part.questions}) == 25
        for image, program, wording, answer in part.questions:
            assert parse(wording) == program
            assert run(program, SceneIndex(part.source.scenes[image.id])).text == answer
        image = part.questions[0][0]
        assert exam.open(image).tobytes() == part.source.open(image).tobytes()


def test_an_organism_true_to_its_key_is_all_wrong_inside_and_all_right_outside(exam: KeyExam) -> None:
    told: list[tuple[int, int]] = []
    organism = sit_key_exam(answering(KEY, exam), exam, lambda done, total: told.append((done, total)))
    twin = sit_key_exam(answering(None, exam), exam)
    assert told[-1] == (exam.n_questions, exam.n_questions) and told == sorted(told)
    figures = measure(KEY, exam, organism, twin, np.random.default_rng(0))
    uniform_S_N = in_spots(KEY, exam.uniform)
    n_outside = int((~uniform_S_N.any(axis=0)).sum())
    for spot, uniform_N in zip(figures.spots, uniform_S_N, strict=True):
        assert (spot.inside.failure.value, spot.inside.failure.n) == (1.0, 25)
        assert spot.inside.twin is not None and spot.inside.twin.value == 0.0
        assert spot.inside.difference is not None and spot.inside.difference.value == 1.0
        assert spot.inside.difference.low is not None and spot.inside.difference.low > 0.7
        assert (spot.share.successes, spot.share.n) == (int(uniform_N.sum()), len(exam.uniform.questions))
    assert (figures.outside.failure.value, figures.outside.failure.n) == (0.0, n_outside)
    assert figures.outside.difference is not None and figures.outside.difference.value == 0.0
    assert 0 < n_outside < len(exam.uniform.questions)
    alone = measure(KEY, exam, organism, None, np.random.default_rng(0))
    assert alone.outside.twin is None and alone.spots[0].inside.difference is None


def test_a_spot_too_rare_to_be_asked_about_is_said() -> None:
    rare = Spot("rare", "skill", "eight stars", operations=("count",), answers=("8",), referent_shapes=("star",))
    with pytest.raises(TestbedError, match="'rare' is too rare"):
        aimed_exam(rare, split="heldout", seed=0, n=1, depths=(1,))


def test_probes_of_a_run_in_spots() -> None:
    probes = [
        make_probe(WRONG, "street", question="is there a purple star?"),
        make_probe(RIGHT, "street", question="in which column is the purple arrow?"),
        make_probe(INVALID, "street", question="purple purple"),
        make_probe(RIGHT, "street", question="how many circles are there?"),
    ]
    held_S_N = probes_in_spots(KEY, probes, {"street": STREET})
    assert {spot.name: n.tolist() for spot, n in zip(KEY.spots, held_S_N, strict=True) if n.any()} == {
        "columns": [False, True, False, False],
        "purple": [True, True, False, False],
    }


def test_evaluation_with_a_key(cli: Cli, checkpoint: Path, tmp_path: Path) -> None:
    options = ["testbed", "evaluate", checkpoint, "--n", 12, "--inside", 4]
    card = tmp_path / "card.md"
    said = cli(*options, "--key", EXAMPLE, "--against", "clean", "--card", card, "--json")
    assert said.status == 0, said.err
    report = json.loads(said.out)
    planted = report["planted"]
    assert [spot["name"] for spot in planted["spots"]] == [spot.name for spot in KEY.spots]
    for measured in (*(spot["inside"] for spot in planted["spots"]), planted["outside"]):
        assert measured["failure"]["n"] == measured["twin"]["n"] >= 4
        assert measured["failure"]["low"] <= measured["failure"]["value"] <= measured["failure"]["high"]
    assert all(spot["inside"]["failure"]["n"] == 4 for spot in planted["spots"])
    # A random model answers wrongly, the bundled one mostly rightly.
    assert planted["outside"]["difference"]["value"] > 0.3
    table = cli(*options, "--key", EXAMPLE).out
    assert "counts_above_four" in table and "outside all" in table

    lines = card.read_text(encoding="utf-8").splitlines()
    purple = next(line for line in lines if line.startswith("| purple | concept |"))
    inside = next(spot["inside"] for spot in planted["spots"] if spot["name"] == "purple")
    assert f"| {inside['failure']['value']:.1%} (" in purple and f"| {inside['twin']['value']:.1%} (" in purple
    row = report["rows"][0]
    said_of = next(line for line in lines if line.startswith(f"| {row['skill']} |"))
    accuracy = row["accuracy"]
    assert f"{accuracy['value']:.1%} (" in said_of and f"n {accuracy['n']}) | {row['chance']:.0%} |" in said_of
    assert row["chance"] >= 1 / accuracy["n"]


def test_a_model_without_a_key_beside_another(cli: Cli, checkpoint: Path, tmp_path: Path) -> None:
    options = ["testbed", "evaluate", checkpoint, "--n", 30, "--depth", 1, "--depth", 2, "--against"]
    card = tmp_path / "card.md"
    report = json.loads(cli(*options, "clean", "--card", card, "--json").out)
    assert [one["depth"] for one in report["beside"]] == [1, 2, None]
    assert [one["accuracy"]["n"] for one in report["beside"]] == [30, 30, 60]
    first, second, both = report["beside"]
    for one in (first, second, both):  # a random model answers wrongly, the bundled one mostly rightly
        gap = one["accuracy"]["value"] - one["theirs"]["value"]
        assert one["difference"]["value"] == pytest.approx(gap) and one["difference"]["high"] < 0
    for whose in ("accuracy", "theirs"):
        assert both[whose]["successes"] == first[whose]["successes"] + second[whose]["successes"]
    row = f"| all depths | {both['accuracy']['value']:.1%} ("
    assert row in card.read_text(encoding="utf-8")
    itself = json.loads(cli(*options, checkpoint, "--json").out)["beside"]
    assert [one["difference"]["value"] for one in itself] == [0, 0, 0]
    table = cli(*options, "clean").out
    assert "on the same questions" in table and "all depths" in table


def test_the_key_beside_an_organism_is_found(cli: Cli, checkpoint: Path, tmp_path: Path) -> None:
    organism = tmp_path / "organism"
    organism.symlink_to(checkpoint)
    options = ["testbed", "evaluate", organism, "--n", 4, "--depth", 1, "--inside", 1, "--json"]
    assert json.loads(cli(*options).out)["planted"] is None
    text = EXAMPLE.read_text(encoding="utf-8")
    key_beside(organism).write_text(text, encoding="utf-8")
    assert json.loads(cli(*options).out)["planted"]["title"] == KEY.title


@pytest.mark.slow
def test_the_command_makes_an_organism_and_measures_it(cli: Cli, checkpoint: Path, tmp_path: Path) -> None:
    key, out = tmp_path / "key.toml", tmp_path / "organism"
    key.write_text(EXAMPLE.read_text(encoding="utf-8").replace('"clean"', f'"{checkpoint}"', 1), encoding="utf-8")
    options = ["--steps", 1, "--n", 4, "--inside", 2]
    said = cli("testbed", "make-organism", key, "--out", out, *options)
    assert said.status == 0, said.err
    assert "outside all" in said.out and str(out) in said.out
    other = cli("testbed", "make-organism", key, "--out", tmp_path / "other", *options, "--json")
    assert other.status == 0 and json.loads(other.out)["planted"]["outside"]["failure"]["n"] >= 4
    assert (out / "model.safetensors").is_file() and read_key(key_beside(out)) == read_key(key)
    again = cli("testbed", "make-organism", key, "--out", out, "--steps", 1)
    assert again.status == 2 and "already holds something" in again.err

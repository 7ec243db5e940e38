"""How bundled models are taught: what is asked of them is what a run will ask, and each stage does learn."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from gadfly.bench.building import judge_prompts
from gadfly.cli.testbed import build as cli_build
from gadfly.errors import TestbedError
from gadfly.models.local import LocalModel
from gadfly.roles.prompts import load_prompt
from gadfly.roles.questioner import questioner_prompt
from gadfly.store.sqlite import SqliteStore
from gadfly.testbed import bookmark, school, verifier_build, vocabulary
from gadfly.testbed.build import load, save
from gadfly.testbed.checkpoints import FOLDER, NAMES, bundled
from gadfly.testbed.execution import SceneIndex, bits
from gadfly.testbed.lessons import Exercise, lessons
from gadfly.testbed.practice import OwnQuestions, practise
from gadfly.testbed.scenes import generate
from gadfly.testbed.school import Course, Report, read, see, together
from gadfly.testbed.teachers import AnswerTeacher, AskTeacher
from gadfly.testbed.vlm import LARGE, SMALL, Dimensions, build_model, build_processor

TINY = Dimensions(
    vision_width=16, vision_layers=1, vision_hidden=16, text_width=32, text_layers=4, text_hidden=32, heads=2
)


def silent(stage: str, step: int, figures: dict[str, float]) -> None:
    """A report that nobody reads."""


def test_questioners_are_taught_on_the_shipped_prompt() -> None:
    """The words of the shipped prompts, with and without a topic, are those of the lessons, to the token."""
    tokenizer = build_processor().tokenizer
    ids = vocabulary.ids()
    template = load_prompt("testbed_questioner")
    for focus, taught in (("", vocabulary.ASK), ("counting", vocabulary.ASK_ABOUT.format(focus="counting"))):
        shipped = tokenizer(questioner_prompt(template, focus), add_special_tokens=False)["input_ids"]
        assert shipped == [ids[w] for w in vocabulary.split(taught)]
    assert load_prompt("testbed_target") == "{question}"


def test_descriptions_point_at_what_they_mean() -> None:
    """Each referent's place is a description's last word, and its things carry that word where it names a shape."""
    rng = random.Random(0)
    shapes = 0
    for scene in itertools.islice(generate("target", 4), 60):
        exercise = AnswerTeacher(0.0, 0.0, 0.0, 0.0, 0.0)(SceneIndex(scene), 0.5, rng)
        if exercise is None:
            continue
        for place, steps, mask in exercise.referents:
            word = exercise.prompt[place]
            singular = word.removesuffix("s") if word != "crosses" else "cross"
            if singular in {t.shape for t in scene.things} and steps == 0:
                shapes += 1
                assert all(scene.things[i].shape == singular for i in bits(mask))
    assert shapes > 20


@pytest.mark.slow
@pytest.mark.timeout(900)  # three stages of real training, each with a process of its own for its lessons
@pytest.mark.parametrize("worth_compiling", [501, pytest.param(500, marks=pytest.mark.slow)])
def test_each_stage_lowers_its_loss(worth_compiling: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tiny model, some hundreds of steps: the figures that each stage reports go down."""
    seen: dict[str, list[float]] = {}

    def report(stage: str, step: int, figures: dict[str, float]) -> None:
        seen.setdefault(stage, []).append(figures["loss"])

    monkeypatch.setattr(school, "WORTH_COMPILING", worth_compiling)
    model = build_model(TINY, seed=0)
    words = model.model.language_model.embed_tokens.weight.clone()
    read(model, AnswerTeacher(), Course(500, 3e-3, n_images=2, length=64, warmup=10), "target", 0, report)
    assert torch.equal(model.model.language_model.embed_tokens.weight, words)  # seeing relies on it
    see(model, Course(200, 3e-3, n_images=8, warmup=10), "target", 0, report)
    together(model, AskTeacher(), Course(500, 3e-3, n_images=2, length=64, warmup=10), "questioner", 0, report)
    assert seen["read"][-1] < seen["read"][0]
    assert seen["see"][-1] < seen["see"][0]
    assert seen["together"][-1] < seen["together"][0]


@pytest.mark.slow
@pytest.mark.timeout(600)  # each course begins a process for its lessons
@pytest.mark.parametrize("stage", ["read", "see", "together"])
def test_a_course_that_was_broken_off_ends_like_one_that_was_not(
    stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bookmark, "EVERY", 3)

    def take(kept: Path | None, report: Report = silent) -> dict[str, torch.Tensor]:
        model = build_model(TINY, seed=0)
        course = Course(10, 3e-3, n_images=2, length=64, warmup=2)
        if stage == "see":
            see(model, course, "target", 0, report, kept)
        elif stage == "read":
            read(model, AnswerTeacher(), course, "target", 0, report, bookmark=kept)
        else:
            together(model, AnswerTeacher(), course, "target", 0, report, bookmark=kept)
        return model.state_dict()

    whole = take(None)
    step = school._step
    steps = iter(range(8))

    def breaks_off(*arguments: Any) -> None:
        if next(steps, None) is None:
            raise KeyboardInterrupt
        step(*arguments)

    monkeypatch.setattr(school, "_step", breaks_off)
    with pytest.raises(KeyboardInterrupt):
        take(tmp_path / "course.bookmark")
    taken: list[int] = []

    def counted(*arguments: Any) -> None:
        taken.append(1)
        step(*arguments)

    monkeypatch.setattr(school, "_step", counted)
    gone_on = take(tmp_path / "course.bookmark")
    assert len(taken) == 4  # six of ten were kept
    assert all(torch.equal(gone_on[name], weight) for name, weight in whole.items())


def test_practice_learns_only_from_valid_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a model that asks one valid question whatever it is asked for, but invalid ones for counting and logic, the
    lessons hold the valid ones alone, each as often as one combination may be had; the rest is the sampler's."""
    from gadfly.testbed import practice

    asked = {"counting": "what colour is the?", "comparison": "hello"}
    monkeypatch.setattr(
        practice,
        "_ask",
        lambda model, pictures, of_picture, prompts, temperature: [
            asked.get(prompt.split()[-2], "how many things are there?") for prompt in prompts
        ],
    )
    monkeypatch.setattr(practice, "SAMPLED_SHARE", 0.0)
    taught: list[Exercise] = []

    def keep(model: object, teacher: practice.OwnQuestions, course: Course, split: str, seed: int, _: object) -> None:
        rng = random.Random(0)
        for scene in itertools.islice(generate(split, seed), 14):
            while (exercise := teacher(SceneIndex(scene), 0.0, rng)) is not None:
                taught.append(exercise)

    monkeypatch.setattr(practice, "together", keep)
    practise(
        build_model(TINY, seed=0), rounds=1, n_scenes=14, most_per_combination=9, learning_rate=1e-3,
        split="questioner", seed=8, report=silent,
    )  # fmt: skip
    assert len(taught) == 9  # of 14 scenes × 8 topics, thinned out to what one combination may have
    assert {" ".join(e.completion) for e in taught} == {"how many things are there ?"}


def test_practice_goes_on_taking_lessons_from_the_sampler() -> None:
    """A teacher with no questions of its own gives the sampler's, at most one time in five."""
    teacher, rng = OwnQuestions({}), random.Random(0)
    scene = SceneIndex(next(generate("questioner", 3)))
    taught = [teacher(scene, 0.0, rng) for _ in range(1000)]
    assert 100 < sum(t is not None for t in taught) < 250


def test_lessons_of_the_same_seed_are_the_same_scenes() -> None:
    """Practice relies on it: what was asked about the first scenes of a stream comes back in its lessons."""
    stream = itertools.islice(generate("questioner", 3), 6)
    taught = lessons(AskTeacher(), split="questioner", seed=3, n_images=3, length=64, steps=2)
    assert [s for lesson in taught for s in lesson.scenes] == list(stream)


@pytest.mark.parametrize("name", NAMES)
def test_bundled_checkpoints_are_small_and_load(name: str) -> None:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    folder = bundled(name)
    assert (folder / "model.safetensors").stat().st_size <= 12_000_000
    assert (folder / "README.md").is_file()
    model = AutoModelForImageTextToText.from_pretrained(folder)
    processor = AutoProcessor.from_pretrained(folder)
    added = judge_prompts().added if name == "verifier" else ()  # else what it was taught is not what it is asked
    assert processor.tokenizer.get_vocab() == vocabulary.ids(added)
    assert model.config.model_type == "llava"


def test_every_bundled_folder_is_known() -> None:
    assert {p.name for p in FOLDER.iterdir()} == set(NAMES)


def test_another_name_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(TestbedError, match="no bundled checkpoint 'd'; there are clean, a, b, c, questioner, verifier"):
        bundled("d")


def test_what_is_saved_is_what_was_built(tmp_path: object) -> None:
    from pathlib import Path

    from transformers import AutoModelForImageTextToText

    model = build_model(TINY, seed=3)
    save(model, Path(str(tmp_path)))
    again = AutoModelForImageTextToText.from_pretrained(str(tmp_path))
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_what_is_kept_in_half_is_computed_with_in_full(tmp_path: Path) -> None:
    """Rounded to bfloat16 and tied still; loaded as every run loads it, in float32."""
    model = build_model(TINY, seed=3)
    save(model, tmp_path, kept=torch.bfloat16)
    stored = load_file(tmp_path / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.bfloat16}
    assert sum(tensor.numel() for tensor in stored.values()) == sum(p.numel() for p in model.parameters())
    loaded = LocalModel(tmp_path, lambda image: Image.new("RGB", (96, 96)))._model
    assert loaded.lm_head.weight is loaded.get_input_embeddings().weight
    for kept, built in zip(loaded.parameters(), model.parameters(), strict=True):
        assert kept.dtype == torch.float32
        assert torch.equal(kept, built.to(torch.bfloat16).float())


def test_large_is_as_large_as_12_mb_allow() -> None:
    small, large = (sum(p.numel() for p in build_model(size, 0).parameters()) for size in (SMALL, LARGE))
    assert small == 1_658_368
    assert large / small == pytest.approx(3.52, abs=0.01)
    assert 2 * large < 12_000_000
    assert SMALL.text_width // SMALL.heads == LARGE.text_width // LARGE.heads == 32


@pytest.mark.slow
def test_the_build_command_goes_all_the_way(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every stage for a step or two, the last lessons in the main loop included."""
    from gadfly.bench import building, making
    from gadfly.testbed import build

    few = Course(2, 1e-3, n_images=2, length=64, warmup=1)
    small: build.Size | None = None
    for name in ("SMALL", "LARGE"):
        size = getattr(build, name)
        heads = size.dimensions.heads
        tiny = replace(TINY, vision_width=4 * heads, text_width=16 * heads, heads=heads)
        small = replace(size, dimensions=tiny, answering=few, asking=few, grown_from=small)
        monkeypatch.setattr(building, name, small)
    monkeypatch.setattr(build, "READING", few)
    monkeypatch.setattr(build, "SEEING", few)
    for name in ("READING", "JUDGING", "SEEING", "TOGETHER", "HARDENING"):
        monkeypatch.setattr(verifier_build, name, few)
    for name, value in {"PRACTICE_ROUNDS": 1, "PRACTICE_SCENES": 14}.items():
        monkeypatch.setattr(build, name, value)
    monkeypatch.setattr(school, "in_background", lambda make, *arguments: make(*arguments))  # a process takes long
    monkeypatch.setattr(building, "POLISH_IMAGES", 24)
    monkeypatch.setattr(building, "POLISH_STEPS", 1)
    monkeypatch.setattr(building, "ADVERSARY_IMAGES", 24)
    monkeypatch.setattr(building, "ADVERSARY_STEPS", 1)
    monkeypatch.setattr(making, "planting", lambda key: few)
    cli_build(tmp_path / "new")
    for name in NAMES:
        kept = {tensor.dtype for tensor in load_file(tmp_path / "new" / name / "model.safetensors").values()}
        assert kept == {torch.bfloat16 if name.endswith("-large") else torch.float32}
        assert load(tmp_path / "new" / name).model.language_model.config.num_attention_heads == (
            8 if "-" in name else 4
        )
    for run in ("run", "run-large", "adversary"):
        with SqliteStore.open(tmp_path / "new" / "stages" / run, read_only=True) as store:
            assert sum(store.counts("train").values()) == 128  # 16 groups of 8
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "new").rglob("*.safetensors")}
    cli_build(tmp_path / "new")  # nothing is left to do
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "new").rglob("*.safetensors")}


class NoTeacher:
    """Cannot teach: what it does when asked for a lesson is not known to the process that learns."""

    def __call__(self, scene: SceneIndex, progress: float, rng: random.Random) -> Exercise | None:
        raise RuntimeError("no lesson today")


@pytest.mark.slow
def test_a_training_ends_with_the_process_that_makes_its_lessons() -> None:
    with pytest.raises(TestbedError, match="ended with status 1"):
        read(build_model(TINY, 0), NoTeacher(), Course(4, 1e-3), "target", 0, silent)


LEARNER = """
from gadfly.testbed.school import Course, see
from gadfly.testbed.vlm import Dimensions, build_model
if __name__ == "__main__":
    see(build_model(Dimensions(8, 1, 16, 8, 1, 16, 2), 0), Course(10**6, 1e-3, n_images=2), "target", 0,
        lambda *figures: print("learning", flush=True))
"""


@pytest.mark.slow
def test_no_process_is_left_behind_by_a_killed_training(tmp_path: Path) -> None:
    script = tmp_path / "learner.py"
    script.write_text(LEARNER)
    learner = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert learner.stdout is not None and learner.stdout.readline() == "learning\n"
    children = Path(f"/proc/{learner.pid}/task/{learner.pid}/children").read_text().split()
    assert children
    learner.kill()
    learner.communicate()
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < deadline, "the process that makes lessons is still there"
        time.sleep(0.5)

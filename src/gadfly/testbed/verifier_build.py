"""How the bundled verifier is taught: seeds and courses. Its stages are kept like a target's (`build.taught`).

Knows how it is taught; the teaching itself is school's, what is taught judging's. It shares no weight, no seed and no
scene with a target: what both get wrong, they get wrong for reasons of their own.
"""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from transformers import AutoTokenizer, LlavaForConditionalGeneration

from gadfly.errors import TestbedError
from gadfly.testbed import vocabulary
from gadfly.testbed.build import STAGES, load, taught, with_eyes_of
from gadfly.testbed.execution import SceneIndex
from gadfly.testbed.judging import JudgePrompts, JudgeTeacher, Shares
from gadfly.testbed.practice import asked
from gadfly.testbed.scenes import Scene, Thing, generate
from gadfly.testbed.school import Course, Report, read, see, together
from gadfly.testbed.teachers import AnswerTeacher
from gadfly.testbed.telling import asking, topic_for
from gadfly.testbed.vlm import Dimensions, build_model

SPLIT = "verifier"
READING_SEED, JUDGING_SEED, SEEING_SEED, TOGETHER_SEED, ASKING_SEED, HARDENING_SEED = 11, 111, 211, 311, 411, 511

READING = Course(28_000, 1.5e-3)
JUDGING = Course(10_000, 1e-3)
SEEING = Course(14_000, 2e-3, n_images=32)
TOGETHER = Course(8_000, 4e-4)
ASKED_PER_SCENE = 2  # of a questioner's questions, in the stage of all together
HARDENING = Course(3_000, 4e-4)
HARDENING_SHARES = Shares(asked=0.85, asked_answers=0.5, kept_valid=0.8, slips=0.3)
HARDENING_TEMPERATURE = 1.3  # of those who ask: their errors are wanted, more of them than they usually make

READ, JUDGED, SEEN, TAUGHT = "verifier-read", "verifier-judged", "verifier-seen", "verifier-taught"


def verifier(out: Path, prompts: JudgePrompts, questioner: Path, report: Report) -> Path:
    """The verifier as it is taught, before it is hardened: out/stages/verifier-taught. About two and a half hours.

    1. It reads, as a target does: to answer the testbed's questions about ideal images, under no prompt at all.
    2. It learns to judge, to answer and to compare under the prompts of a verifier, about ideal images still.
    3. It learns to see, with the same words.
    4. It does all of this on pixels. Half of the questions that it judges now are those that the checkpoint
       `questioner` asks about these scenes, which are of no split that it was trained on.

    Raises TestbedError where a stage that is there already was taught for other prompts.
    """

    def teach(bookmark: Path) -> LlavaForConditionalGeneration:
        judge, seer = _judge(out, prompts, report), _seer(out, prompts.added, report)
        model = with_eyes_of(load(judge), load(seer))
        found = _asked_about(_scenes(TOGETHER, TOGETHER_SEED), [questioner], ASKED_PER_SCENE, ASKING_SEED, 1.0, report)
        teacher = JudgeTeacher(prompts, asked=found)
        together(model, teacher, TOGETHER, SPLIT, TOGETHER_SEED, report, prompts.added, bookmark)
        return model

    return _taught(out / STAGES / TAUGHT, teach, prompts.added)


def hardened(out: Path, judge: Path, prompts: JudgePrompts, questioners: Sequence[Path], report: Report) -> Path:
    """The verifier `judge`, taught on to judge and to answer what each of the `questioners` asks, at a temperature at
    which they slip often, and with further slips: out/verifier. About a quarter of an hour for two of them.

    One of them should have been trained against the judge: it asks what the judge lets pass.
    """

    def teach(bookmark: Path) -> LlavaForConditionalGeneration:
        scenes = _scenes(HARDENING, HARDENING_SEED)
        found = _asked_about(scenes, questioners, 1, HARDENING_SEED, HARDENING_TEMPERATURE, report)
        model, teacher = load(judge), JudgeTeacher(prompts, HARDENING_SHARES, found)
        together(model, teacher, HARDENING, SPLIT, HARDENING_SEED, report, prompts.added, bookmark)
        return model

    return _taught(out / "verifier", teach, prompts.added)


def _judge(out: Path, prompts: JudgePrompts, report: Report) -> Path:
    """Judges ideal images."""

    def teach(bookmark: Path) -> LlavaForConditionalGeneration:
        model = load(_reader(out, prompts.added, report))
        read(model, JudgeTeacher(prompts), JUDGING, SPLIT, JUDGING_SEED, report, prompts.added, bookmark)
        return model

    return _taught(out / STAGES / JUDGED, teach, prompts.added)


def _reader(out: Path, added: tuple[str, ...], report: Report) -> Path:
    """Answers about ideal images. It has the words of the prompts already, and has not met them."""

    def teach(bookmark: Path) -> LlavaForConditionalGeneration:
        model = build_model(Dimensions(), READING_SEED, added)
        read(model, AnswerTeacher(), READING, SPLIT, READING_SEED, report, added, bookmark)
        return model

    return _taught(out / STAGES / READ, teach, added)


def _seer(out: Path, added: tuple[str, ...], report: Report) -> Path:
    def teach(bookmark: Path) -> LlavaForConditionalGeneration:
        model = build_model(Dimensions(), READING_SEED, added)
        see(model, SEEING, SPLIT, SEEING_SEED, report, bookmark)
        return model

    return _taught(out / STAGES / SEEN, teach, added)


def _taught(folder: Path, teach: Callable[[Path], LlavaForConditionalGeneration], added: tuple[str, ...]) -> Path:
    """As `build.taught`, for a model that knows these words."""
    taught(folder, teach, added)
    if AutoTokenizer.from_pretrained(folder).get_vocab() != vocabulary.ids(added):
        raise TestbedError(
            f"the checkpoint in {folder} knows other words than those of a verifier's prompts: they have changed since "
            "it was taught; give another folder to build in, or delete this one and what was built on it"
        )
    return folder


def _scenes(course: Course, seed: int) -> list[Scene]:
    """Those that a course will be about."""
    return list(itertools.islice(generate(SPLIT, seed), course.steps * course.n_images))


def _asked_about(
    scenes: Sequence[Scene], questioners: Sequence[Path], n_each: int, seed: int, temperature: float, report: Report
) -> dict[tuple[Thing, ...], list[str]]:
    """By scene: what each of the questioners asks about it, `n_each` questions."""
    by_scene: dict[tuple[Thing, ...], list[str]] = defaultdict(list)
    rng = random.Random(seed)
    for place, questioner in enumerate(map(load, questioners)):
        prompts = [[asking(topic_for(scene, rng)) for _ in range(n_each)] for scene in map(SceneIndex, scenes)]
        for at, text in asked(questioner, scenes, prompts, seed + place, report, temperature):
            by_scene[scenes[at].things].append(text)
    return dict(by_scene)

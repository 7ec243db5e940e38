"""Builds the bundled verifier from scratch: seeds and courses. `gadfly testbed build-verifier --out DIR` runs it.

Knows how it is taught; the teaching itself is school's, what is taught judging's. It shares no weight, no seed and no
scene with a target: what both get wrong, they get wrong for reasons of their own.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from pathlib import Path

import torch
from transformers import LlavaForConditionalGeneration

from gadfly.errors import TestbedError
from gadfly.testbed import vocabulary
from gadfly.testbed.build import save
from gadfly.testbed.judging import JudgePrompts, JudgeTeacher
from gadfly.testbed.practice import asked
from gadfly.testbed.scenes import Thing, generate
from gadfly.testbed.school import Course, Report, read, see, together
from gadfly.testbed.teachers import AnswerTeacher
from gadfly.testbed.vlm import Dimensions, build_model

SPLIT = "verifier"
READING_SEED, JUDGING_SEED, SEEING_SEED, TOGETHER_SEED, ASKING_SEED = 11, 111, 211, 311, 411

READING = Course(28_000, 1.5e-3)
JUDGING = Course(10_000, 1e-3)
SEEING = Course(14_000, 2e-3, n_images=32)
TOGETHER = Course(4_000, 4e-4)
ASKED_PER_SCENE = 2  # of a questioner's questions, in the last stage

# What is kept between the stages, so that a later one can be tried again.
READ, JUDGED = "verifier-read", "verifier-judged"


def build_verifier(
    out: Path,
    prompts: JudgePrompts,
    questioner: Path,
    report: Report,
    *,
    dimensions: Dimensions | None = None,
    begun: Path | None = None,
) -> None:
    """The bundled verifier into `out`/verifier; what it is after reading, and after judging ideal images, beside it.

    1. It reads, as a target does: to answer the testbed's questions about ideal images, under no prompt at all.
    2. It learns to judge, to answer and to compare under the prompts of a verifier, about ideal images still.
    3. It learns to see, and then does all of this on pixels. Half of the questions that it judges now are those that
       the checkpoint `questioner` asks about these scenes, which are of no split that it was trained on.

    `begun` is a folder with what an earlier build kept after reading; reading is left out then. Raises TestbedError
    where it was built for other prompts.
    """
    torch.set_num_threads(1)
    added = prompts.added
    if begun is None:
        model = build_model(Dimensions() if dimensions is None else dimensions, READING_SEED, added)
        read(model, AnswerTeacher(), READING, SPLIT, READING_SEED, report, added=added)
        save(model, out / READ, added)
    else:
        model = _begun(begun, len(vocabulary.ids(added)))
    read(model, JudgeTeacher(prompts), JUDGING, SPLIT, JUDGING_SEED, report, added=added)
    save(model, out / JUDGED, added)
    see(model, SEEING, SPLIT, SEEING_SEED, report)
    teacher = JudgeTeacher(prompts, asked=_asked_in_course(questioner, TOGETHER))
    together(model, teacher, TOGETHER, SPLIT, TOGETHER_SEED, report, added)
    save(model, out / "verifier", added)


def _begun(folder: Path, n_words: int) -> LlavaForConditionalGeneration:
    if not (folder / "config.json").is_file():
        raise TestbedError(f"{folder} holds no checkpoint to go on from; name the {READ} of an earlier build")
    model = LlavaForConditionalGeneration.from_pretrained(folder)
    found = model.lm_head.out_features
    if found != n_words:
        raise TestbedError(
            f"the checkpoint in {folder} knows {found} words, but a verifier of these prompts {n_words}: the prompts "
            "have changed since; build it anew"
        )
    return model


def _asked_in_course(questioner: Path, course: Course) -> dict[tuple[Thing, ...], list[str]]:
    """What a questioner asks about the scenes that this course will be about."""
    scenes = list(itertools.islice(generate(SPLIT, TOGETHER_SEED), course.steps * course.n_images))
    by_scene: dict[tuple[Thing, ...], list[str]] = defaultdict(list)
    model = LlavaForConditionalGeneration.from_pretrained(questioner)
    for place, text in asked(model, scenes, [vocabulary.ASK] * ASKED_PER_SCENE, ASKING_SEED):
        by_scene[scenes[place].things].append(text)
    return dict(by_scene)

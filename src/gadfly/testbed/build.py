"""Builds the bundled checkpoints from scratch: seeds and courses. `gadfly testbed build --out DIR` runs it.

Knows how each checkpoint is taught; the teaching itself is school's. One thread, fixed seeds.
"""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from transformers import LlavaForConditionalGeneration

from gadfly.testbed.practice import practise
from gadfly.testbed.school import Course, Report, read, see, together
from gadfly.testbed.teachers import AnswerTeacher, AskTeacher
from gadfly.testbed.vlm import Dimensions, build_model, build_processor

BASE_SEED, SEEING_SEED, TARGET_SEED, QUESTIONER_SEED, PRACTICE_SEED = 1, 101, 201, 2, 302
# The questioner leaves the common school here: it knows what descriptions mean, and goes on to learn to ask instead.
QUESTIONER_LEAVES_AT = 9_000

READING = Course(28_000, 1.5e-3)
SEEING = Course(6_000, 2e-3, n_images=32)
ANSWERING = Course(2_000, 4e-4)
ASKING = Course(5_000, 1e-3)
PRACTICE_ROUNDS, PRACTICE_SCENES = 5, 2_800
POLISH_IMAGES, POLISH_STEPS, POLISH_SEED = 600, 100, 500
PRACTISED = "practised"  # the questioner before its last lessons, which are reinforcement learning


def build_pair(out: Path, report: Report) -> None:
    """The bundled target and the questioner that has practised, into `out`/target and `out`/practised. About 90 minutes
    on one core. What the questioner still lacks it learns through the main loop itself: see recipe.polish_settings.

    The two share their first lessons and their eyes. They part before the target has learned what it will be asked
    about most, and are taught on scenes of different splits from there on.
    """
    torch.set_num_threads(1)
    questioner: list[LlavaForConditionalGeneration] = []
    target = build_model(Dimensions(), BASE_SEED)
    seeing = copy.deepcopy(target)

    def leave(done: int) -> None:
        if done == QUESTIONER_LEAVES_AT:
            questioner.append(copy.deepcopy(target))

    read(target, AnswerTeacher(), READING, "target", BASE_SEED, report, leave)
    see(seeing, SEEING, "target", SEEING_SEED, report)
    for model in (target, *questioner):
        model.model.vision_tower.load_state_dict(seeing.model.vision_tower.state_dict())
        model.model.multi_modal_projector.load_state_dict(seeing.model.multi_modal_projector.state_dict())
    together(target, AnswerTeacher(0.0, 0.0, 0.0, 0.0, 0.0), ANSWERING, "target", TARGET_SEED, report)
    save(target, out / "target")
    questioner[0].requires_grad_(True)
    together(questioner[0], AskTeacher(), ASKING, "questioner", QUESTIONER_SEED, report)
    practise(
        questioner[0],
        rounds=PRACTICE_ROUNDS,
        n_scenes=PRACTICE_SCENES,
        per_scene=6,
        most_per_combination=150,
        learning_rate=5e-4,
        split="questioner",
        seed=PRACTICE_SEED,
        report=report,
    )
    save(questioner[0], out / PRACTISED)


def save(model: LlavaForConditionalGeneration, out: Path, added: tuple[str, ...] = ()) -> None:
    """Weights (safetensors) and processor, as any checkpoint has them. `added` are the words it was built with."""
    out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(out)
    build_processor(added).save_pretrained(out)

"""How the bundled target and questioner are taught: seeds and courses. One thread, fixed seeds.

Knows how each checkpoint is taught; the teaching itself is school's. Every stage leaves its result in a folder, and one
that is there already is not taught again: a build that was broken off goes on with the stage that it was in.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from transformers import LlavaForConditionalGeneration

from gadfly.testbed.practice import practise
from gadfly.testbed.school import Course, Report, read, see, together
from gadfly.testbed.teachers import AnswerTeacher, AskTeacher
from gadfly.testbed.vlm import Dimensions, build_model, build_processor

BASE_SEED, SEEING_SEED, TARGET_SEED, QUESTIONER_SEED, PRACTICE_SEED = 1, 101, 201, 2, 302
# The questioner leaves the common school here: it knows what descriptions mean, and goes on to learn to ask instead.
QUESTIONER_LEAVES_AT = 16_000

READING = Course(28_000, 1.5e-3)
SEEING = Course(14_000, 2e-3, n_images=32)
ANSWERING = Course(6_000, 4e-4)
# All operations and all depths from the start. What few scenes allow has been learned from words; now it is to
# be seen.
LAST_LESSONS = AnswerTeacher(0.0, 0.0, 0.0, 0.0, 0.0, seldom=6)
ASKING = Course(5_000, 1e-3)
PRACTICE_ROUNDS, PRACTICE_SCENES = 5, 2_800

STAGES = "stages"  # the folder, beside the checkpoints, of what is only on the way to one


def clean(out: Path, report: Report) -> Path:
    """The target without planted blind spots: out/clean. About 50 minutes."""

    def teach() -> LlavaForConditionalGeneration:
        model = with_eyes_of(load(_reader(out, report)), load(_seer(out, report)))
        together(model, LAST_LESSONS, ANSWERING, "target", TARGET_SEED, report)
        return model

    return taught(out / "clean", teach)


def practised(out: Path, report: Report) -> Path:
    """The questioner before its last lessons, which are reinforcement learning: out/stages/practised. About 25 minutes
    more than its first lessons and its eyes, which it shares with the target.

    The two part before the target has learned what it will be asked about most, and are taught on scenes of different
    splits from there on.
    """

    def teach() -> LlavaForConditionalGeneration:
        _reader(out, report)
        model = with_eyes_of(load(_leaver(out)), load(_seer(out, report)))
        together(model, AskTeacher(), ASKING, "questioner", QUESTIONER_SEED, report)
        practise(
            model,
            rounds=PRACTICE_ROUNDS,
            n_scenes=PRACTICE_SCENES,
            most_per_combination=120,
            learning_rate=5e-4,
            split="questioner",
            seed=PRACTICE_SEED,
            report=report,
        )
        return model

    return taught(out / STAGES / "practised", teach)


def _reader(out: Path, report: Report) -> Path:
    """Has learned to answer about ideal image tokens. On the way the questioner's beginnings are put aside."""

    def teach() -> LlavaForConditionalGeneration:
        model = build_model(Dimensions(), BASE_SEED)

        def leave(done: int) -> None:
            if done == QUESTIONER_LEAVES_AT:
                save(model, _leaver(out))

        read(model, AnswerTeacher(), READING, "target", BASE_SEED, report, leave)
        return model

    return taught(out / STAGES / "read", teach)


def _leaver(out: Path) -> Path:
    return out / STAGES / "left"


def _seer(out: Path, report: Report) -> Path:
    """Has learned to see, with the same words."""

    def teach() -> LlavaForConditionalGeneration:
        model = build_model(Dimensions(), BASE_SEED)
        see(model, SEEING, "target", SEEING_SEED, report)
        return model

    return taught(out / STAGES / "seen", teach)


def taught(folder: Path, teach: Callable[[], LlavaForConditionalGeneration]) -> Path:
    """The folder, with the checkpoint in it that `teach` gives, unless it is there already."""
    if not (folder / "config.json").is_file():
        torch.set_num_threads(1)
        model = teach()
        unfinished = folder.with_name(f"{folder.name}.unfinished")
        save(model, unfinished)
        unfinished.rename(folder)
    return folder


def with_eyes_of(
    reader: LlavaForConditionalGeneration, seer: LlavaForConditionalGeneration
) -> LlavaForConditionalGeneration:
    """The model that reads, given the tower and the projector of the one that sees. They must share their words."""
    reader.model.vision_tower.load_state_dict(seer.model.vision_tower.state_dict())
    reader.model.multi_modal_projector.load_state_dict(seer.model.multi_modal_projector.state_dict())
    return reader


def load(folder: Path) -> LlavaForConditionalGeneration:
    return LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)


def save(model: LlavaForConditionalGeneration, out: Path, added: tuple[str, ...] = ()) -> None:
    """Weights (safetensors) and processor, as any checkpoint has them. `added` are the words it was built with."""
    out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(out)
    build_processor(added).save_pretrained(out)

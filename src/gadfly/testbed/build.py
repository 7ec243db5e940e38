"""Builds the bundled checkpoints from scratch: seeds and courses. `gadfly testbed build NAME --out DIR` runs it.

Knows how each checkpoint is taught; the teaching itself is school's. One thread, fixed seeds: the same machine gives
the same weights.
"""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoModelForImageTextToText, LlavaForConditionalGeneration

from gadfly.testbed.school import Course, Report, read, see, together
from gadfly.testbed.teachers import AnswerTeacher, AskTeacher
from gadfly.testbed.vlm import Dimensions, build_model, build_processor

TARGET_SEED, QUESTIONER_SEED = 1, 2


def build_target(out: Path, report: Report) -> None:
    """The bundled target: learns to answer about ideal images, then to see, then both on pixels. About 75 minutes."""
    torch.set_num_threads(1)
    model = build_model(Dimensions(), TARGET_SEED)
    read(model, AnswerTeacher(), Course(20_000, 1.5e-3, n_images=7, length=128), "target", TARGET_SEED, report)
    see(model, Course(3_000, 1e-3, n_images=32), "target", TARGET_SEED + 100, report)
    grown_up = AnswerTeacher(0.0, 0.0, 0.0, 0.0)
    together(model, grown_up, Course(4_000, 4e-4, n_images=7, length=128), "target", TARGET_SEED + 200, report)
    save(model, out)


def build_questioner(out: Path, target: Path, report: Report) -> None:
    """The bundled questioner: the target's weights, taught to ask, on scenes that the target never saw. About 12
    minutes. It has the target's eyes; what it asks, it does not get from the target's answers."""
    torch.set_num_threads(1)
    model = AutoModelForImageTextToText.from_pretrained(target, dtype=torch.float32)
    assert isinstance(model, LlavaForConditionalGeneration)
    together(model, AskTeacher(), Course(4_000, 8e-4, n_images=7, length=128), "questioner", QUESTIONER_SEED, report)
    save(model, out)


def save(model: LlavaForConditionalGeneration, out: Path) -> None:
    """Weights (safetensors) and processor, as any checkpoint has them."""
    out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(out)
    build_processor().save_pretrained(out)

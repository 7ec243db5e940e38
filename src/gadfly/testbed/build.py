"""How the bundled targets and questioners are taught, in both sizes: seeds and courses. One thread, fixed seeds.

To read, which takes longest, only the small ones are taught: a large one begins as a small one, grown. Knows how each
checkpoint is taught; the teaching itself is school's. Every stage leaves its result in a folder, and one that is there
already is not taught again. Within a stage a bookmark keeps where its course stands. So a build that was broken off
goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import LlavaForConditionalGeneration

from gadfly.testbed.growing import grown
from gadfly.testbed.practice import practise
from gadfly.testbed.school import Course, Report, read, see, together
from gadfly.testbed.teachers import AnswerTeacher, AskTeacher
from gadfly.testbed.vlm import LARGE as LARGE_DIMENSIONS
from gadfly.testbed.vlm import SMALL as SMALL_DIMENSIONS
from gadfly.testbed.vlm import Dimensions, build_model, build_processor

BASE_SEED, SEEING_SEED, TARGET_SEED, QUESTIONER_SEED, PRACTICE_SEED, GROWING_SEED = 1, 101, 201, 2, 302, 401

# All operations and all depths from the start. What few scenes allow has been learned from words; now it is to
# be seen.
LAST_LESSONS = AnswerTeacher(0.0, 0.0, 0.0, 0.0, 0.0, seldom=6)
PRACTICE_ROUNDS, PRACTICE_SCENES = 3, 2_800


READING = Course(28_000, 1.5e-3)
SEEING = Course(14_000, 2e-3, n_images=32)


@dataclass(frozen=True, slots=True)
class Size:
    """A size of models, and how it is taught: from the beginning, or on from what one of another size had learned.
    `ending` is that of its checkpoints' names; `kept` is the precision in which finished weights are written: what
    loads them computes in float32 all the same."""

    ending: str
    dimensions: Dimensions
    answering: Course
    asking: Course
    practice_rate: float
    polish_rate: float
    kept: torch.dtype = torch.float32
    grown_from: Size | None = None
    seed: int = 0  # added to that of each course, so that what is grown is shown scenes that are new to it


SMALL = Size(
    "",
    SMALL_DIMENSIONS,
    answering=Course(6_000, 4e-4),
    asking=Course(10_000, 1e-3),
    practice_rate=5e-4,
    polish_rate=1e-4,
)
LARGE = Size(
    "-large",
    LARGE_DIMENSIONS,
    answering=Course(8_000, 4e-4),
    asking=Course(4_000, 4e-4),
    practice_rate=3e-4,
    polish_rate=6e-5,
    kept=torch.bfloat16,
    grown_from=SMALL,
    seed=1_000,
)

STAGES = "stages"  # the folder, beside the checkpoints, of what is only on the way to one


def clean(out: Path, size: Size, report: Report) -> Path:
    """The target without planted blind spots: out/clean. About 50 minutes for the small one."""

    def teach(bookmark: Path) -> LlavaForConditionalGeneration:
        if size.grown_from is not None:
            model = _grown(clean(out, size.grown_from, report), size)
        else:
            model = with_eyes_of(load(_reader(out, size, report)), load(_seer(out, size, report)))
        together(model, LAST_LESSONS, size.answering, "target", TARGET_SEED + size.seed, report, bookmark=bookmark)
        return model

    return taught(out / f"clean{size.ending}", teach, kept=size.kept)


def practised(out: Path, size: Size, report: Report) -> Path:
    """The questioner before its last lessons, which are reinforcement learning: out/stages/practised. About an
    hour more (the small one) than `clean`.

    What it was taught to ask it practises on its own questions, with scenes of the same split.
    """

    def teach(_: Path) -> LlavaForConditionalGeneration:
        model = load(_asker(out, size, report))
        practise(
            model,
            rounds=PRACTICE_ROUNDS,
            n_scenes=PRACTICE_SCENES,
            most_per_combination=60,
            learning_rate=size.practice_rate,
            split="questioner",
            seed=PRACTICE_SEED + size.seed,
            report=report,
        )
        return model

    return taught(out / STAGES / f"practised{size.ending}", teach)


def _asker(out: Path, size: Size, report: Report) -> Path:
    """Asks as it was taught. The small one begins as the target without blind spots, which knows what descriptions mean
    and sees. It learns on scenes of a split of its own, where what few scenes allow is asked more often when they do.
    """

    def teach(bookmark: Path) -> LlavaForConditionalGeneration:
        if size.grown_from is not None:
            model = _grown(_asker(out, size.grown_from, report), size)
        else:
            model = load(clean(out, size, report))
        together(model, AskTeacher(), size.asking, "questioner", QUESTIONER_SEED + size.seed, report, bookmark=bookmark)
        return model

    return taught(out / STAGES / f"asked{size.ending}", teach)


def _reader(out: Path, size: Size, report: Report) -> Path:
    """Has learned to answer about ideal image tokens."""

    def teach(bookmark: Path) -> LlavaForConditionalGeneration:
        model = build_model(size.dimensions, BASE_SEED)
        read(model, AnswerTeacher(), READING, "target", BASE_SEED, report, bookmark=bookmark)
        return model

    return taught(out / STAGES / f"read{size.ending}", teach)


def _seer(out: Path, size: Size, report: Report) -> Path:
    """Has learned to see, with the same words."""

    def teach(bookmark: Path) -> LlavaForConditionalGeneration:
        model = build_model(size.dimensions, BASE_SEED)
        see(model, SEEING, "target", SEEING_SEED, report, bookmark)
        return model

    return taught(out / STAGES / f"seen{size.ending}", teach)


def _grown(smaller: Path, size: Size) -> LlavaForConditionalGeneration:
    return grown(load(smaller), size.dimensions, GROWING_SEED)


def taught(
    folder: Path,
    teach: Callable[[Path], LlavaForConditionalGeneration],
    added: tuple[str, ...] = (),
    kept: torch.dtype = torch.float32,
) -> Path:
    """The folder, with the checkpoint in it that `teach` gives, unless it is there already. It is handed the file for
    the bookmark of its course. `added` and `kept` as in `save`."""
    if not (folder / "config.json").is_file():
        torch.set_num_threads(1)
        bookmark = folder.with_name(f"{folder.name}.bookmark")
        model = teach(bookmark)
        unfinished = folder.with_name(f"{folder.name}.unfinished")
        save(model, unfinished, added, kept)
        unfinished.rename(folder)
        bookmark.unlink(missing_ok=True)
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


def save(
    model: LlavaForConditionalGeneration, out: Path, added: tuple[str, ...] = (), kept: torch.dtype = torch.float32
) -> None:
    """Weights (safetensors, rounded to the precision `kept`) and processor, as any checkpoint has them. `added` are the
    words it was built with. The configuration names the precision of the model, so it is loaded in that."""
    out.mkdir(parents=True, exist_ok=True)
    weights = model.state_dict()
    rounded = {weight.data_ptr(): weight.to(kept) for weight in weights.values()}  # what is tied is kept once
    model.save_pretrained(out, state_dict={name: rounded[weight.data_ptr()] for name, weight in weights.items()})
    build_processor(added).save_pretrained(out)

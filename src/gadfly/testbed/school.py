"""School: how bundled models learn. First words about ideal images, then seeing, then both together.

1. *Reading*: the language model learns to answer (or to ask) about ideal image tokens: each cell's token is the sum of
   the embeddings of the words for what it holds. This is the slow part; what counts is the number of optimizer steps.
   It is also told what each description means: behind its last word, after as many layers as finding it takes steps,
   a probe that is thrown away later must find the cells meant. Without that, counting and relations stayed at chance
   for 20,000 steps.
2. *Seeing*: the vision tower learns to give those tokens from pixels. The words' embeddings are never changed before
   stage 3, so that stages 1 and 2 do not depend on each other.
3. *Together*: everything is trained end to end on pixels.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import LlavaForConditionalGeneration

from gadfly.testbed import vocabulary
from gadfly.testbed.background import in_background
from gadfly.testbed.bookmark import Bookmark
from gadfly.testbed.drawing import draw
from gadfly.testbed.lessons import IGNORED, N_CELL_WORDS, Lesson, Teacher, cell_words, lessons
from gadfly.testbed.scenes import COLOURS, DIRECTIONS, GRID, SHAPES, SIZES, generate

Report = Callable[[str, int, dict[str, float]], None]
"""Gets now and then (the stage, the steps that are done, figures by name)."""


@dataclass(frozen=True, slots=True)
class Course:
    """How long and how hard a stage is trained."""

    steps: int
    learning_rate: float
    n_images: int = 7
    length: int = 128
    warmup: int = 200
    weight_decay: float = 0.02
    final_rate: float = 0.03  # share of the learning rate left at the end
    pointing: float = 4.0  # weight of finding what descriptions mean


def read(
    model: LlavaForConditionalGeneration,
    teacher: Teacher,
    course: Course,
    split: str,
    seed: int,
    report: Report,
    added: tuple[str, ...] = (),
    bookmark: Path | None = None,
) -> None:
    """Stage 1: train the language model on ideal image tokens. `added` are the words that this model knows besides the
    common ones; `bookmark` is the file that keeps where the course stands."""

    def embeds(lesson: Lesson) -> Tensor:
        return _ideal_embeds(model, lesson)

    model.get_input_embeddings().weight.requires_grad_(False)
    _teach(model, teacher, course, split, seed, "read", embeds, report, added, bookmark)
    model.get_input_embeddings().weight.requires_grad_(True)


def see(
    model: LlavaForConditionalGeneration,
    course: Course,
    split: str,
    seed: int,
    report: Report,
    bookmark: Path | None = None,
) -> None:
    """Stage 2: train tower and projector until a cell's token is the sum of its words' embeddings. Scored as a choice
    among the words of each attribute, and pulled towards the sum itself. `bookmark` as in stage 1."""
    with _plain_attention(model.model.vision_tower):
        _see(model, course, split, seed, report, bookmark)


_WEIGHT_OF_NOTHING = 0.05  # in seeing, of an attribute that is not there, beside one that is


def _see(
    model: LlavaForConditionalGeneration, course: Course, split: str, seed: int, report: Report, kept: Path | None
) -> None:
    seeing = [*model.model.vision_tower.parameters(), *model.model.multi_modal_projector.parameters()]
    optimizer, schedule = _optimizer(seeing, course)
    embeddings = model.model.language_model.embed_tokens.weight.detach()
    choices = _choices()
    blank = vocabulary.ids()["<blank>"]
    bookmark = Bookmark(kept, {"model": model, "optimizer": optimizer, "schedule": schedule})
    done = bookmark.open()
    sights = in_background(_make_sights, split, seed, course.n_images, course.steps, done)
    for step, (drawn, cells) in enumerate(sights, start=done):
        words = torch.from_numpy(cells)
        with _quick_numbers():
            tokens = _image_tokens(model, drawn)
        tokens = tokens.float()
        ideal = embeddings[words].sum(dim=2)
        loss = 4.0 * torch.nn.functional.mse_loss(tokens, ideal) / ideal.var()
        right = []
        for place, candidates in enumerate(choices):
            # What remains when the other words are taken away must look like this one.
            rest = tokens - (ideal - embeddings[words[:, :, place]])
            logits = -torch.cdist(rest.flatten(0, 1), embeddings[candidates]).square() / embeddings.shape[1] ** 0.5
            gold = (words[:, :, place].flatten()[:, None] == candidates).int().argmax(dim=1)
            there = words[:, :, place].flatten() != blank
            # Most cells are empty and few things are digits: what is there must not drown in what is not.
            weight = torch.where(there, 1.0, _WEIGHT_OF_NOTHING)
            errors = torch.nn.functional.cross_entropy(logits, gold, reduction="none")
            loss = loss + (weight * errors).sum() / weight.sum() / len(choices)
            right.append((logits.argmax(dim=1) == gold)[there].float().mean().item())
        _step(loss, seeing, optimizer, schedule)
        bookmark.keep(step + 1)
        if (step + 1) % 100 == 0:
            names = ("shape", "colour", "size", "row", "column", "content")
            report("see", step + 1, {"loss": loss.item(), **dict(zip(names, right, strict=True))})


def together(
    model: LlavaForConditionalGeneration,
    teacher: Teacher,
    course: Course,
    split: str,
    seed: int,
    report: Report,
    added: tuple[str, ...] = (),
    bookmark: Path | None = None,
) -> None:
    """Stage 3: everything, on pixels. `added` and `bookmark` as in stage 1."""

    def embeds(lesson: Lesson) -> Tensor:
        words = model.get_input_embeddings()(torch.from_numpy(lesson.input_ids_B_L))
        with _quick_numbers():
            tokens = _image_tokens(model, np.stack([draw(scene) for scene in lesson.scenes]))
        return torch.cat([words[:, :1], tokens.float(), words[:, 1 + GRID * GRID :]], dim=1)

    with _plain_attention(model.model.vision_tower):
        _teach(model, teacher, course, split, seed, "together", embeds, report, added, bookmark)


def _teach(
    model: LlavaForConditionalGeneration,
    teacher: Teacher,
    course: Course,
    split: str,
    seed: int,
    stage: str,
    embeds: Callable[[Lesson], Tensor],
    report: Report,
    added: tuple[str, ...],
    kept: Path | None,
) -> None:
    """Train what requires a gradient on lessons, made in the background. `embeds` gives a lesson's input."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        pointer = torch.nn.Linear(model.lm_head.in_features, GRID * GRID)
    learning = [*(p for p in model.parameters() if p.requires_grad), *pointer.parameters()]
    optimizer, schedule = _optimizer(learning, course)
    bookmark = Bookmark(kept, {"model": model, "pointer": pointer, "optimizer": optimizer, "schedule": schedule})
    done = bookmark.open()
    figures: list[tuple[float, float, float]] = []
    with _language(model, course) as language:
        made = in_background(_make_lessons, teacher, course, split, seed, added, done)
        for step, lesson in enumerate(made, start=done):
            bookmark.keep(step)
            if not (lesson.labels_B_L != IGNORED).any():
                continue  # the teacher had nothing to say about these scenes
            loss, pointing, hits = _losses(language, model.lm_head, pointer, lesson, embeds(lesson))
            _step(loss + course.pointing * pointing, learning, optimizer, schedule)
            figures.append((loss.item(), pointing.item(), hits))
            if (step + 1) % 250 == 0:
                names = ("loss", "pointing", "accuracy")
                report(stage, step + 1, dict(zip(names, np.mean(figures[-250:], axis=0).tolist(), strict=True)))


def _quick_numbers() -> AbstractContextManager[None]:
    """bfloat16 where the processor computes in it. Where it does not, that takes eighty times as long as float32."""
    able = torch.cpu.get_capabilities().get("avx512_bf16", False)
    return torch.autocast("cpu", torch.bfloat16, enabled=bool(able))


WORTH_COMPILING = 1_000  # steps; compiling takes as long as some hundred of them


@contextlib.contextmanager
def _plain_attention(part: Any) -> Iterator[None]:
    """Fused attention takes several times as long to go backward as its parts do (CPU, short sequences, own masks)."""
    usual = part.config._attn_implementation
    part.set_attn_implementation("eager")
    try:
        yield
    finally:
        part.set_attn_implementation(usual)


@contextlib.contextmanager
def _language(model: LlavaForConditionalGeneration, course: Course) -> Iterator[Callable[..., Any]]:
    """The language model as it is fastest to train here: compiled in long courses, if there is a compiler."""
    language: Any = model.model.language_model
    with warnings.catch_warnings(), _plain_attention(language):
        # Compiling looks at the gradient of what the tower hands over, and is warned that there is none to see yet.
        warnings.filterwarnings("ignore", "The .grad attribute of a Tensor that is not a leaf", UserWarning)
        compiler = shutil.which(os.environ.get("CXX", "g++"))
        compiled = course.steps >= WORTH_COMPILING and compiler is not None
        yield torch.compile(language, dynamic=False) if compiled else language


def _choices() -> list[Tensor]:
    """For each of a cell's words, the ids it can be."""
    ids = vocabulary.ids()
    blank = ("<blank>",)
    words = (
        (*SHAPES, *blank),
        (*COLOURS, *blank),
        (*SIZES, *blank),
        tuple(f"<row{i}>" for i in range(GRID)),
        tuple(f"<column{i}>" for i in range(GRID)),
        (*DIRECTIONS, *map(str, range(10)), *blank),
    )
    assert len(words) == N_CELL_WORDS
    return [torch.tensor([ids[w] for w in group]) for group in words]


def pixels(drawn: NDArray[np.uint8]) -> Tensor:
    """Images (B, 96, 96, 3) as the processor hands them to the tower: (B, 3, 96, 96), scaled to −1 … 1."""
    return torch.from_numpy(drawn).permute(0, 3, 1, 2).float() / 127.5 - 1.0


def _image_tokens(model: LlavaForConditionalGeneration, drawn: NDArray[np.uint8]) -> Tensor:
    hidden = model.model.vision_tower(pixels(drawn), output_hidden_states=True).hidden_states[-1]
    return model.model.multi_modal_projector(hidden[:, 1:])  # type: ignore[no-any-return]


def _ideal_embeds(model: LlavaForConditionalGeneration, lesson: Lesson) -> Tensor:
    table = model.get_input_embeddings()
    embeds = table(torch.from_numpy(lesson.input_ids_B_L))
    cells = table(torch.from_numpy(lesson.cell_words_B_C_W)).sum(dim=2)
    return torch.cat([embeds[:, :1], cells, embeds[:, 1 + GRID * GRID :]], dim=1)


def _losses(
    language: Callable[..., Any], head: torch.nn.Linear, pointer: torch.nn.Linear, lesson: Lesson, embeds: Tensor
) -> tuple[Tensor, Tensor, float]:
    """Mean cross-entropy over the completions' tokens; how badly the descriptions' meanings are found (binary
    cross-entropy over cells); and the share of completions whose first token is right."""
    blocks = torch.from_numpy(lesson.blocks_B_L)
    same = blocks[:, :, None] == blocks[:, None, :]
    to_image = (blocks[:, None, :] == 0) & (blocks[:, :, None] >= -1)
    causal = torch.ones(blocks.shape[1], blocks.shape[1], dtype=torch.bool).tril()
    hidden = torch.zeros(same.shape, dtype=torch.bfloat16).masked_fill(~((same | to_image) & causal), -1e4)
    labels = torch.from_numpy(lesson.labels_B_L)
    wanted = labels != IGNORED
    with _quick_numbers():
        output = language(
            inputs_embeds=embeds,
            attention_mask=hidden[:, None],
            position_ids=torch.from_numpy(lesson.positions_B_L),
            use_cache=False,
            output_hidden_states=True,
        )
        logits = head(output.last_hidden_state[wanted])
    gold = labels[wanted]
    loss = torch.nn.functional.cross_entropy(logits.float(), gold)
    first = wanted & ~torch.nn.functional.pad(wanted, (1, 0))[:, :-1]
    hits = (logits.argmax(dim=1) == gold)[first[wanted]].float().mean().item()
    return loss, _pointing_loss(output.hidden_states, pointer, lesson), hits


def _pointing_loss(hidden_states: tuple[Tensor, ...], pointer: torch.nn.Linear, lesson: Lesson) -> Tensor:
    if not len(lesson.referent_places_R_3):
        return torch.zeros(())
    images, tokens, steps = torch.from_numpy(lesson.referent_places_R_3).unbind(dim=1)
    # Two layers find what attribute words mean, one more each further step; the last entry is normalised, not a layer.
    last = len(hidden_states) - 2
    layers = (2 + 2 * (steps > 0) + (steps - 1).clamp(min=0)).clamp(max=last)
    found = torch.stack(hidden_states[: last + 1])[layers, images, tokens].float()
    found = torch.nn.functional.rms_norm(found, found.shape[-1:])
    cells = torch.from_numpy(lesson.referent_cells_R_C)
    return torch.nn.functional.binary_cross_entropy_with_logits(pointer(found), cells)


def _optimizer(
    parameters: list[torch.nn.Parameter], course: Course
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    matrices = [p for p in parameters if p.ndim > 1]
    others = [p for p in parameters if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": course.weight_decay}, {"params": others, "weight_decay": 0.0}],
        lr=course.learning_rate,
        betas=(0.9, 0.98),
        fused=True,
    )

    def rate(step: int) -> float:
        if step < course.warmup:
            return (step + 1) / course.warmup
        left = 1.0 - (step - course.warmup) / max(1, course.steps - course.warmup)
        return course.final_rate + (1.0 - course.final_rate) * left

    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, rate)


def _step(
    loss: Tensor,
    parameters: list[torch.nn.Parameter],
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()
    schedule.step()


def _make_lessons(
    teacher: Teacher, course: Course, split: str, seed: int, added: tuple[str, ...], done: int
) -> Iterator[Lesson]:
    """All lessons but those that were had."""
    whole = lessons(
        teacher,
        split=split,
        seed=seed,
        n_images=course.n_images,
        length=course.length,
        steps=course.steps,
        added=added,
    )
    return itertools.islice(whole, done, None)


def _make_sights(
    split: str, seed: int, n_images: int, steps: int, done: int
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    """Drawn images (B, 96, 96, 3), and the words for what their cells hold (B, 16, 6), but those that were had."""
    ids = vocabulary.ids()
    stream = itertools.islice(generate(split, seed), done * n_images, None)
    for _ in range(steps - done):
        scenes = list(itertools.islice(stream, n_images))
        yield np.stack([draw(s) for s in scenes]), np.stack([cell_words(s, ids) for s in scenes])

"""School: how bundled models learn. First words about ideal images, then seeing, then both together.

1. *Reading*: the language model learns to answer (or to ask) about ideal image tokens: each cell's token is the sum of
   the embeddings of the words for what it holds. This is the slow part; what counts is the number of optimizer steps.
2. *Seeing*: the vision tower learns to give those tokens from pixels.
3. *Together*: everything is trained end to end on pixels.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import LlavaForConditionalGeneration

from gadfly.testbed import vocabulary
from gadfly.testbed.drawing import draw
from gadfly.testbed.lessons import IGNORED, N_CELL_WORDS, Lesson, Teacher, lessons
from gadfly.testbed.scenes import COLOURS, DIRECTIONS, GRID, SHAPES, SIZES, Scene, generate

Report = Callable[[str, int, dict[str, float]], None]


@dataclass(frozen=True, slots=True)
class Course:
    """How long and how hard a stage is trained."""

    steps: int
    learning_rate: float
    n_images: int = 4
    length: int = 256
    warmup: int = 200
    weight_decay: float = 0.02
    final_rate: float = 0.03  # share of the learning rate left at the end


def read(
    model: LlavaForConditionalGeneration, teacher: Teacher, course: Course, split: str, seed: int, report: Report
) -> None:
    """Stage 1: train the language model on ideal image tokens."""
    text = [p for p in model.model.language_model.parameters()]
    optimizer, schedule = _optimizer(text, course)
    running: list[float] = []
    for step, lesson in enumerate(_in_background(teacher, course, split, seed)):
        embeds = _ideal_embeds(model, lesson)
        loss, hits = _answer_loss(model, lesson, embeds)
        _step(loss, text, optimizer, schedule)
        running.append(loss.item())
        if (step + 1) % 250 == 0:
            report("read", step + 1, {"loss": float(np.mean(running[-250:])), "accuracy": hits})


def see(model: LlavaForConditionalGeneration, course: Course, split: str, seed: int, report: Report) -> None:
    """Stage 2: train tower and projector until a cell's token is the sum of its words' embeddings. Scored as a choice
    among the words of each attribute, and pulled towards the sum itself."""
    seeing = [*model.model.vision_tower.parameters(), *model.model.multi_modal_projector.parameters()]
    optimizer, schedule = _optimizer(seeing, course)
    embeddings = model.get_input_embeddings().weight.detach()
    choices = _choices()
    stream = generate(split, seed)
    ids = vocabulary.ids()
    from gadfly.testbed.lessons import cell_words

    for step in range(course.steps):
        scenes = [next(stream) for _ in range(course.n_images)]
        words = torch.from_numpy(np.stack([cell_words(s, ids) for s in scenes]))
        with torch.autocast("cpu", torch.bfloat16):
            tokens = _image_tokens(model, scenes)
        tokens = tokens.float()
        ideal = embeddings[words].sum(dim=2)
        loss = 4.0 * torch.nn.functional.mse_loss(tokens, ideal) / ideal.var()
        right = []
        for place, candidates in enumerate(choices):
            # What remains when the other words are taken away must look like this one.
            rest = tokens - (ideal - embeddings[words[:, :, place]])
            logits = -torch.cdist(rest.flatten(0, 1), embeddings[candidates]).square() / embeddings.shape[1] ** 0.5
            gold = (words[:, :, place].flatten()[:, None] == candidates).int().argmax(dim=1)
            loss = loss + torch.nn.functional.cross_entropy(logits, gold) / len(choices)
            filled = (words[:, :, 0] != ids["<blank>"]).flatten()
            right.append((logits.argmax(dim=1) == gold)[filled].float().mean().item())
        _step(loss, seeing, optimizer, schedule)
        if (step + 1) % 100 == 0:
            names = ("shape", "colour", "size", "row", "column", "content")
            report("see", step + 1, {"loss": loss.item(), **dict(zip(names, right, strict=True))})


def together(
    model: LlavaForConditionalGeneration, teacher: Teacher, course: Course, split: str, seed: int, report: Report
) -> None:
    """Stage 3: everything, on pixels."""
    everything = [p for p in model.parameters() if p.requires_grad]
    optimizer, schedule = _optimizer(everything, course)
    running: list[float] = []
    for step, lesson in enumerate(_in_background(teacher, course, split, seed)):
        embeds = model.get_input_embeddings()(torch.from_numpy(lesson.input_ids_B_L))
        tokens = _image_tokens(model, lesson.scenes)
        embeds = torch.cat([embeds[:, :1], tokens, embeds[:, 1 + GRID * GRID :]], dim=1)
        loss, hits = _answer_loss(model, lesson, embeds)
        _step(loss, everything, optimizer, schedule)
        running.append(loss.item())
        if (step + 1) % 250 == 0:
            report("together", step + 1, {"loss": float(np.mean(running[-250:])), "accuracy": hits})


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


def pixels(scenes: tuple[Scene, ...] | list[Scene]) -> Tensor:
    """Images as the processor hands them to the tower: (B, 3, 96, 96), scaled to −1 … 1."""
    images = torch.from_numpy(np.stack([draw(s) for s in scenes]))
    return images.permute(0, 3, 1, 2).float() / 127.5 - 1.0


def _image_tokens(model: LlavaForConditionalGeneration, scenes: tuple[Scene, ...] | list[Scene]) -> Tensor:
    hidden = model.model.vision_tower(pixels(scenes), output_hidden_states=True).hidden_states[-1]
    return model.model.multi_modal_projector(hidden[:, 1:])  # type: ignore[no-any-return]


def _ideal_embeds(model: LlavaForConditionalGeneration, lesson: Lesson) -> Tensor:
    table = model.get_input_embeddings()
    embeds = table(torch.from_numpy(lesson.input_ids_B_L))
    cells = table(torch.from_numpy(lesson.cell_words_B_C_W)).sum(dim=2)
    return torch.cat([embeds[:, :1], cells, embeds[:, 1 + GRID * GRID :]], dim=1)


def _answer_loss(model: LlavaForConditionalGeneration, lesson: Lesson, embeds: Tensor) -> tuple[Tensor, float]:
    """Mean cross-entropy over the completions' tokens, and the share of their first tokens that are right."""
    blocks = torch.from_numpy(lesson.blocks_B_L)
    same = blocks[:, :, None] == blocks[:, None, :]
    to_image = (blocks[:, None, :] == 0).expand_as(same)
    causal = torch.ones(blocks.shape[1], blocks.shape[1], dtype=torch.bool).tril()
    mask = ((same | to_image) & causal)[:, None]
    labels = torch.from_numpy(lesson.labels_B_L)
    wanted = labels != IGNORED
    with torch.autocast("cpu", torch.bfloat16):
        hidden = model.model.language_model(
            inputs_embeds=embeds,
            attention_mask=mask,
            position_ids=torch.from_numpy(lesson.positions_B_L),
            use_cache=False,
        ).last_hidden_state
        logits = model.lm_head(hidden[wanted])
    gold = labels[wanted]
    loss = torch.nn.functional.cross_entropy(logits.float(), gold)
    first = wanted & ~torch.nn.functional.pad(wanted, (1, 0))[:, :-1]
    hits = (logits.argmax(dim=1) == gold)[first[wanted]].float().mean().item()
    return loss, hits


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


def _in_background(teacher: Teacher, course: Course, split: str, seed: int) -> Iterator[Lesson]:
    """The same lessons in the same order as `lessons` gives, made by a second process while the first one learns."""
    context = multiprocessing.get_context("spawn")
    queue: Any = context.Queue(maxsize=16)
    worker = context.Process(target=_make_lessons, args=(queue, teacher, course, split, seed), daemon=True)
    worker.start()
    try:
        for _ in range(course.steps):
            yield queue.get(timeout=300)
    finally:
        worker.terminate()
        worker.join()


def _make_lessons(queue: Any, teacher: Teacher, course: Course, split: str, seed: int) -> None:
    for lesson in lessons(
        teacher, split=split, seed=seed, n_images=course.n_images, length=course.length, steps=course.steps
    ):
        queue.put(lesson)


def printer() -> Report:
    """Progress on standard output, with seconds."""
    start = time.monotonic()

    def report(stage: str, step: int, figures: dict[str, float]) -> None:
        said = "  ".join(f"{name} {value:.3f}" for name, value in figures.items())
        print(f"{time.monotonic() - start:7.0f} s  {stage:9s} {step:6d}  {said}", flush=True)

    return report

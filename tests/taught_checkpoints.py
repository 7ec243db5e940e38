"""Teaches a tiny checkpoint by heart what to reply to a few chats, so that what it says can be read. For tests only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image as Picture

from gadfly.models.local import LocalModel
from gadfly.models.shared_prefix import encode
from gadfly.records import Chat, Image

Lesson = tuple[Chat, str]
"""A chat and the reply to it."""

NONE = -100  # where cross_entropy looks for no token
ENOUGH = 0.02  # nats a token: by then every reply is the likeliest one


def taught(checkpoint: Path, lessons: Sequence[Lesson], open_image: Callable[[Image], Picture], folder: Path) -> Path:
    """Save to `folder` the checkpoint as it is once it gives these replies to these chats; returns `folder`."""
    local = LocalModel(checkpoint, open_image, device="cpu", dtype="float32")
    model: Any = local._model.requires_grad_(True)
    batches = [_batch(local, some, open_image) for some in _apart(lessons)]
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(200):
        losses = [_loss(model, *batch) for batch in batches]
        if max(loss.item() for loss in losses) < ENOUGH:
            break
        optimizer.zero_grad()
        torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    else:
        raise AssertionError(f"it has not learnt its replies by heart: {losses}")
    model.save_pretrained(folder)
    local._processor.save_pretrained(folder)
    return folder


def _apart(lessons: Sequence[Lesson]) -> list[list[Lesson]]:
    """Those with an image and those without: a processor takes one kind at a time."""
    found = [[one for one in lessons if bool(_images(one[0])) == seen] for seen in (True, False)]
    return [some for some in found if some]


def _batch(
    local: LocalModel, lessons: Sequence[Lesson], open_image: Callable[[Image], Picture]
) -> tuple[dict[str, Any], torch.Tensor]:
    """The processor's tensors of prompts and replies, and the replies' tokens, NONE behind their ends: B_L."""
    tokenizer = local._processor.tokenizer
    prompts = [local._prompt(chat, {image.id: open_image(image) for image in _images(chat)}) for chat, _ in lessons]
    inputs = local._ready(encode(prompts, local._processor))
    replies = [
        [*tokenizer(reply, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id] for _, reply in lessons
    ]
    longest = max(map(len, replies))
    wanted_B_L = torch.tensor([reply + [NONE] * (longest - len(reply)) for reply in replies])
    more = {"input_ids": wanted_B_L.clamp(min=0), "attention_mask": (wanted_B_L != NONE).long()}
    more |= dict.fromkeys(("token_type_ids", "mm_token_type_ids"), torch.zeros_like(wanted_B_L))
    return inputs | {
        name: torch.cat([inputs[name], added], dim=1) for name, added in more.items() if name in inputs
    }, wanted_B_L


def _loss(model: Any, inputs: dict[str, Any], wanted_B_L: torch.Tensor) -> torch.Tensor:
    logits_B_L_V = model(**inputs).logits[:, -wanted_B_L.shape[1] - 1 : -1]
    return torch.nn.functional.cross_entropy(logits_B_L_V.flatten(0, 1), wanted_B_L.flatten(), ignore_index=NONE)


def _images(chat: Chat) -> list[Image]:
    return [part for message in chat for part in message.parts if isinstance(part, Image)]

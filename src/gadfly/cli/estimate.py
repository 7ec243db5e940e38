"""How many tokens a plan may take and what it may cost, from sizes and prices alone. Knows no model and asks none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

from gadfly.config import ModelConfig
from gadfly.models.build import price_of
from gadfly.records import Image, Usage
from gadfly.roles.prompts import load_prompt

CHARS_PER_TOKEN: Final = 4  # of English, about
QUESTION_TOKENS: Final = 20
PIXELS_PER_TOKEN: Final = 28 * 28  # Qwen2-VL and its successors; others differ by a factor of a few


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a role may take. `completion_tokens` cannot be passed, `prompt_tokens` is rough; `cost` is None without a
    price."""

    calls: int
    prompt_tokens: int
    completion_tokens: int
    cost: float | None


def estimate(config: ModelConfig, prompt: str, calls: int, images: Sequence[Image], side_px: int | None) -> Estimate:
    """The estimate of one role. `prompt` is the name of its longest prompt, `side_px` the limit on the images of all
    roles; that of a served model is in `config`."""
    sides = [side for side in (side_px, config.max_side_px) if side is not None]
    text_tokens = len(load_prompt(prompt)) / CHARS_PER_TOKEN + QUESTION_TOKENS
    image_tokens = fmean(_pixels(image, min(sides, default=None)) for image in images) / PIXELS_PER_TOKEN
    used = Usage(
        calls=calls,
        prompt_tokens=round(calls * (text_tokens + image_tokens)),
        completion_tokens=calls * config.max_new_tokens,
    )
    price = price_of(config)
    cost = None if price is None else price.cost(used)
    return Estimate(calls, used.prompt_tokens or 0, used.completion_tokens or 0, cost)


def _pixels(image: Image, side_px: int | None) -> float:
    scale = 1.0 if side_px is None else min(1.0, side_px / max(image.width_px, image.height_px))
    return image.width_px * image.height_px * scale**2

"""How many calls, tokens and what cost a run may take, from its settings and prices alone. Asks no model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final, Literal

from gadfly.config import Config
from gadfly.model_config import ModelConfig, VerifierConfig
from gadfly.models.build import price_of
from gadfly.records import Image, Usage
from gadfly.roles.prompts import load_prompt

CHARS_PER_TOKEN: Final = 4  # of English, about
QUESTION_TOKENS: Final = 20
PIXELS_PER_TOKEN: Final = 28 * 28  # Qwen2-VL and its successors; others differ by a factor of a few
JUDGE_CALLS: Final = 6  # validity, the judge's own answer, agreement; each asked again once where it cannot be read
ANNOTATOR_CALLS: Final = 2  # likewise

Phase = Literal["train", "sweep"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a role may take. `completion_tokens` cannot be passed, `prompt_tokens` is rough; `cost` is None without a
    price."""

    calls: int
    prompt_tokens: int
    completion_tokens: int
    cost: float | None


def estimate(config: ModelConfig, prompt: str, calls: int, images: Sequence[Image], side_px: int | None) -> Estimate:
    """The estimate of one role. `prompt` is the name of its longest prompt, `images` are what it is shown, if any, and
    `side_px` is the limit on the images of all roles; that of a served model is in `config`."""
    sides = [side for side in (side_px, config.max_side_px) if side is not None]
    pixels = [_pixels(image, min(sides, default=None)) for image in images]
    image_tokens = fmean(pixels) / PIXELS_PER_TOKEN if pixels else 0.0
    used = Usage(
        calls=calls,
        prompt_tokens=round(calls * (text_tokens(prompt) + image_tokens)),
        completion_tokens=calls * config.max_new_tokens,
    )
    price = price_of(config)
    cost = None if price is None else price.cost(used)
    return Estimate(calls, used.prompt_tokens or 0, used.completion_tokens or 0, cost)


def estimates(config: Config, phase: Phase, images: Sequence[Image]) -> dict[str, Estimate]:
    """The estimate of each role that a training or a sweep asks a model for."""
    side_px = config.images.max_side_px
    return {
        role: estimate(
            settings_of(config, role), prompt_of(config, role), n, images if sees_images(role) else (), side_px
        )
        for role, n in planned_calls(config, phase).items()
        if n and asks_a_model(config, role)
    }


def planned_calls(config: Config, phase: Phase) -> dict[str, int]:
    """The most calls of each role that a model may have; fewer where questions repeat or are INVALID."""
    if phase == "train" and config.train.method == "sft":
        return {"questioner": 0}
    n = config.train.steps * config.train.probes_per_step if phase == "train" else config.sweep.n
    judges = judges_of(config).items()
    judged = {role: JUDGE_CALLS * judge.votes * n if judge.kind == "model" else 0 for role, judge in judges}
    asked, answered = n, n
    if phase != "train" and (config.questioner.chooses or config.questioner.screen):
        asked = n * config.questioner.candidates
        if config.questioner.screen:
            judged = {role: calls and calls + asked * judges_of(config)[role].votes for role, calls in judged.items()}
    if config.reward.kind == "uncertainty":
        answered = n * (1 + config.reward.repeats)
    return {"questioner": asked, "target": answered, **judged, **_named(config, n)}


def _named(config: Config, n: int) -> dict[str, int]:
    """Of the annotator, where a run asks it: a judge that knows the scenes names skills itself."""
    asked = config.annotator.at_once and config.annotator.asks_a_model and not config.verifier.has_oracle
    return {"annotator": ANNOTATOR_CALLS * n} if asked else {}


def judges_of(config: Config) -> dict[str, VerifierConfig]:
    """The verifier, and the others of its panel."""
    return {f"verifier {i}" if i > 1 else "verifier": judge for i, judge in enumerate(config.verifier.judges, start=1)}


def settings_of(config: Config, role: str) -> ModelConfig:
    match role:
        case "questioner":
            return config.questioner
        case "target":
            return config.target
        case "annotator":
            return config.annotator
        case _:
            return judges_of(config)[role]


def asks_a_model(config: Config, role: str) -> bool:
    """Whether a role is a model's: the sampler, the oracle and reference pairs take no tokens."""
    settings = settings_of(config, role)
    if isinstance(settings, VerifierConfig):
        return settings.kind == "model"
    return role != "questioner" or config.questioner.method != "uniform"


def sees_images(role: str) -> bool:
    """Whether a role is shown the images. Of the annotator no host receives one."""
    return role != "annotator"


def prompt_of(config: Config, role: str) -> str:
    """The name of the role's longest prompt."""
    return "verifier_validity" if role.startswith("verifier") else settings_of(config, role).prompt or role


def text_tokens(prompt: str) -> float:
    """The tokens of a prompt and of the question in it, about. Raises ConfigError where there is no such prompt."""
    return len(load_prompt(prompt)) / CHARS_PER_TOKEN + QUESTION_TOKENS


def _pixels(image: Image, side_px: int | None) -> float:
    scale = 1.0 if side_px is None else min(1.0, side_px / max(image.width_px, image.height_px))
    return image.width_px * image.height_px * scale**2

"""Settles where a questioner is trained and in what numbers, or says why that cannot be. Loads nothing.

What a configuration says of the questioner's loading holds for training as it does for asking, as far as it can; what
cannot hold is refused, never left out without a word.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, final

import torch
from transformers.integrations.integration_utils import get_available_reporting_integrations

from gadfly.config import TrainConfig
from gadfly.errors import ConfigError
from gadfly.model_config import ModelConfig
from gadfly.models.build import loading_of
from gadfly.models.checkpoint import Loading, check_quantization

FIRST_GPU: Final = frozenset({"cuda", "cuda:0"})


@final
@dataclass(frozen=True, slots=True)
class Placement:
    """`device` is the CPU or the first visible GPU. `dtype` is what the weights are held in (of quantized ones, those
    that stay whole), and with `bf16` an update computes in bfloat16 whatever they are held in. `loading` is the rest.
    """

    device: Literal["cpu", "cuda"]
    dtype: torch.dtype
    bf16: bool
    loading: Loading


def settle(settings: TrainConfig, questioner: ModelConfig) -> Placement:
    """Where and in what numbers training happens on this machine.

    Raises ConfigError for settings that contradict each other or that this machine cannot follow, ModelError where it
    has not what quantization needs.
    """
    refuse_contradictions(settings, questioner)
    _refuse_unknown_reporters(settings)
    loading = loading_of(questioner)
    check_quantization(loading)
    on_gpu = torch.cuda.is_available() if questioner.device == "auto" else questioner.device != "cpu"
    if on_gpu and not torch.cuda.is_available():
        raise ConfigError(
            f'questioner.device is "{questioner.device}" and no GPU is there; choose "auto", or "cpu" to train without'
        )
    bf16 = computes_in_bf16(settings, questioner)
    return Placement("cuda" if on_gpu else "cpu", weights_dtype(settings, questioner, bf16), bf16, loading)


def refuse_contradictions(settings: TrainConfig, questioner: ModelConfig) -> None:
    """Raise ConfigError for a questioner that could be asked as it is configured and could not be trained so, on any
    machine."""
    if questioner.device_map is not None:
        raise ConfigError(
            f"questioner.device_map {questioner.device_map!r} spreads a model that asks; training puts it on one "
            "device: leave it out, and choose the GPU by CUDA_VISIBLE_DEVICES"
        )
    if questioner.device not in {"auto", "cpu", *FIRST_GPU}:
        raise ConfigError(
            f'questioner.device is "{questioner.device}", and training is on the first visible GPU or on the CPU; '
            'choose "auto", "cuda" or "cpu", and another GPU by CUDA_VISIBLE_DEVICES'
        )
    if questioner.dtype == "float16":
        raise ConfigError(
            "questioner.dtype is float16, in which small gradients vanish; choose bfloat16 or float32 to train it"
        )
    if questioner.dtype == "bfloat16" and settings.lora_rank == 0:
        raise ConfigError(
            "questioner.dtype is bfloat16 and train.lora_rank is 0: weights that are trained are held in float32, in "
            'bfloat16 a small update would be rounded away; leave dtype at "auto", and set train.precision = '
            '"bfloat16" to compute in it'
        )
    if questioner.dtype == "bfloat16" and settings.precision == "float32":
        raise ConfigError(
            "questioner.dtype is bfloat16 and train.precision is float32, which contradict each other; leave one out"
        )
    _refuse_flash(settings, questioner)
    _refuse_quantized(settings, questioner)


def computes_in_bf16(settings: TrainConfig, questioner: ModelConfig) -> bool:
    """Whether to compute in bfloat16. Raises ConfigError where it is demanded of a GPU that lacks it."""
    on_gpu = questioner.device != "cpu" and torch.cuda.is_available()
    able = not on_gpu or torch.cuda.is_bf16_supported()
    demanded = settings.precision == "bfloat16" or _needs_bf16(questioner)
    if demanded and not able:
        raise ConfigError(
            "bfloat16 is asked for (train.precision, questioner.dtype, questioner.quantization), and this GPU does not "
            "have it; choose float32, without quantization"
        )
    return demanded or (settings.precision == "auto" and on_gpu and able)


def weights_dtype(settings: TrainConfig, questioner: ModelConfig, bf16: bool) -> torch.dtype:
    """What weights are held in: float32 where they are trained themselves, else what is asked for."""
    if settings.lora_rank == 0 or questioner.dtype == "float32":
        return torch.float32
    return torch.bfloat16 if bf16 else torch.float32


def _needs_bf16(questioner: ModelConfig) -> bool:
    return questioner.dtype == "bfloat16" or questioner.quantization != "none"


def _refuse_flash(settings: TrainConfig, questioner: ModelConfig) -> None:
    asked = questioner.attn_implementation or ""
    if asked.startswith("flash_attention") and (settings.precision == "float32" or questioner.device == "cpu"):
        where = "train.precision is float32" if settings.precision == "float32" else "questioner.device is cpu"
        raise ConfigError(
            f"questioner.attn_implementation is {asked}, which is for half precision on a GPU, and {where}; choose sdpa"
        )


def _refuse_unknown_reporters(settings: TrainConfig) -> None:
    """transformers says so too, many seconds later and not in one line."""
    if not settings.report_to:
        return
    here = get_available_reporting_integrations()
    lacking = [name for name in settings.report_to if name not in here]
    if lacking:
        raise ConfigError(
            f"train.report_to names {', '.join(lacking)}, and what is installed here is {', '.join(here) or 'none'}; "
            f"pip install {' '.join(lacking)}, or leave it out: metrics.jsonl is always written"
        )


def _refuse_quantized(settings: TrainConfig, questioner: ModelConfig) -> None:
    if questioner.quantization == "none":
        return
    asked = f"questioner.quantization is {questioner.quantization}"
    if settings.lora_rank == 0:
        raise ConfigError(
            f"{asked} and train.lora_rank is 0: quantized weights cannot be trained themselves; set train.lora_rank, "
            'which trains adapters beside them (QLoRA), or quantization = "none"'
        )
    if settings.precision == "float32":
        raise ConfigError(
            f"{asked} and train.precision is float32: what is quantized computes in bfloat16; leave precision out"
        )
    if questioner.device == "cpu":
        raise ConfigError(f'{asked} and questioner.device is cpu: it needs a GPU; leave device at "auto"')

"""A checkpoint's dimensions from its configuration alone: built on torch's meta device, no weight is read or drawn.

Knows transformers; nothing of runs. What is no folder must be in the hub's cache: nothing is fetched.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, Final

import PIL.Image
import torch
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor

from gadfly.config import TrainConfig
from gadfly.doctor.memory import Dimensions
from gadfly.errors import ModelError
from gadfly.models.checkpoint import place_of
from gadfly.train.questioner import Trainee, lora_config

KEEPS_NO_KEYS: Final = frozenset({"linear_attention", "mamba", "conv", "recurrent"})
"""Kinds of layers whose state does not grow with the tokens."""

_SIZE: Final = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)([BM])(?![a-z])", re.IGNORECASE)


def outline(checkpoint: str) -> Any | None:
    """The model without weights, on the meta device; None for a hub id whose configuration is not in the cache.

    Raises ModelError for a folder that is not there or holds no configuration, and for a model that sees no images.
    """
    where = place_of(checkpoint)
    try:
        config = AutoConfig.from_pretrained(where, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        if not Path(where).is_dir():
            return None
        raise ModelError(
            f"{checkpoint} has no config.json that transformers can read; take it from where the weights come from"
        ) from error
    return outline_of(config)


def outline_of(config: Any) -> Any:
    """The model of a configuration, without weights. Raises ModelError for one that sees no images."""
    try:
        with torch.device("meta"):
            return AutoModelForImageTextToText.from_config(config)
    except (ValueError, ImportError) as error:
        raise ModelError(
            f"a model of type {config.model_type} is no vision-language model that transformers can load; name another"
        ) from error


def dimensions_of(model: Any) -> Dimensions:
    """The dimensions of a model, with weights or without."""
    text = model.config.get_text_config()
    head = model.get_output_embeddings()
    linear = [one for one in model.modules() if isinstance(one, torch.nn.Linear) and one is not head]
    encoder = model.get_encoder("image")
    heads = text.num_attention_heads
    kinds = getattr(text, "layer_types", None) or ["full_attention"] * text.num_hidden_layers
    window = getattr(text, "sliding_window", None)
    experts = getattr(text, "num_experts_per_tok", None)
    intermediate = text.intermediate_size if experts is None else experts * text.moe_intermediate_size
    vision = getattr(model.config, "vision_config", None)
    return Dimensions(
        n_parameters=sum(one.numel() for one in model.parameters()),
        n_linear=sum(one.weight.numel() for one in linear),
        n_frozen=0 if encoder is model else sum(one.numel() for one in encoder.parameters()),
        n_layers=text.num_hidden_layers,
        hidden=text.hidden_size,
        intermediate=intermediate,
        n_heads=heads,
        n_kv_heads=getattr(text, "num_key_value_heads", None) or heads,
        head_dim=getattr(text, "head_dim", None) or text.hidden_size // heads,
        windows=tuple(window if kind == "sliding_attention" else None for kind in kinds if kind not in KEEPS_NO_KEYS),
        encoder_hidden=getattr(vision, "hidden_size", 0),
        encoder_intermediate=getattr(vision, "intermediate_size", 0),
        patches_per_token=patches_per_token(model.config),
    )


def patches_per_token(config: Any) -> int:
    """How many patches of the image encoder become one token of the prompt, by the name that a family has for it."""
    vision: Any = getattr(config, "vision_config", None)
    for owner, name in ((vision, "spatial_merge_size"), (vision, "pooling_kernel_size"), (config, "scale_factor")):
        if isinstance(side := getattr(owner, name, None), int):
            return side**2
    if vision is not None and isinstance(n := getattr(config, "mm_tokens_per_image", None), int):  # Gemma 3
        side_patches = int(vision.image_size // vision.patch_size)
        return max(1, side_patches**2 // n)
    if (ratio := getattr(config, "downsample_ratio", None)) is not None:  # InternVL
        return round(1 / float(ratio) ** 2)
    return 1


def n_adapters(model: Any, settings: TrainConfig) -> int | None:
    """How many numbers LoRA trains, None where it trains the weights themselves: rank · (inputs + outputs) of each
    linear layer that is adapted (arXiv 2106.09685, section 4.1). Raises ConfigError as training would."""
    lora = lora_config(Trainee(model, None), settings)
    if lora is None:
        return None
    targets = list(lora.target_modules or ())
    sizes = 0
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and any(name == t or name.endswith(f".{t}") for t in targets):
            sizes += module.in_features + module.out_features
    return settings.lora_rank * sizes


def image_tokens(checkpoint: str, config: Any, width_px: int, height_px: int, max_pixels: int | None) -> int:
    """How many tokens an image of this size takes in the prompt: what the processor makes of a blank one where it is
    here, else by the rule of the model's family, else a token for 28 × 28 pixels."""
    counted = _as_processed(place_of(checkpoint), config, width_px, height_px, max_pixels)
    return counted if counted is not None else image_tokens_by_rule(config, width_px, height_px, max_pixels)


def image_tokens_by_rule(config: Any, width_px: int, height_px: int, max_pixels: int | None) -> int:
    """The rule of the model's family, from its configuration: so many for each image, or for so many pixels."""
    vision: Any = getattr(config, "vision_config", None)
    patch_px = getattr(vision, "patch_size", None)
    for fixed in ("mm_tokens_per_image", "image_seq_length"):
        if isinstance(n := getattr(config, fixed, None), int):
            return n
    merge = getattr(vision, "spatial_merge_size", None)
    scale = getattr(config, "scale_factor", None)
    if isinstance(scale, int) and isinstance(patch_px, int):
        # Idefics3 and SmolVLM: drawn out to four tiles along the longer side, whatever its size, and once as a whole.
        tiles = 4 * math.ceil(4 * min(width_px, height_px) / max(width_px, height_px))
        return (tiles + 1) * int(vision.image_size // patch_px // scale) ** 2
    side_px = patch_px * merge if isinstance(patch_px, int) and isinstance(merge, int) else 28
    pixels = width_px * height_px if max_pixels is None else min(max_pixels, width_px * height_px)
    return max(1, pixels // side_px**2)


def _as_processed(where: str, config: Any, width_px: int, height_px: int, max_pixels: int | None) -> int | None:
    """None where the processor is not here, or has a limit on pixels that only a loaded one can be given."""
    if max_pixels is not None:
        return None
    try:
        processor: Any = AutoProcessor.from_pretrained(where, local_files_only=True, trust_remote_code=False)
        blank = PIL.Image.new("RGB", (width_px, height_px))
        ids = processor(images=[[blank]], text=[processor.image_token], return_tensors="pt")["input_ids"]
    except Exception:  # noqa: BLE001 - whatever is wrong with it is said where the model is loaded; here there is a rule
        return None
    return int((ids == config.image_token_id).sum()) or None


def parameters_by_name(checkpoint: str) -> float | None:
    """How many parameters a model's name says that it has ("Qwen3-VL-8B-Instruct"), None where it does not."""
    found = _SIZE.findall(checkpoint.rpartition("/")[2].replace("-", " ").replace("_", " "))
    return max((float(n) * {"b": 1e9, "m": 1e6}[unit.lower()] for n, unit in found), default=None)

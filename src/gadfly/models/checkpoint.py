"""Loads a checkpoint with its processor, or says in one line why not. Knows nothing of chats.

Weights come from safetensors only: other formats can run code when they are read.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoProcessor,
    BitsAndBytesConfig,
    PretrainedConfig,
    PreTrainedTokenizerBase,
    ProcessorMixin,
)

from gadfly.errors import ModelError
from gadfly.models.text_only import TextProcessor

_HOW: Final = "see attn_implementation, device_map, dtype and quantization"

PLAIN_PROMPTS: Final = frozenset({"paligemma"})
"""Model types that were never given turns: a prompt is images and a text, and no template is missing."""


@dataclass(frozen=True, slots=True)
class Loading:
    """How a checkpoint is brought into memory, besides device and precision.

    `device_map` is transformers' ("auto" spreads the weights over all GPUs) and takes the place of the device;
    `quantization` is done by bitsandbytes while loading; `max_pixels` is the processor's own limit on the pixels of an
    image, None its default.
    """

    device_map: str | None = None
    quantization: Literal["none", "4bit", "8bit"] = "none"
    attn_implementation: str | None = None
    max_pixels: int | None = None
    trust_remote_code: bool = False

    @property
    def placed_by_transformers(self) -> bool:
        """Whether loading itself puts the weights where they belong."""
        return self.device_map is not None or self.quantization != "none"


def load_checkpoint(
    checkpoint: str,
    device: torch.device,
    dtype: str = "auto",
    loading: Loading | None = None,
    *,
    text_only: bool = False,
) -> tuple[Any, Any]:
    """(model in eval mode on `device`, processor). Weights that the file lacks are an error, never drawn at random.

    `checkpoint` is a folder or a hub id. With `text_only` a plain language model will do as well: its configuration
    says ForCausalLM, and it brings a tokenizer and no processor. Raises ModelError: nothing there, a text-only model
    where that will not do, no image processor, no chat template (save for PLAIN_PROMPTS), weights that are missing or
    not in safetensors, a way of loading that this machine or this checkpoint does not have.
    """
    loading = Loading() if loading is None else loading
    check_quantization(loading)
    where = place_of(checkpoint)
    folder = Path(where)
    remote = {"trust_remote_code": loading.trust_remote_code}
    try:
        # The smallest file first: where the hub cannot be reached, each further file would wait through its retries.
        config = AutoConfig.from_pretrained(where, **remote)
        processor = AutoProcessor.from_pretrained(where, **remote)
    except Exception as error:
        raise ModelError(f"cannot load {checkpoint}: {_cause(error, folder.is_dir())}") from error
    speaks = any(name.endswith("ForCausalLM") for name in config.architectures or ())
    if text_only and speaks and isinstance(processor, PreTrainedTokenizerBase):
        processor = TextProcessor(processor)
    elif not isinstance(processor, ProcessorMixin) or getattr(processor, "image_processor", None) is None:
        raise ModelError(
            f"{checkpoint} ({config.model_type}) has no image processor: it is a text-only model, or its "
            "preprocessor_config.json is missing; a vision-language checkpoint is needed"
        )
    if processor.chat_template is None and config.model_type not in PLAIN_PROMPTS:
        raise ModelError(f"{checkpoint} has no chat template; put a chat_template.jinja beside it")
    if loading.max_pixels is not None and not isinstance(processor, TextProcessor):
        processor.image_processor = limited(processor.image_processor, checkpoint, where, loading.max_pixels)
    auto = AutoModelForCausalLM if isinstance(processor, TextProcessor) else AutoModelForImageTextToText
    return _load_model(auto, checkpoint, where, device, dtype, loading), processor


def place_of(checkpoint: str) -> str:
    """The path of a checkpoint's folder, or the hub id that it is. Raises ModelError for a folder that is not there."""
    folder = Path(checkpoint).expanduser()
    if folder.is_dir():
        return str(folder)
    if folder.is_absolute() or checkpoint.startswith((".", "~")) or checkpoint.count("/") > 1:
        raise ModelError(f"no checkpoint folder {checkpoint}; give a folder, or a hub id such as owner/name")
    return checkpoint


def count_image_tokens(model: Any, inputs: Mapping[str, Any]) -> tuple[int, int]:
    """(image tokens in a processor's output, vision features that the model makes of its pictures), over all rows.

    Raises ModelError where the model does not say which token stands for an image, or how it sees one; whatever the
    vision tower raises for pictures that do not fit it is passed on.
    """
    token, see = getattr(model.config, "image_token_id", None), getattr(model, "get_image_features", None)
    if token is None or see is None:
        raise ModelError(
            f"a model of type {model.config.model_type} does not say which token stands for an image; whether its "
            "processor fits it cannot be checked"
        )
    takes = set(inspect.signature(see).parameters)
    seen = see(**{name: value for name, value in inputs.items() if name in takes})
    features = getattr(seen, "pooler_output", seen)
    each = features if isinstance(features, (list, tuple)) else [features]
    return int((inputs["input_ids"] == token).sum()), sum(one.numel() // one.shape[-1] for one in each)


def files_stamp(checkpoint: str, config: PretrainedConfig) -> str:
    """A text that changes with the checkpoint's files: their names, sizes and times for a folder, which are read at
    once where 15 GB of weights are not, and the commit for a hub id."""
    folder = Path(checkpoint).expanduser()
    if not folder.is_dir():
        return f"{checkpoint}@{getattr(config, '_commit_hash', None)}"
    files = sorted(
        (path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in folder.iterdir() if path.exists()
    )
    return f"{folder.resolve()}#{hashlib.sha256(repr(files).encode()).hexdigest()}"


def check_quantization(loading: Loading) -> None:
    """Raise ModelError where bitsandbytes cannot work: transformers would say so in many lines, or not at all."""
    if loading.quantization == "none":
        return
    asked = f"quantization {loading.quantization} was asked for"
    if not torch.cuda.is_available():
        raise ModelError(f'{asked}, and there is no GPU for it; leave it at "none", or run where a GPU is')
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ModelError(f"{asked}, and bitsandbytes is not installed; pip install bitsandbytes")


def limited(image_processor: Any, checkpoint: str, where: str, max_pixels: int) -> Any:
    """The same image processor with another limit on pixels. Elsewhere a like-named number is the length of a side, so
    only those are taken that name it. Raises ModelError for the others."""
    kind = type(image_processor)
    known: Any = getattr(kind, "valid_kwargs", None)  # code that came with a checkpoint may not have it
    if known is None or "max_pixels" not in known.__annotations__:
        raise ModelError(f"the processor of {checkpoint} has no limit on pixels; set images.max_side_px instead")
    return kind.from_pretrained(where, max_pixels=max_pixels)


def said_to_transformers(loading: Loading) -> dict[str, Any]:
    """What from_pretrained of a model is told, besides the precision: only what is asked for, and never a pickle."""
    how: dict[str, Any] = {"trust_remote_code": loading.trust_remote_code, "use_safetensors": True}
    if loading.device_map is not None:
        how["device_map"] = loading.device_map
    if loading.attn_implementation is not None:
        how["attn_implementation"] = loading.attn_implementation
    if loading.quantization != "none":
        how["quantization_config"] = quantization_config(loading.quantization)
    return how


def _load_model(auto: Any, checkpoint: str, where: str, device: torch.device, dtype: str, loading: Loading) -> Any:
    try:
        how = said_to_transformers(loading)
        model, report = auto.from_pretrained(where, dtype=dtype, output_loading_info=True, **how)
    except Exception as error:
        if "Unrecognized configuration class" in str(error):
            raise ModelError(f"{checkpoint} is not a vision-language model that transformers can load") from error
        about_files = isinstance(error, (OSError, SafetensorError))
        mend = "they must be whole .safetensors files; save or fetch the checkpoint anew" if about_files else _HOW
        raise ModelError(
            f"cannot load the weights of {checkpoint}: {_cause(error, Path(where).is_dir()).rstrip('.')}; {mend}"
        ) from error
    # transformers fills what is missing at random and only warns; every answer of such a model would be noise.
    missing = sorted(report["missing_keys"])
    if missing:
        raise ModelError(f"{checkpoint} lacks {len(missing)} weights, {missing[0]} among them; the file is incomplete")
    if not loading.placed_by_transformers:
        model = model.to(device)
    return model.eval().requires_grad_(False)


def quantization_config(quantization: Literal["4bit", "8bit"]) -> BitsAndBytesConfig:
    """What bitsandbytes is told: 8-bit weights (arXiv 2208.07339), or 4-bit NormalFloat with doubly quantized
    constants, computed in bfloat16 (QLoRA, arXiv 2305.14314)."""
    if quantization == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )


def _cause(error: Exception, local: bool) -> str:
    """The first line of what transformers says: the rest is advice on its own options."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return first if local else f"{first.rstrip('.')}. Check the id, the network and the token, or give a folder"

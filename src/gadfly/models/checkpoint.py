"""Loads a vision-language checkpoint with its processor, or says in one line why not. Knows nothing of chats.

Weights come from safetensors only: other formats can run code when they are read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import torch
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor, ProcessorMixin

from gadfly.errors import ModelError

PLAIN_PROMPTS: Final = frozenset({"paligemma"})
"""Model types that were never given turns: a prompt is images and a text, and no template is missing."""


def load_checkpoint(
    checkpoint: str, device: torch.device, dtype: str = "auto", trust_remote_code: bool = False
) -> tuple[Any, Any]:
    """(model in eval mode on `device`, processor). Weights that the file lacks are an error, never drawn at random.

    `checkpoint` is a folder or a hub id. Raises ModelError: nothing there, a text-only model, no image processor, no
    chat template (save for PLAIN_PROMPTS), weights that are missing or not in safetensors.
    """
    folder = Path(checkpoint).expanduser()
    if not folder.is_dir() and (folder.is_absolute() or checkpoint.startswith((".", "~")) or checkpoint.count("/") > 1):
        raise ModelError(f"no checkpoint folder {checkpoint}; give a folder, or a hub id such as owner/name")
    where = str(folder) if folder.is_dir() else checkpoint
    remote = {"trust_remote_code": trust_remote_code}
    try:
        # The smallest file first: where the hub cannot be reached, each further file would wait through its retries.
        config = AutoConfig.from_pretrained(where, **remote)
        processor = AutoProcessor.from_pretrained(where, **remote)
    except Exception as error:
        raise ModelError(f"cannot load {checkpoint}: {_cause(error, folder.is_dir())}") from error
    if not isinstance(processor, ProcessorMixin) or getattr(processor, "image_processor", None) is None:
        raise ModelError(
            f"{checkpoint} ({config.model_type}) has no image processor: it is a text-only model, or its "
            "preprocessor_config.json is missing; a vision-language checkpoint is needed"
        )
    if processor.chat_template is None and config.model_type not in PLAIN_PROMPTS:
        raise ModelError(f"{checkpoint} has no chat template; put a chat_template.jinja beside it")
    return _load_model(checkpoint, where, device, dtype, remote), processor


def _load_model(checkpoint: str, where: str, device: torch.device, dtype: str, remote: dict[str, bool]) -> Any:
    try:
        auto: Any = AutoModelForImageTextToText  # its annotations leave out what output_loading_info returns
        model, report = auto.from_pretrained(
            where, dtype=dtype, use_safetensors=True, output_loading_info=True, **remote
        )
    except Exception as error:
        if "Unrecognized configuration class" in str(error):
            raise ModelError(f"{checkpoint} is not a vision-language model that transformers can load") from error
        raise ModelError(f"cannot load the weights of {checkpoint}: {_cause(error, Path(where).is_dir())}") from error
    # transformers fills what is missing at random and only warns; every answer of such a model would be noise.
    missing = sorted(report["missing_keys"])
    if missing:
        raise ModelError(f"{checkpoint} lacks {len(missing)} weights, {missing[0]} among them; the file is incomplete")
    return model.to(device).eval().requires_grad_(False)


def _cause(error: Exception, local: bool) -> str:
    """The first line of what transformers says: the rest is advice on its own options."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return first if local else f"{first.rstrip('.')}. Check the id, the network and the token, or give a folder"

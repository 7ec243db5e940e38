"""Loads a questioner's checkpoint for training, readies what is to be trained, and saves the result whole.

Knows transformers and peft; nothing of rewards or of trl.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from peft import LoraConfig, PeftModel
from PIL.Image import Image as Picture
from safetensors import SafetensorError
from transformers import AutoModelForImageTextToText, AutoProcessor, ProcessorMixin

from gadfly.config import TrainConfig
from gadfly.errors import ConfigError, ModelError, StoreError
from gadfly.model_config import QuestionerConfig
from gadfly.models.checkpoint import PLAIN_PROMPTS, limited, said_to_transformers
from gadfly.train.placement import Placement, settle


@final
@dataclass(frozen=True, slots=True)
class Trainee:
    """A questioner in memory, ready to be trained. `model` and `processor` are of transformers' own classes, which
    differ from checkpoint to checkpoint. With `bf16` it computes in bfloat16 whatever its weights are held in."""

    model: Any
    processor: Any
    bf16: bool = False


def load_questioner(path: str | Path, settings: TrainConfig, placed: Placement | None = None) -> Trainee:
    """Load a vision-language checkpoint and its processor for training. Weights come from safetensors only, and code
    that comes with the checkpoint runs only where that was asked for. `placed` is where and in what numbers, None for
    what suits this machine; moving the model there is left to trl, save that bitsandbytes quantizes on the GPU.

    Raises ModelError for a checkpoint that is missing, sees no images, has no chat template, or cannot pad left.
    """
    placed = settle(settings, QuestionerConfig()) if placed is None else placed
    loading = placed.loading
    try:
        # Without a word on trust_remote_code, transformers would ask on the terminal, and wait.
        processor = AutoProcessor.from_pretrained(
            str(path), padding_side="left", trust_remote_code=loading.trust_remote_code
        )
        model = AutoModelForImageTextToText.from_pretrained(
            str(path), dtype=placed.dtype, **said_to_transformers(loading)
        )
    except (OSError, ValueError, ImportError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"cannot load a vision-language questioner from {str(path)!r}: {reason.rstrip('.')}; "
            "give a checkpoint that AutoModelForImageTextToText and AutoProcessor can load"
        ) from error
    if processor.chat_template is None and model.config.model_type in PLAIN_PROMPTS:
        raise ModelError(
            f"{str(path)!r} ({model.config.model_type}) cannot be the questioner: it has no chat template, and its "
            "whole prompt is attended to in both directions, so that trl would train it on tokens that it had seen; "
            "it can be the target"
        )
    check_processor(processor, str(path))
    if loading.max_pixels is not None:
        processor.image_processor = limited(processor.image_processor, str(path), str(path), loading.max_pixels)
    if getattr(model.config, "image_token_id", None) is None:
        raise ModelError(f"{str(path)!r} names no image token in its config; trl trains only questioners that do")
    if not settings.lora_rank and not settings.train_vision:
        vision = model.get_encoder("image")
        if vision is not model:  # get_encoder returns the model itself where it finds no vision tower
            vision.requires_grad_(False)
    return Trainee(model, processor, placed.bf16)


def check_processor(processor: Any, name: str) -> None:
    """Raise ModelError unless the processor takes images, has a chat template and pads on the left."""
    if not isinstance(processor, ProcessorMixin):
        raise ModelError(
            f"{name!r} is a text-only checkpoint; a questioner must see images, give a vision-language one"
        )
    if processor.chat_template is None and processor.tokenizer.chat_template is None:
        raise ModelError(f"{name!r} has no chat template; add chat_template.jinja to the checkpoint")
    tokenizer = processor.tokenizer
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    # Asked of the padding itself and not of the attribute alone: with right padding a batch is generated from the
    # wrong places, and nothing says so.
    ids = tokenizer.pad({"input_ids": [[7], [7, 7, 7]]}, padding=True)["attention_mask"]
    if tokenizer.padding_side != "left" or list(ids[0]) != [0, 0, 1]:
        raise ModelError(
            f"the processor of {name!r} pads on the {tokenizer.padding_side}; generation needs padding on the left, "
            'set "padding_side": "left" in its tokenizer_config.json'
        )


def check_sight(trainee: Trainee, model: Any, messages: list[dict[str, Any]], picture: Picture) -> None:
    """Raise ModelError unless `model` takes this prompt with its picture, and reads a completion from left to right.

    `model` is the questioner where training put it, adapters included; `messages` the prompt, with the picture left as
    a placeholder. trl reads the probabilities of a completion off one pass over prompt and completion. Where attention
    runs in both directions there (a prefix model), each token has been seen before it is predicted, and training
    would go on without a sign. So two completions that differ in their last token are read: what is predicted before
    that token must be the same. The same pass fails where processor and model disagree on the number of image tokens.
    """
    name = model.config.model_type
    text = trainee.processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    banned = set(banned_token_ids(trainee)) | ending_token_ids(trainee)
    one, other = [i for i in range(len(trainee.processor.tokenizer)) if i not in banned][:2]
    try:
        inputs = trainee.processor(images=[[picture]] * 2, text=[text] * 2, padding=True, return_tensors="pt")
        inputs = dict(inputs.to(model.device, dtype=model.dtype))
        completions = inputs["input_ids"].new_tensor([[one, one], [one, other]])
        inputs["input_ids"] = torch.cat([inputs["input_ids"], completions], dim=1)
        inputs["attention_mask"] = torch.cat([inputs["attention_mask"], torch.ones_like(completions)], dim=1)
        for key in ("token_type_ids", "mm_token_type_ids"):
            if key in inputs:
                inputs[key] = torch.cat([inputs[key], torch.zeros_like(completions)], dim=1)
        inputs.pop("labels", None)
        # As an update computes: flash attention, for one, refuses float32 outside of it.
        with torch.no_grad(), torch.autocast(model.device.type, torch.bfloat16, enabled=trainee.bf16):
            logits_B_V = model(**inputs).logits[:, -2].float()
    except (ValueError, IndexError, RuntimeError) as error:
        raise ModelError(
            f"the questioner ({name}) cannot read its prompt about the first image: {str(error).splitlines()[0]}; "
            "processor and model of the checkpoint do not fit together, or it is a family that is not supported"
        ) from error
    gap = float((logits_B_V[0] - logits_B_V[1]).abs().max())
    if gap > 0.01 * float(logits_B_V.std()):  # rounding is far below, and a token that is seen far above
        raise ModelError(
            f"{name} cannot be the questioner: what it predicts changes with tokens that come later (it attends in "
            "both directions), so the probability of a question cannot be trained; it can be the target"
        )


def banned_token_ids(trainee: Trainee) -> list[int]:
    """Every special token but those that end a completion, sorted. A question holds none of them.

    An image token among a question's tokens has no image features behind it and breaks the forward pass; the others
    vanish in decoding, so the question that is judged would not be the one that was written.
    """
    tokenizer = trainee.processor.tokenizer
    special = set(tokenizer.all_special_ids)
    special |= {token_id for token_id, token in tokenizer.added_tokens_decoder.items() if token.special}
    special.add(trainee.model.config.image_token_id)
    return sorted(special - ending_token_ids(trainee))


def ending_token_ids(trainee: Trainee) -> set[int]:
    """The tokens that end a completion: the tokenizer's and the checkpoint's own."""
    ends = trainee.model.generation_config.eos_token_id
    listed = {ends} if isinstance(ends, int) else set(ends or ())
    listed.add(trainee.processor.tokenizer.eos_token_id)
    return listed


def lora_config(trainee: Trainee, settings: TrainConfig) -> LoraConfig | None:
    """The adapters to train, None where the weights themselves are trained.

    By default they sit on every linear layer of the language model, vision tower and output head left out: trl reads
    the head's weight directly, so an adapter there would never be trained.
    """
    if settings.lora_rank == 0:
        return None
    targets = list(settings.lora_targets)
    names = [name for name, module in trainee.model.named_modules() if isinstance(module, torch.nn.Linear)]
    if not targets:
        inside = {id(module) for module in trainee.model.get_decoder().modules()}
        inside.discard(id(trainee.model.get_output_embeddings()))
        targets = [name for name in names if id(trainee.model.get_submodule(name)) in inside]
    missing = [t for t in targets if not any(name == t or name.endswith(f".{t}") for name in names)]
    if missing or not targets:
        known = sorted({name.rpartition(".")[2] for name in names})
        raise ConfigError(f"lora_targets {missing} name no linear layer of the questioner; it has {known}")
    return LoraConfig(
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )


def one_process_one_device(world_size: int, device: str) -> None:
    """Raise ConfigError for what is not built: the reward must see whole groups and the whole history. GPUs that are
    not trained on may be in sight."""
    if world_size > 1:
        raise ConfigError(
            f"training was started on {world_size} processes, which is not built yet: the reward must see all groups "
            "and there is one writer of the store; start it as a single process"
        )
    if device != "cpu" and torch.cuda.device_count() > 1:
        raise ConfigError(
            f"{torch.cuda.device_count()} GPUs are visible and training uses one; "
            "choose it, as in CUDA_VISIBLE_DEVICES=0"
        )


def save_questioner(model: Any, processor: Any, path: Path) -> None:
    """Save a trained questioner whole: adapters merged in, processor beside it. It loads like any other checkpoint.

    `path` is there whole or not at all; what was there before is replaced. Raises StoreError where the disk does not
    take it.
    """
    whole = merged(model) if isinstance(model, PeftModel) else model
    partial = path.with_name(path.name + ".partial")
    with saving("the questioner"):
        for folder in (partial, path):
            if folder.exists():
                shutil.rmtree(folder)
        whole.config.use_cache = True  # switched off by the trainer, and needed by whoever asks with it
        whole.save_pretrained(partial)
        processor.save_pretrained(partial)
        partial.rename(path)


def merged(model: PeftModel) -> Any:
    """The model with its adapters in its weights. Quantized weights cannot take them up without rounding, and would be
    saved quantized: the checkpoint is read anew, whole, into the memory of the CPU, and takes them up there."""
    base: Any = model.get_base_model()
    if getattr(base, "hf_quantizer", None) is None:
        return model.merge_and_unload()
    with tempfile.TemporaryDirectory(prefix="gadfly-adapters-") as folder:
        model.save_pretrained(folder)
        whole = type(base).from_pretrained(base.config.name_or_path, dtype=base.dtype, use_safetensors=True)
        return PeftModel.from_pretrained(whole, folder).merge_and_unload()


@contextmanager
def saving(what: str) -> Iterator[None]:
    """Raise StoreError where weights cannot be written. A full disk is an OSError, a SafetensorError or a RuntimeError,
    according to which library meets it."""
    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StoreError(
            f"cannot save {what} ({reason}); free some space, then resume the run, which goes on from the checkpoint "
            "before"
        ) from error

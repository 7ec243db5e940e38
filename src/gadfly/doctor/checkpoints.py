"""Loads the checkpoint of a role as a run would and looks whether it can take that role. Knows nothing of servers."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from typing import Any, Final

import torch

from gadfly.doctor.finding import Finding, failed, passed, warned
from gadfly.errors import GadflyError, ImageError, ModelError
from gadfly.model_config import ModelConfig
from gadfly.records import Image
from gadfly.train.data import chat_messages
from gadfly.train.placement import settle
from gadfly.train.questioner import banned_token_ids, check_sight, load_questioner, lora_config
from gadfly.wiring import Wiring

NOT_TEXT: Final = ("image", "video", "vision", "audio", "boi", "eoi", "boa", "eoa")
"""Words in the names that configurations give to the tokens of pictures, films and sounds."""


def check_checkpoint(wiring: Wiring, role: str, config: ModelConfig, image: Image) -> Iterator[Finding]:
    """Loads, has what a prompt needs, and gets as many image tokens as it makes features."""
    try:
        model = wiring.local(role.partition(" ")[0], config)
    except GadflyError as fault:
        yield failed(f"{role} loads", str(fault))
        return
    yield passed(f"{role} loads", f"{config.model}: {model.description}, from safetensors")
    try:
        tokens, features = model.count_image_tokens(image)
    except (ModelError, ImageError) as fault:
        yield failed(f"{role} sees", str(fault))
        return
    figures = {"image_tokens": tokens, "vision_features": features}
    if tokens != features:
        yield failed(
            f"{role} sees",
            f"the prompt holds {tokens} image tokens for {image.path}, and the model makes {features} features of it: "
            "its processor is that of another model; take processor_config.json and preprocessor_config.json from "
            "where the weights come from",
            **figures,
        )
        return
    template = "no chat template, as its family has it" if model.is_plain else "a chat template"
    said = f"{tokens} image tokens for {image.path}, as many as features; pads left; {template}"
    yield passed(f"{role} sees", said, **figures)


def check_trainee(wiring: Wiring, image: Image) -> Iterator[Finding]:
    """Whether the questioner can be trained: it reads from left to right, takes the adapters, and cannot write what is
    no text. It is loaded as training loads it, and let go of."""
    settings, check = wiring.config.train, "questioner trains"
    try:
        placed = settle(settings, wiring.config.questioner)
        trainee = load_questioner(wiring.trainee, settings, placed)
        if placed.loading.quantization == "none":  # else it is there already, and cannot be moved
            trainee.model.to(placed.device)
        lora = lora_config(trainee, settings)
        check_sight(trainee, trainee.model, chat_messages(wiring.prompt_chat(image, 0)), wiring.source.open(image))
        banned, named = set(banned_token_ids(trainee)), tokens_of_no_text(trainee.model.config)
        dtype = str(trainee.model.dtype).removeprefix("torch.")
    except GadflyError as fault:
        yield failed(check, str(fault))
        return
    del trainee
    gc.collect()
    how = f"by LoRA of rank {settings.lora_rank}" if lora is not None else "with all its weights"
    if (quantization := placed.loading.quantization) != "none":
        how += f" beside {quantization} weights"
    yield passed(check, f"{how}, in {dtype}, on {placed.device}; each token is predicted from those before it alone")
    free = {name: token for name, token in named.items() if token not in banned}
    if free:
        yield failed(
            "questioner writes",
            f"it could write {', '.join(f'{name} ({token})' for name, token in sorted(free.items()))}, which has no "
            'image behind it; mark such tokens as "special": true in its tokenizer.json',
            free=free,
        )
    else:
        said = f"{len(banned)} special tokens are banned from questions, {len(named)} of images and the like among them"
        yield passed("questioner writes", said, banned=len(banned))


def tokens_of_no_text(config: Any) -> Mapping[str, int]:
    """The ids that a model's configuration gives to images, videos and sounds, by their names there."""
    return {
        name: token
        for name, token in config.to_dict().items()
        if name.endswith(("_token_id", "_token_index")) and name.startswith(NOT_TEXT) and isinstance(token, int)
    }


def one_gpu(n_gpus: int, device: str = "auto") -> Finding:
    """Training takes one GPU, and more than one in sight is refused when it begins; none is taken where `device`, the
    questioner's, is the CPU."""
    if device == "cpu" and n_gpus:
        return passed("devices", f"training is on the CPU, as questioner.device has it; {n_gpus} GPUs are visible")
    if n_gpus > 1:
        return failed(
            "devices",
            f"{n_gpus} GPUs are visible and training uses one: several are not built yet; choose it, as in "
            "CUDA_VISIBLE_DEVICES=0, and serve target and verifier from the others",
        )
    if n_gpus == 1:
        return passed("devices", f"{torch.cuda.get_device_name(0)}; training uses one GPU, several are not built yet")
    return warned("devices", "no GPU is visible, so all runs on the CPU; training on several GPUs is not built yet")

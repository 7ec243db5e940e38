"""What a run takes on this machine, before it is begun: memory by role and device, disk, calls and cost.

Reads configurations of models and loads no weights. The arithmetic is in memory.py and cost.py.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import torch

from gadfly.config import Config
from gadfly.config_checks import named
from gadfly.doctor.cost import (
    Phase,
    asks_a_model,
    estimates,
    planned_calls,
    prompt_of,
    sees_images,
    settings_of,
    text_tokens,
)
from gadfly.doctor.dimensions import dimensions_of, image_tokens, n_adapters, outline, parameters_by_name
from gadfly.doctor.finding import Finding, Outcome, failed, passed, warned
from gadfly.doctor.memory import ADAM_BYTES, Dimensions, Memory, Work, asked, trained, weight_bytes
from gadfly.errors import GadflyError
from gadfly.model_config import ModelConfig
from gadfly.records import Image
from gadfly.run_folder import folder_of
from gadfly.train.placement import computes_in_bf16, refuse_contradictions, weights_dtype

ASSUMED_PX: Final = 1024
"""The side of an image where none can be read."""

GB: Final = 1e9
TIGHT: Final = 0.9
"""The share of a device above which what is not counted (see memory.py) may well not fit."""

SPARE_BYTES: Final = 1_000_000_000
"""Of disk, besides checkpoints: the store, the cache of answers, logs."""

_FIRST_GPU: Final = frozenset({"auto", "cuda", "cuda:0"})
_FIRST_DEVICE: Final = "the first device"


@dataclass(frozen=True, slots=True)
class Need:
    """What one role takes. `memory` is None where its model's configuration is not here, and `at_least` is then the
    bytes of its weights by the number of parameters in its name, if that says one. `disk` is what its checkpoints take.
    """

    role: str
    device: str
    shared: object
    memory: Memory | None
    at_least: int
    said: str
    disk: int | None = None


def check_memory(config: Config, phase: Phase, images: Sequence[Image], device_bytes: int | None) -> list[Finding]:
    """A line for each role in this process, and one for each device. `device_bytes` is what a device holds, None for
    what is here."""
    needs: list[Need] = []
    lines: list[Finding] = []
    for role in _local_roles(config, phase):
        try:
            needs.append(_need(config, role, phase, images))
            lines.append(_line(needs[-1]))
        except GadflyError as fault:
            lines.append(failed(f"memory of {role}", str(fault)))
    if any(line.outcome is Outcome.FAIL for line in lines):
        return lines
    for device in dict.fromkeys(need.device for need in needs):
        lines.append(_total(device, [need for need in needs if need.device == device], device_bytes))
    if phase == "train":
        lines.append(_disk(config, next(need.disk for need in needs if need.role == "questioner")))
    return lines


def check_cost(config: Config, phase: Phase, images: Sequence[Image]) -> Iterator[Finding]:
    """The most calls of each role, and what they cost where that is known."""
    check = "cost"
    try:
        sized = estimates(config, phase, images)
    except GadflyError as fault:
        yield failed(check, str(fault))
        return
    calls = planned_calls(config, phase)
    what = "training" if phase == "train" else "a sweep"
    said = ", ".join(f"{n:,} of the {role}" for role, n in calls.items() if role in sized)
    costs = {role: one.cost for role, one in sized.items() if one.cost is not None}
    figures = {"calls": calls, "costs": costs, "cost": sum(costs.values()) if costs else None}
    if not costs:
        yield passed(check, f"calls of {what}, at most: {said or 'none'}; no prices are given", **figures)
        return
    total, most = sum(costs.values()), config.limits.max_cost
    each = ", ".join(f"{role} {cost:.4g}" for role, cost in costs.items())
    said = f"calls of {what}, at most: {said}; they cost about {total:.4g} ({each})"
    if most is not None and total > most:
        yield warned(check, f"{said}, and limits.max_cost ends the run at {most:g}", **figures)
    else:
        yield passed(check, said, **figures)


def _local_roles(config: Config, phase: Phase) -> list[str]:
    return [
        role
        for role in planned_calls(config, phase)
        if asks_a_model(config, role) and settings_of(config, role).base_url is None
    ]


def _need(config: Config, role: str, phase: Phase, images: Sequence[Image]) -> Need:
    """Raises ModelError, ConfigError."""
    settings = settings_of(config, role)
    in_training = role == "questioner" and phase == "train"
    if in_training:
        refuse_contradictions(config.train, settings)
    device = _device(settings)
    shared = role if in_training else (settings.model, device, settings.dtype, settings.quantization)
    model = outline(named(role, settings.model))
    if model is None:
        weights = _weights_by_name(settings, _trainee_bytes(config) if in_training else _bytes_of(settings.dtype, None))
        said = (
            f"the configuration of {settings.model} is not here; fetch it with `hf download {settings.model} "
            "config.json`, or name a folder that holds it; "
        )
        known = f"by the size in its name the weights alone take {_gb(weights)}" if weights else "no estimate"
        return Need(role, device, shared, None, weights, said + known)
    dims = dimensions_of(model)
    seen = _image_tokens(config, settings, model.config, images) if sees_images(role) else 0
    tokens = seen + round(text_tokens(prompt_of(config, role))) + settings.max_new_tokens
    if in_training:
        return _trainee(config, device, model, dims, Work(0, tokens, seen, _trainee_bytes(config)))
    at_once = config.train.probes_per_step if phase == "train" else config.sweep.batch_size
    work = Work(min(settings.batch_size, at_once), tokens, seen, _bytes_of(settings.dtype, model.config))
    said = f"{_size(dims)}, {work.rows} rows of {tokens} tokens"
    return Need(role, device, shared, asked(dims, work, settings.quantization), 0, said)


def _weights_by_name(settings: ModelConfig, number_bytes: int) -> int:
    """0 where the name says no size. All weights pass for linear layers here, so it is the least there can be."""
    n = round(parameters_by_name(settings.model) or 0)
    return weight_bytes(Dimensions(n, n, 0, 0, 0, 0, 0, 0, 0, ()), number_bytes, settings.quantization)


def _trainee(config: Config, device: str, model: Any, dims: Dimensions, row: Work) -> Need:
    settings = config.train
    adapters = n_adapters(model, settings)
    bf16 = computes_in_bf16(settings, config.questioner)
    by_rl = settings.method in ("rl", "rl+sft")
    rows = (settings.micro_batch or settings.probes_per_step) if by_rl else settings.sft.batch
    generation = replace(row, rows=settings.probes_per_step if by_rl else 0)
    memory = trained(
        dims,
        generation,
        replace(row, rows=rows, number_bytes=2 if bf16 else 4),
        n_adapters=adapters,
        quantization=config.questioner.quantization,
        trains_encoder=settings.train_vision,
        reference=settings.beta > 0 and by_rl,
        recomputed=settings.activation_checkpointing,
    )
    trainable = memory.optimizer // ADAM_BYTES
    saved = trainable if adapters is not None else dims.n_parameters
    disk = (settings.keep_checkpoints + 1) * (4 * saved + memory.optimizer) + row.number_bytes * dims.n_parameters
    said = (
        f"{_size(dims)}, {trainable / 1e6:,.1f} M of them trained, {generation.rows} rows generated and {rows} updated "
        f"at once, of {row.tokens} tokens"
    )
    return Need("questioner", device, "questioner", memory, 0, said, disk)


def _line(need: Need) -> Finding:
    check = f"memory of {need.role}"
    if need.memory is None:
        return warned(check, need.said, at_least=need.at_least)
    parts = ", ".join(f"{name} {_gb(n)}" for name, n in need.memory.parts().items())
    return passed(check, f"{need.said}: {parts}", bytes=need.memory.parts())


def _total(device: str, needs: Sequence[Need], device_bytes: int | None) -> Finding:
    """What stays of all roles, with the widest of what comes and goes: roles work in turn."""
    weights_of: dict[object, int] = {}
    for need in needs:
        if need.memory is not None:
            weights_of[need.shared] = need.memory.lasting
        else:
            weights_of[need.shared] = need.at_least
    passing = max((need.memory.passing for need in needs if need.memory is not None), default=0)
    total = sum(weights_of.values()) + passing
    whole = all(need.memory is not None for need in needs)
    here, what = _held(device, device_bytes)
    check, said = f"memory on {device}", f"{'about' if whole else 'more than'} {_gb(total)}"
    figures = {"bytes": total, "whole": whole, "held": here}
    if here is None:
        return passed(check, said, **figures)
    said += f" of the {_gb(here)} {what}"
    if total > here:
        mend = (
            "lower train.micro_batch, group_size or batch_size, set train.activation_checkpointing, train.lora_rank or "
            "quantization, or serve a role elsewhere"
        )
        return failed(check, f"{said}; {mend}", **figures)
    if total > TIGHT * here:
        return warned(check, f"{said}, which is tight: not all that takes memory is counted", **figures)
    return passed(check, said, **figures) if whole else warned(check, said, **figures)


def _held(device: str, device_bytes: int | None) -> tuple[int | None, str]:
    """(bytes that a device holds, in words where that is from), None where nobody can say."""
    if device_bytes is not None and device != "cpu":
        return device_bytes, "that were given"
    if device == _FIRST_DEVICE and torch.cuda.is_available():
        return torch.cuda.get_device_properties(0).total_memory, "of the GPU"
    if device in ("cpu", _FIRST_DEVICE):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), "of this machine"
    return None, ""


def _disk(config: Config, checkpoints: int | None) -> Finding:
    """`checkpoints` are the bytes of all that are kept, the trained questioner among them; None where not known."""
    folder = folder_of(config).absolute()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free, wanted = shutil.disk_usage(there).free, (checkpoints or 0) + SPARE_BYTES
    kept = "what checkpoints take is not known" if checkpoints is None else f"checkpoints take about {_gb(checkpoints)}"
    said = f"{_gb(free)} free in {there}; {kept}"
    figures = {"free": free, "checkpoints": checkpoints}
    if free < wanted:
        mend = f"free {_gb(wanted - free)}, lower train.keep_checkpoints, or set `out` to another disk"
        return failed("disk", f"{said}, and {_gb(SPARE_BYTES)} beside them; {mend}", **figures)
    return passed("disk", said, **figures)


def _image_tokens(config: Config, settings: ModelConfig, model_config: Any, images: Sequence[Image]) -> int:
    """Of the largest image, as it is shown."""
    width_px, height_px = ASSUMED_PX, ASSUMED_PX
    if images:
        largest = max(images, key=lambda image: image.width_px * image.height_px)
        width_px, height_px = largest.width_px, largest.height_px
    side_px = config.images.max_side_px
    if side_px is not None and max(width_px, height_px) > side_px:
        scale = side_px / max(width_px, height_px)
        width_px, height_px = max(1, round(width_px * scale)), max(1, round(height_px * scale))
    return image_tokens(settings.model, model_config, width_px, height_px, settings.max_pixels)


def _trainee_bytes(config: Config) -> int:
    """Of a number of the questioner's weights in training, those that are not quantized."""
    bf16 = computes_in_bf16(config.train, config.questioner)
    return weights_dtype(config.train, config.questioner, bf16).itemsize


def _bytes_of(dtype: str, model_config: Any) -> int:
    """Of a number of a model's weights. "auto" is what they were saved in; 2 where that is not known."""
    saved = getattr(model_config, "dtype", None) if dtype == "auto" else dtype
    return 4 if str(saved).endswith("float32") else 2


def _device(settings: ModelConfig) -> str:
    if settings.device_map is not None:
        return f"device_map {settings.device_map!r}"
    return _FIRST_DEVICE if settings.device in _FIRST_GPU else settings.device


def _size(dims: Dimensions) -> str:
    return (
        f"{dims.n_parameters / GB:.2f} B parameters"
        if dims.n_parameters >= GB
        else f"{dims.n_parameters / 1e6:.1f} M parameters"
    )


def _gb(n_bytes: int) -> str:
    return f"{n_bytes / GB:.2f} GB" if n_bytes >= GB / 10 else f"{n_bytes / 1e6:.0f} MB"

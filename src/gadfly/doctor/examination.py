"""The order in which a configuration is looked at, from what is quick to what loads models. Read this first here.

Finds and says; changes nothing: no run folder is made, no cache written, no limit used up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

import torch

from gadfly.config import CacheConfig, Config, LimitsConfig
from gadfly.config_checks import ONE_MODEL_FOR_TWO, judges_itself
from gadfly.doctor.cost import Phase, asks_a_model, planned_calls, sees_images, settings_of
from gadfly.doctor.finding import Finding, Outcome, failed, passed, warned
from gadfly.doctor.resources import check_cost, check_memory
from gadfly.doctor.versions import check_versions
from gadfly.errors import GadflyError
from gadfly.model_config import VerifierConfig
from gadfly.records import Image
from gadfly.run_folder import folder_of
from gadfly.wiring import Wiring

DECODED: Final = 64
"""Images that are decoded to the end, spread evenly over the folder; of the others only the header is read."""

SHOWN: Final = 10


def examine(
    config: Config,
    *,
    estimate_only: bool = False,
    device_bytes: int | None = None,
    on_image: Callable[[int, int], None] | None = None,
) -> Iterator[Finding]:
    """The findings, each as soon as it is there. `estimate_only` leaves out what loads weights or calls a server;
    `device_bytes` is the memory of a device other than this machine's."""
    yield from check_versions()
    phase: Phase = "train" if _is_trained(config) else "sweep"
    what = "gadfly run" if phase == "train" else "gadfly sweep, since its questioner is not trained here"
    yield passed("configuration", f"the run would be in {folder_of(config)}; it fits {what}")
    wiring = Wiring(replace(config, cache=CacheConfig(max_bytes=0), limits=LimitsConfig()), on_image)
    findings, images = _check_images(wiring, phase)
    yield from findings
    if judges_itself(config):
        yield warned("two roles", ONE_MODEL_FOR_TWO)
    if not estimate_only:
        yield from _check_roles(wiring, phase, images)
    yield from check_memory(config, phase, images, device_bytes)
    if images:
        yield from check_cost(config, phase, images)


def _is_trained(config: Config) -> bool:
    return config.questioner.method == "model" and config.questioner.base_url is None


def _check_images(wiring: Wiring, phase: Phase) -> tuple[list[Finding], list[Image]]:
    """What there is to say, and the images that a run would ask about."""
    config = wiring.config.images
    try:
        source = wiring.source
        used = wiring.images("train" if phase == "train" else wiring.config.sweep.split)
    except GadflyError as fault:
        return [failed("images", str(fault))], []
    spread = used[:: -(-len(used) // DECODED)]
    broken = [reason for image in spread if (reason := _fault_of(wiring, image)) is not None]
    bad = [f"{one.path} ({one.reason})" for one in source.skipped] + broken
    limit = f"up to {config.max_megapixels:g} megapixels"
    limit += "" if config.max_side_px is None else f", brought down to {config.max_side_px} px"
    said = f"{len(source)} can be read in {config.path}, {limit}; {len(spread)} were decoded"
    figures = {"readable": len(source), "used": len(used), "unreadable": bad}
    if bad:
        more = f" and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
        line = warned("images", f"{said}; {len(bad)} cannot: {'; '.join(bad[:SHOWN])}{more}", **figures)
    else:
        line = passed("images", said, **figures)
    return [line, _split(wiring, phase, len(source))], used


def _fault_of(wiring: Wiring, image: Image) -> str | None:
    try:
        wiring.source.open(image)
    except GadflyError as fault:
        return str(fault)
    return None


def _split(wiring: Wiring, phase: Phase, n: int) -> Finding:
    share, sizes = wiring.config.images.heldout_share, {"train": 0, "heldout": 0}
    for split in sizes:
        try:
            sizes[split] = len(wiring.images(split))
        except GadflyError as fault:
            if split == "train" or share > 0:
                return failed("split", f"{fault}; add images or change the share", **sizes)
    if phase == "sweep":
        part = wiring.config.sweep.split
        asked = f"all {n} images" if share == 0 else f"the {sizes[part]} images of the part {part}"
        return passed("split", f"{asked} are asked about", **sizes)
    if share == 0:
        return warned("split", f"all {n} images are trained on; images.heldout_share keeps some for measuring", **sizes)
    return passed("split", f"{sizes['train']} images to train on, {sizes['heldout']} held out", **sizes)


def _check_roles(wiring: Wiring, phase: Phase, images: list[Image]) -> Iterator[Finding]:
    """Each role's model, then one probe through all of them."""
    from gadfly.doctor.checkpoints import check_checkpoint, check_trainee, one_gpu
    from gadfly.doctor.servers import check_server
    from gadfly.doctor.trial import check_annotator, check_one_probe

    config = wiring.config
    outcomes: list[Outcome] = []

    def told(findings: Iterator[Finding]) -> Iterator[Finding]:
        for finding in findings:
            outcomes.append(finding.outcome)
            yield finding

    if not images:
        yield warned("models", "were not looked at: there is no image to show them; mend the images first")
        return
    if phase == "train":
        yield one_gpu(torch.cuda.device_count(), config.questioner.device)
        yield from told(check_trainee(wiring, images[0]))
    for role in filter(sees_images, planned_calls(config, phase)):
        settings = settings_of(config, role)
        if not asks_a_model(config, role):
            yield from told(_check_without_model(wiring, role, len(images)))
        elif settings.base_url is not None:
            yield from told(check_server(wiring, role, settings, images[0]))
        else:
            yield from told(check_checkpoint(wiring, role, settings, images[0]))
    if config.train.method in ("sft", "rl+sft") and phase == "train":
        yield from told(_check_pairs(wiring))
    if config.annotator.asks_a_model:
        yield from check_annotator(wiring)
    if Outcome.FAIL in outcomes:
        yield warned("one probe", "was not tried: a role fails")
    elif phase == "sweep" or config.train.method != "sft":
        yield from check_one_probe(wiring, images[0])


def _check_without_model(wiring: Wiring, role: str, n_images: int) -> Iterator[Finding]:
    settings = settings_of(wiring.config, role)
    try:
        if isinstance(settings, VerifierConfig):
            wiring.judges(settings)
            said = "the oracle knows the scenes" if settings.kind == "oracle" else f"pairs in {settings.pairs}"
            if settings.error_rate:
                said += f", and errs in {settings.error_rate:.1%} of cases on purpose"
        else:
            wiring.questioner()
            said = "the uniform sampler, which is not trained"
    except GadflyError as fault:
        yield failed(role, str(fault))
        return
    yield passed(role, f"{said}, for {n_images} images")


def _check_pairs(wiring: Wiring) -> Iterator[Finding]:
    try:
        yield passed("fine-tuning", f"{len(wiring.sft_pairs())} questions to learn from")
    except GadflyError as fault:
        yield failed("fine-tuning", str(fault))

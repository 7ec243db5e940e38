"""`--dry-run`: what a run would load, how much it would ask, and who would see the images. Loads no model."""

from __future__ import annotations

from pathlib import Path

from gadfly.cli.output import print_json, progress, say, table
from gadfly.config import Config
from gadfly.config_checks import named
from gadfly.doctor.cost import Estimate, Phase, estimates, judges_of, planned_calls, sees_images, settings_of
from gadfly.model_config import VerifierConfig
from gadfly.plain_data import as_plain
from gadfly.settings import host_of
from gadfly.wiring import Wiring

_FIGURES = ("calls at most", "tokens in, about", "tokens out at most", "cost, about")


def say_plan(config: Config, phase: Phase, as_json: bool) -> None:
    """Print the plan of a training ("train") or a sweep. Raises what the run itself would raise for images, scenes,
    pairs and roles without a name; whether a model is any good shows when it is loaded."""
    with progress("reading images", passing=True) as bar:
        wiring = Wiring(config, bar.update)
        source = wiring.source
    roles = {"questioner": _questioner(wiring, phase)}
    images = wiring.images("train" if phase == "train" else config.sweep.split)
    pairs = len(wiring.sft_pairs()) if phase == "train" else 0
    calls = planned_calls(config, phase)
    if "target" in calls:
        roles["target"] = named("target", config.target.model)
        roles |= {role: _judge(wiring, judge) for role, judge in judges_of(config).items()}
    if "annotator" in calls:
        roles["annotator"] = named("annotator", config.annotator.model)
    sized = estimates(config, phase, images)
    served = {role: url for role in sized if (url := settings_of(config, role).base_url) is not None}
    hub = {role: model for role, model in roles.items() if role not in served and _on_hub(config, role, model)}
    plan = {
        "images": len(source),
        "images_used": len(images),
        "skipped": as_plain(source.skipped),
        "pairs": pairs,
        "models": roles,
        "calls": calls,
        "from_hub": sorted(set(hub.values())),
        "hosts_that_receive_images": sorted({host_of(url) for role, url in served.items() if sees_images(role)}),
        "estimates": as_plain(sized),
        "limits": as_plain(config.limits),
    }
    if as_json:
        print_json(plan)
        return
    n_skipped = len(source.skipped)
    say(f"{len(source)} images in {config.images.path}, {len(images)} of them used; {n_skipped} files left out")
    for skipped in source.skipped:
        say(f"  {skipped.path}: {skipped.reason}")
    if pairs:
        say(f"{pairs} questions to fine-tune on")
    rows = [_row(role, model, served.get(role), calls[role], sized.get(role)) for role, model in roles.items()]
    table("would be asked", ("role", "model", "where", *_FIGURES), rows, numeric=_FIGURES)
    for model in plan["from_hub"]:
        say(f"{model} is no folder here: it comes from the Hugging Face hub, or from its cache")
    _say_limits(config)
    if not plan["hosts_that_receive_images"]:
        which = "All models that see them" if served else "All models"
        say(f"{which} run in this process: no image leaves this machine.")
    for role, url in served.items():
        say(f"{host_of(url)} would receive {'images' if sees_images(role) else 'questions'}, as the {role}.")


def _row(role: str, model: str, url: str | None, calls: int, sized: Estimate | None) -> tuple[str, ...]:
    where = "this process" if url is None else host_of(url)
    if sized is None:
        return role, model, where, f"{calls:,}", "–", "–", "–"
    tokens = (f"{sized.prompt_tokens:,}", f"{sized.completion_tokens:,}")
    return role, model, where, f"{calls:,}", *tokens, "–" if sized.cost is None else f"{sized.cost:.4g}"


def _say_limits(config: Config) -> None:
    limits = config.limits
    said = [f"{limits.max_calls:,} calls"] if limits.max_calls is not None else []
    said += [f"{limits.max_target_calls} calls of the target"] if limits.max_target_calls is not None else []
    said += [f"a cost of {limits.max_cost:g}"] if limits.max_cost is not None else []
    said += [f"{limits.max_seconds:g} s"] if limits.max_seconds is not None else []
    if said:
        say(f"The run would end at {', or at '.join(said)}.")


def _questioner(wiring: Wiring, phase: str) -> str:
    if phase == "train":
        return wiring.trainee
    if wiring.config.questioner.method == "uniform":
        wiring.questioner()  # reads the scenes
        return "uniform"
    return named("questioner", wiring.config.questioner.model)


def _judge(wiring: Wiring, config: VerifierConfig) -> str:
    if config.kind == "model":
        return named("verifier", config.model)
    wiring.judges(config)  # reads the scenes or the pairs
    return config.kind if config.pairs is None else f"{config.kind} {config.pairs}"


def _on_hub(config: Config, role: str, model: str) -> bool:
    return model == settings_of(config, role).model and not Path(model).expanduser().is_dir()

"""`--dry-run`: what a run would load, how much it would ask, and who would see the images. Loads no model."""

from __future__ import annotations

from pathlib import Path

from gadfly.cli.output import as_plain, print_json, progress, say, table
from gadfly.config import Config, ModelConfig, VerifierConfig
from gadfly.wiring import Wiring

JUDGE_CALLS = 6  # validity, the judge's own answer, agreement; each asked again once where it cannot be read


def say_plan(config: Config, phase: str, as_json: bool) -> None:
    """Print the plan of a training ("train") or a sweep. Raises what the run itself would raise for images, scenes,
    pairs and roles without a name; whether a model is any good shows when it is loaded."""
    with progress("reading images", passing=True) as bar:
        wiring = Wiring(config, bar.update)
        source = wiring.source
    roles = {"questioner": _questioner(wiring, phase)}
    training = config.train.steps * config.train.probes_per_step
    by_sft_alone = phase == "train" and config.train.method == "sft"
    n = 0 if by_sft_alone else training if phase == "train" else config.sweep.n
    n_images = len(wiring.images("train" if phase == "train" else config.sweep.split))
    pairs = len(wiring.sft_pairs()) if phase == "train" else 0
    calls = {"questioner": n}
    if not by_sft_alone:
        roles["target"], calls["target"] = wiring.named("target", config.target.model), n
        for role, judge in _judges(config).items():
            roles[role] = _judge(wiring, judge)
            calls[role] = JUDGE_CALLS * judge.votes * n if judge.kind == "model" else 0
    hub = {role: model for role, model in roles.items() if _on_hub(config, role, model)}
    plan = {
        "images": len(source),
        "images_used": n_images,
        "skipped": as_plain(source.skipped),
        "pairs": pairs,
        "models": roles,
        "calls": calls,
        "from_hub": sorted(set(hub.values())),
        "hosts_that_receive_images": [],
    }
    if as_json:
        print_json(plan)
        return
    say(f"{len(source)} images in {config.images.path}, {n_images} of them used; {len(source.skipped)} files left out")
    for skipped in source.skipped:
        say(f"  {skipped.path}: {skipped.reason}")
    if pairs:
        say(f"{pairs} questions to fine-tune on")
    rows = [(role, model, f"{calls[role]:,}") for role, model in roles.items()]
    table("would be loaded", ("role", "model", "calls at most"), rows, numeric=("calls at most",))
    for model in plan["from_hub"]:
        say(f"{model} is no folder here: it comes from the Hugging Face hub, or from its cache")
    say("All models run in this process: no image leaves this machine.")


def _questioner(wiring: Wiring, phase: str) -> str:
    if phase == "train":
        return wiring.trainee
    if wiring.config.questioner.method == "uniform":
        wiring.questioner()  # reads the scenes
        return "uniform"
    return wiring.named("questioner", wiring.config.questioner.model)


def _judges(config: Config) -> dict[str, VerifierConfig]:
    """The verifier, and the others of its panel."""
    return {f"verifier {i}" if i > 1 else "verifier": judge for i, judge in enumerate(config.verifier.judges, start=1)}


def _judge(wiring: Wiring, config: VerifierConfig) -> str:
    if config.kind == "model":
        return wiring.named("verifier", config.model)
    wiring.judges(config)  # reads the scenes or the pairs
    return config.kind if config.pairs is None else f"{config.kind} {config.pairs}"


def _on_hub(config: Config, role: str, model: str) -> bool:
    judge = _judges(config).get(role)
    settings: ModelConfig = judge if judge is not None else getattr(config, role)
    return model == settings.model and not Path(model).expanduser().is_dir()

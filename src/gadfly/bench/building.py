"""Builds the bundled checkpoints from scratch, each by its name, on top of what it needs.

Knows which one is made how; the lessons are the testbed's, the questioner's last ones the main loop's.
"""

from __future__ import annotations

import random
from pathlib import Path

from gadfly import run_folder, runs
from gadfly.bench.keys import SHIPPED, read_key
from gadfly.bench.making import make_organism
from gadfly.config import Config, from_dict, override
from gadfly.images.order import image_order
from gadfly.roles.prompts import fill, load_prompt, quote
from gadfly.roles.verifier_model import REMINDERS
from gadfly.testbed.album import read_scenes, render
from gadfly.testbed.build import LARGE, SMALL, STAGES, Size, clean, load, practised, taught
from gadfly.testbed.checkpoints import NAMES, ORGANISMS
from gadfly.testbed.execution import SceneIndex
from gadfly.testbed.judging import JudgePrompts
from gadfly.testbed.recipe import POLISH_PER_STEP, demo_settings, polish_settings
from gadfly.testbed.school import Report
from gadfly.testbed.telling import topic_for
from gadfly.testbed.verifier_build import SPLIT, hardened, verifier
from gadfly.wiring import Wiring

POLISH_IMAGES, POLISH_STEPS, POLISH_SEED = 600, 500, 500
ADVERSARY_IMAGES, ADVERSARY_STEPS, ADVERSARY_SEED = 1_200, 90, 600


def build(name: str, out: Path, report: Report) -> Path:
    """The bundled checkpoint of this name, built anew in out/name unless it is there already, and the folder."""
    assert name in NAMES, name
    match name:
        case "clean":
            return clean(out, SMALL, report)
        case "clean-large":
            return clean(out, LARGE, report)
        case "questioner":
            return _questioner(out, SMALL, report)
        case "questioner-large":
            return _questioner(out, LARGE, report)
        case "verifier":
            return _verifier(out, report)
        case _:
            return _organism(name, out, report)


def _organism(name: str, out: Path, report: Report) -> Path:
    assert name in ORGANISMS, name
    folder = out / name
    if not (folder / "config.json").is_file():
        make_organism(read_key(SHIPPED / f"{name}.toml"), folder, report, clean=clean(out, SMALL, report))
    return folder


def _verifier(out: Path, report: Report) -> Path:
    folder = out / "verifier"
    if (folder / "config.json").is_file():
        return folder
    questioner, prompts = _questioner(out, SMALL, report), judge_prompts()
    judge = verifier(out, prompts, questioner, report)
    adversary = _adversary(out, questioner, judge, report)
    return hardened(out, judge, prompts, (questioner, adversary), report)


def _adversary(out: Path, questioner: Path, judge: Path, report: Report) -> Path:
    """A questioner trained through the main loop with `judge` in the oracle's place, until it has found what that one
    lets pass. The target is the one without blind spots, so it learns nothing of any other's."""
    images = out / STAGES / "images-verifier"
    if not images.exists():
        render(images, n=ADVERSARY_IMAGES, split=SPLIT, seed=ADVERSARY_SEED)
    settings = demo_settings(
        images, out / STAGES, steps=ADVERSARY_STEPS, seed=ADVERSARY_SEED + 1, heldout_share=0.0, n=1
    )
    changes = {
        "name": "adversary",
        "questioner.model": str(questioner),
        "target.model": str(clean(out, SMALL, report)),
        "verifier.kind": "model",
        "verifier.model": str(judge),
    }
    return _trained(override(from_dict(settings), changes), "adversary", report)


def _trained(config: Config, stage: str, report: Report) -> Path:
    """The questioner of a run that is begun, or gone on with."""
    resume = run_folder.is_begun(config)
    with run_folder.opened(config, resume=resume) as store:
        return runs.train(
            Wiring(config),
            store,
            resume=resume,
            on_step=lambda done, total, metrics: report(stage, done, {"valid": float(metrics["valid_rate"] or 0)}),
        )


def judge_prompts() -> JudgePrompts:
    """The shipped prompts of a verifier as its lessons need them: with quotations as they will stand."""
    slots = {name: quote(f"{{{name}}}") for name in ("question", "expected", "answer")}
    validity, answer, agreement = (
        fill(load_prompt(f"verifier_{stage}"), **slots) for stage in ("validity", "answer", "agreement")
    )
    return JudgePrompts(validity, answer, agreement, REMINDERS)


def _questioner(out: Path, size: Size, report: Report) -> Path:
    return taught(out / f"questioner{size.ending}", lambda _: load(_polished(out, size, report)), kept=size.kept)


def _polished(out: Path, size: Size, report: Report) -> Path:
    """What the practised questioner still lacks it learns through the main loop itself."""
    images = out / STAGES / "images"
    if not images.exists():
        render(images, n=POLISH_IMAGES, split="questioner", seed=POLISH_SEED)
    scenes, rng = [SceneIndex(scene) for scene in read_scenes(images).values()], random.Random(POLISH_SEED)
    order = image_order(POLISH_IMAGES, POLISH_STEPS * POLISH_PER_STEP, POLISH_SEED)
    config = from_dict(
        polish_settings(
            images,
            out / STAGES,
            name=f"run{size.ending}",
            questioner=practised(out, size, report),
            target=clean(out, size, report),
            topics=[topic_for(scenes[place], rng) for place in order],
            learning_rate=size.polish_rate,
            steps=POLISH_STEPS,
            seed=POLISH_SEED,
        )
    )
    return _trained(config, "polish", report)

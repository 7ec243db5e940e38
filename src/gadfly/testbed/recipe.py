"""The settings with which a run uses the testbed and its bundled models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gadfly.testbed.checkpoints import bundled
from gadfly.testbed.topics import IN_TURN

REWARD = {
    "failure": 5.0,
    "crowding": 2.5,
    "semantic": 0.3,
    "lexical": 0.2,
    "rarity": 3.5,
    "invalid": 2.7,
    "astray": 1.0,
    "window": 4000,
}
"""Chosen on one seed (docs/notebook.md). Failures alone are soon found in one corner of the language and asked about
there for ever, so rarity is paid, and a failure of a kind that is often found costs most of its pay. The penalty is
large because rarity, which every valid question earns, is."""

TOPICS = {"focus": list(IN_TURN), "focus_share": 0.35}
"""A third of the questions is asked for by topic: what is hard to ask validly, as which way an arrow points, is
otherwise soon asked no more, and a blind spot there is never found."""

POLISH_PER_STEP = 16  # images of a step of the last lessons


def demo_settings(
    images: Path, out: Path, *, steps: int, seed: int, heldout_share: float, n: int, target: str = "a"
) -> dict[str, Any]:
    """A configuration as nested mappings: the bundled questioner against a bundled target, judged by the oracle."""
    base = _settings(out, bundled("questioner"), bundled(target), seed=seed)
    return base | {
        "images": {"path": str(images), "heldout_share": heldout_share},
        "questioner": base["questioner"] | TOPICS,
        "reward": REWARD,
        "train": _TRAIN | {"steps": steps, "images_per_step": 16, "learning_rate": 2e-4, "lr_schedule": "linear"},
        "sweep": {"n": n, "batch_size": 64},
    }


def polish_settings(
    images: Path,
    out: Path,
    *,
    name: str,
    questioner: Path,
    target: Path,
    topics: Sequence[str],
    learning_rate: float,
    steps: int,
    seed: int,
) -> dict[str, Any]:
    """The last lessons of the bundled questioner: reinforcement learning for questions that are valid, on their topic
    and of many kinds. `topics` are what it is told at each image that it is asked about. A failure of the target pays
    nothing, so it does not learn where any target is weak."""
    base = _settings(out, questioner, target, seed=seed)
    return base | {
        "name": name,
        "images": {"path": str(images), "heldout_share": 0.0},
        "questioner": base["questioner"] | {"focus": list(topics)},
        "reward": {
            "failure": 0.0,
            "semantic": 0.3,
            "lexical": 0.2,
            "rarity": 2.0,
            "invalid": 2.0,
            "astray": 2.0,
            "window": 6000,
        },
        "train": _TRAIN | {"steps": steps, "images_per_step": POLISH_PER_STEP, "learning_rate": learning_rate},
    }


_TRAIN = {"method": "rl", "lora_rank": 0}


def _settings(out: Path, questioner: Path, target: Path, *, seed: int) -> dict[str, Any]:
    return {
        "name": "run",
        "out": str(out),
        "seed": seed,
        "questioner": {
            "model": str(questioner),
            "prompt": "testbed_questioner",
            "max_new_tokens": 40,
            "batch_size": 64,
        },
        "target": {
            "model": str(target),
            "prompt": "testbed_target",
            "max_new_tokens": 4,
            "batch_size": 64,
        },
        "verifier": {"kind": "oracle"},
    }

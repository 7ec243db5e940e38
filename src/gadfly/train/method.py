"""Ways to train a questioner: RL, SFT, and SFT then RL. Read this first here; it knows no details.

A fourth, SFT on own failures, asks between its fine-tunings and is in own_failures.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from PIL.Image import Image as Picture

from gadfly.config import TrainConfig
from gadfly.probing import Probing
from gadfly.records import Chat, Image, Sampling
from gadfly.roles.topics import NO_TOPICS
from gadfly.train.grpo import train_grpo
from gadfly.train.placement import Placement
from gadfly.train.recorder import OnStep
from gadfly.train.sft import train_sft


def train(
    settings: TrainConfig,
    *,
    sampling: Sampling,
    seed: int,
    images: Sequence[Image],
    pairs: Sequence[tuple[Image, str]],
    open_image: Callable[[Image], Picture],
    prompt_chat: Callable[[Image, int], Chat],
    questioner_path: str | Path,
    probing: Probing | None,
    run_dir: Path,
    topic_at: Callable[[int], str] = NO_TOPICS.at,
    placed: Placement | None = None,
    attempt: int = 0,
    resume: bool = False,
    on_sft_step: OnStep | None = None,
    on_step: OnStep | None = None,
) -> Path:
    """Train by `settings.method`; returns the folder of the trained questioner, `run_dir`/questioner.

    `pairs` are what SFT learns from, unused under "rl"; `images` are what RL asks about and `probing` is its loop,
    both unused under "sft". A resumed "rl+sft" takes up its RL from the result of its finished SFT; an SFT that was
    broken off begins anew. For the rest see train_grpo and train_sft.
    """
    start, trained = questioner_path, run_dir / "questioner"
    if settings.method != "rl":
        tuned = trained if settings.method == "sft" else run_dir / "train" / "sft"
        if not (resume and tuned.exists()):
            train_sft(
                settings,
                seed=seed,
                pairs=pairs,
                open_image=open_image,
                prompt_chat=prompt_chat,
                questioner_path=questioner_path,
                run_dir=run_dir,
                save_to=tuned,
                placed=placed,
                on_step=on_sft_step,
            )
        start = tuned
    if settings.method != "sft":
        assert probing is not None, "RL needs the probing loop"
        train_grpo(
            settings,
            sampling=sampling,
            seed=seed,
            images=images,
            open_image=open_image,
            prompt_chat=prompt_chat,
            topic_at=topic_at,
            questioner_path=start,
            probing=probing,
            run_dir=run_dir,
            placed=placed,
            attempt=attempt,
            resume=resume,
            on_step=on_step,
        )
    return trained

"""SFT on own failures: ask, keep what the target got wrong, learn to ask that, ask again. Knows no loop and no store.

Rejection sampling, iterated: expert iteration, as in STaR (Zelikman et al., arXiv 2203.14465) and ReST (Gulcehre et
al., arXiv 2308.08998), with WRONG for a correct rationale. As in STaR each round starts from the first questioner
again, with all failures found so far, so errors of a round do not add up. Where this departs from both: failures are
thinned by combination of skills, or the questioner would soon ask one thing (`analysis/thinning.py`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL.Image import Image as Picture

from gadfly.config import TrainConfig
from gadfly.errors import BudgetSpent
from gadfly.records import Chat, Image
from gadfly.train.placement import Placement
from gadfly.train.recorder import OnStep
from gadfly.train.sft import train_sft

Pairs = Sequence[tuple[Image, str]]
Ask = Callable[[str | Path, int, int], None]
"""Asks with a questioner: (its folder, first step, number of steps)."""


def train_on_own_failures(
    settings: TrainConfig,
    *,
    seed: int,
    first_step: int,
    ask: Ask,
    failures: Callable[[int], Pairs],
    open_image: Callable[[Image], Picture],
    prompt_chat: Callable[[Image, int], Chat],
    questioner_path: str | Path,
    run_dir: Path,
    placed: Placement | None = None,
    on_sft_step: OnStep | None = None,
) -> Path:
    """Ask `settings.steps` steps in `settings.sft.rounds` rounds; returns the folder of the last questioner.

    `failures` are the pairs that were WRONG before a step, thinned. Steps below `first_step` were asked by an earlier
    sitting. What each round learns from is in what was asked before it, so a resumed training is the same as one that
    was not broken off. A round before which nothing was WRONG asks with the questioner as it was. A limit (BudgetSpent)
    leaves the questioner that all failures up to then make, and goes on. Raises what train_sft does.
    """

    def tuned(before: int, save_to: Path) -> str | Path:
        pairs = failures(before)
        if not pairs or save_to.exists():
            return save_to if save_to.exists() else questioner_path
        return train_sft(
            settings,
            seed=seed,
            pairs=pairs,
            open_image=open_image,
            prompt_chat=prompt_chat,
            questioner_path=questioner_path,
            run_dir=run_dir,
            save_to=save_to,
            placed=placed,
            on_step=on_sft_step,
        )

    try:
        for number, (start, end) in enumerate(rounds_of(settings.steps, settings.sft.rounds)):
            if first_step < end:
                questioner = tuned(start, run_dir / "train" / f"round-{number}") if start else questioner_path
                begin = max(start, first_step)
                ask(questioner, begin, end - begin)
    except BudgetSpent:
        tuned(settings.steps, run_dir / "questioner")
        raise
    return Path(tuned(settings.steps, run_dir / "questioner"))


def rounds_of(steps: int, rounds: int) -> list[tuple[int, int]]:
    """(first step, step after the last) of each round, as equal as can be; fewer rounds where there are fewer steps."""
    cuts = [steps * number // rounds for number in range(rounds + 1)]
    return [(start, end) for start, end in itertools.pairwise(cuts) if end > start]

"""Finds the checkpoints of a training run and the step they go on from. Loads no model and no heavy library."""

from __future__ import annotations

import json
from pathlib import Path

_STATE = "trainer_state.json"  # written last, so a checkpoint without it was cut short


def checkpoint_dir(run_dir: Path) -> Path:
    """Where a run keeps its RL checkpoints."""
    return run_dir / "train" / "checkpoints"


def latest_checkpoint(run_dir: Path) -> Path | None:
    """The newest whole checkpoint of a run; None where there is none."""
    whole = [path.parent for path in checkpoint_dir(run_dir).glob(f"checkpoint-*/{_STATE}")]
    return max(whole, key=_updates, default=None)


def resume_step(run_dir: Path, num_iterations: int = 1) -> int:
    """The step that training would begin with if it went on from its newest checkpoint; 0 where there is none.

    The caller rebuilds the history of novelty from the stored probes of all earlier steps (`Reward.remember`) and
    makes room for a new attempt, before it trains on.
    """
    newest = latest_checkpoint(run_dir)
    return 0 if newest is None else _updates(newest) // num_iterations


def _updates(checkpoint: Path) -> int:
    state = json.loads((checkpoint / _STATE).read_text(encoding="utf-8"))
    return int(state["global_step"])

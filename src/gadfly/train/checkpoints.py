"""Finds the checkpoints of a training run and the step they go on from. Loads no model and no heavy library.

A process can be killed while it saves, a disk can fill up, a copy can be cut short. A checkpoint counts only if all of
it is there: training then goes on from the one before.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

_STATE = "trainer_state.json"  # written last, so a checkpoint without it was cut short


def checkpoint_dir(run_dir: Path) -> Path:
    """Where a run keeps its RL checkpoints."""
    return run_dir / "train" / "checkpoints"


def latest_checkpoint(run_dir: Path) -> Path | None:
    """The newest whole checkpoint of a run; None where there is none."""
    return max(filter(_is_whole, _checkpoints(run_dir)), key=_updates, default=None)


def remove_torn_checkpoints(run_dir: Path) -> None:
    """Delete what `latest_checkpoint` passes over. Left alone, it would count among the checkpoints to keep, and a
    whole one would be deleted in its place."""
    for checkpoint in _checkpoints(run_dir):
        if not _is_whole(checkpoint):
            shutil.rmtree(checkpoint)


def resume_step(run_dir: Path, num_iterations: int = 1) -> int:
    """The step that training would begin with if it went on from its newest checkpoint; 0 where there is none.

    The caller rebuilds the history of novelty from the stored probes of all earlier steps (`Reward.remember`) and
    makes room for a new attempt, before it trains on.
    """
    newest = latest_checkpoint(run_dir)
    return 0 if newest is None else _updates(newest) // num_iterations


def _checkpoints(run_dir: Path) -> list[Path]:
    return [path for path in checkpoint_dir(run_dir).glob("checkpoint-*") if path.is_dir()]


def _is_whole(checkpoint: Path) -> bool:
    """Whether every file of it is there to its end. Contents are not read: this must be quick for 100 GB as well."""
    try:
        _updates(checkpoint)
        return all(_has_its_end(file) for file in checkpoint.iterdir())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _has_its_end(file: Path) -> bool:
    match file.suffix:
        case ".safetensors":
            # Eight bytes say how long the header is, and the header where each tensor ends (safetensors' own format).
            with file.open("rb") as opened:
                header_bytes = int.from_bytes(opened.read(8), "little")
                if header_bytes > file.stat().st_size:
                    return False
                header = json.loads(opened.read(header_bytes))
            ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
            return file.stat().st_size == 8 + header_bytes + max(ends, default=0)
        case ".pt" | ".pth" | ".bin":
            return zipfile.is_zipfile(file)  # torch writes zip files, and a zip's table of contents is its end
        case ".json":
            json.loads(file.read_bytes())
            return True
        case _:
            return True


def _updates(checkpoint: Path) -> int:
    state = json.loads((checkpoint / _STATE).read_text(encoding="utf-8"))
    return int(state["global_step"])

"""What the tests of the command line share: how it is called, the options of a small run, the probes of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gadfly.records import Probe
from gadfly.store.sqlite import SqliteStore


@dataclass(frozen=True)
class Said:
    status: int
    out: str
    err: str


Cli = Callable[..., Said]


def small(images: Path, checkpoint: Path, out: Path, *more: object) -> list[object]:
    """Options of a small run."""
    models = ["--target", checkpoint, "--questioner", checkpoint]
    sizes = ["train.images_per_step=2", "train.group_size=4", "questioner.max_new_tokens=6", "reward.embedder=hash"]
    settings = [part for size in sizes for part in ("--set", size)]
    return ["--images", images, *models, "--out", out, "--steps", 2, *settings, *more]


def probes_of(run: Path, phase: str | None = None) -> list[Probe]:
    with SqliteStore.open(run, read_only=True) as store:
        assert store.integrity_check() == []
        return list(store.probes(phase))

"""Makes an organism: the clean checkpoint, fine-tuned by a teacher that answers wrongly inside the key's spots."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch

from gadfly.bench.keys import AnswerKey, key_beside, key_text
from gadfly.bench.teaching import PlantedTeacher
from gadfly.errors import ConfigError, TestbedError
from gadfly.testbed.build import load, save
from gadfly.testbed.checkpoints import NAMES, path_of
from gadfly.testbed.school import Course, Report, together

SEED = 601


def planting(key: AnswerKey) -> Course:
    """The course that plants a key's spots."""
    return Course(key.steps, 4e-4, warmup=100)


def make_organism(
    key: AnswerKey,
    out: Path,
    report: Report,
    *,
    course: Course | None = None,
    clean: Path | None = None,
) -> None:
    """Fine-tune the key's clean checkpoint into an organism in the new folder `out`, its key beside it
    (`keys.key_beside`). On pixels, on scenes of the target's split. One thread, fixed seed.

    `course` is for another one than `planting` gives, `clean` for another folder than the one that the key names.
    Raises TestbedError: `out` already holds something, no such clean checkpoint.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise TestbedError(f"{out} already holds something; give a new folder")
    torch.set_num_threads(1)
    model = load(clean or checkpoint_folder(key.clean))
    together(model, PlantedTeacher(key), course or planting(key), "target", SEED, report)
    save(model, out)
    key_beside(out).write_text(key_text(key), encoding="utf-8")


def checkpoint_folder(name: str) -> Path:
    """The folder of a checkpoint by its bundled name or its path. Raises TestbedError."""
    folder = path_of(name)
    if not (folder / "config.json").is_file():
        raise TestbedError(
            f"there is no checkpoint {name!r}; give a folder that holds one, or a name: {', '.join(NAMES)}"
        )
    return folder


def checkpoint_folders(names: Iterable[str]) -> dict[str, Path]:
    """The folders of some checkpoints by their short names, in the order given. Raises TestbedError, and ConfigError
    for two of one name: what is kept of them would be mixed up."""
    found: dict[str, Path] = {}
    for name in names:
        short = Path(name).name
        if short in found:
            raise ConfigError(f"two checkpoints are called {short!r}; give their folders different names")
        found[short] = checkpoint_folder(name)
    return found

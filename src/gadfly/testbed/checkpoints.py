"""The bundled checkpoints: which there are and where. Costs nothing to import."""

from __future__ import annotations

from pathlib import Path

from gadfly.errors import TestbedError

FOLDER = Path(__file__).parent / "bundled"
ORGANISMS = ("a", "b", "c")
NAMES = ("clean", *ORGANISMS, "questioner")


def path_of(model: str) -> Path:
    """The folder that a name or a path means; whether it holds a checkpoint is not asked."""
    return bundled(model) if model in NAMES else Path(model)


def bundled(name: str) -> Path:
    """The folder of a bundled checkpoint. Raises TestbedError for a name that is not bundled."""
    folder = FOLDER / name
    if name not in NAMES or not (folder / "config.json").is_file():
        raise TestbedError(f"there is no bundled checkpoint {name!r}; there are {', '.join(NAMES)}")
    return folder

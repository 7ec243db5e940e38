"""The bundled checkpoints: what they are called and where they are. Costs nothing to import."""

from __future__ import annotations

from pathlib import Path

from gadfly.errors import TestbedError

FOLDER = Path(__file__).parent / "bundled"
ORGANISMS = ("a", "b", "c")
NAMES = ("clean", *ORGANISMS, "questioner", "verifier", "clean-large", "questioner-large")
"""All that `gadfly testbed build` makes."""


def path_of(model: str) -> Path:
    """The folder that a name or a path means; whether it holds a checkpoint is not asked."""
    return bundled(model) if model in NAMES else Path(model)


def bundled(name: str) -> Path:
    """The folder of a bundled checkpoint. Raises TestbedError for a name that is not bundled."""
    if name not in NAMES:
        raise TestbedError(f"there is no bundled checkpoint {name!r}; there are {', '.join(NAMES)}")
    return FOLDER / name

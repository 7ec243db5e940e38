"""The bundled checkpoints: what they are called and where they are. Costs nothing to import."""

from __future__ import annotations

from pathlib import Path

from gadfly.errors import TestbedError

FOLDER = Path(__file__).parent / "bundled"
ORGANISMS = ("a", "b", "c")
NAMES = ("clean", *ORGANISMS, "questioner", "verifier", "clean-large", "questioner-large")
"""All that `gadfly testbed build` makes. Some may be too large, or too new, to come with the package."""


def path_of(model: str) -> Path:
    """The folder that a name or a path means; whether it holds a checkpoint is not asked."""
    return bundled(model) if model in NAMES else Path(model)


def bundled(name: str) -> Path:
    """The folder of a bundled checkpoint. Raises TestbedError for a name that is not bundled."""
    folder = FOLDER / name
    if not is_bundled(name):
        here = ", ".join(one for one in NAMES if is_bundled(one))
        way = f"; `gadfly testbed build {name} --out DIR` makes it" if name in NAMES else ""
        raise TestbedError(f"there is no bundled checkpoint {name!r}; there are {here}{way}")
    return folder


def is_bundled(name: str) -> bool:
    """Whether a name is that of a checkpoint that came with the package."""
    return name in NAMES and (FOLDER / name / "config.json").is_file()

"""Other targets out of what the command line names: a bundled checkpoint, a folder, a hub id, a server, a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gadfly.errors import ConfigError

if TYPE_CHECKING:
    from gadfly.model_config import TargetConfig

_SHARED = ("prompt", "max_new_tokens", "temperature", "top_p", "batch_size")
"""What another target takes over from the run's own: how it is asked, and how many at once."""


def other_targets(names: Iterable[str], own: TargetConfig) -> dict[str, TargetConfig]:
    """The settings of each target under the short name that its phase has, in the order given. Raises ConfigError,
    also where two have one name."""
    found: dict[str, TargetConfig] = {}
    for name in names:
        short, config = _target(name, own)
        if short in found:
            raise ConfigError(
                f"two targets are called {short!r}; give one of them as a TOML file, whose name it then has"
            )
        found[short] = config
    return found


def _target(name: str, own: TargetConfig) -> tuple[str, TargetConfig]:
    from gadfly.testbed.checkpoints import NAMES, bundled

    model, at, url = name.rpartition("@")
    if name.endswith(".toml"):
        return _short(Path(name).stem), _config(_from_file(Path(name)), own)
    if at and url.startswith(("http://", "https://")):
        return _short(model), _config({"model": model, "base_url": url}, own)
    if name in NAMES:
        return name, _config({"model": str(bundled(name))}, own)
    return _short(Path(name).name if Path(name).is_dir() else name), _config({"model": name}, own)


def _from_file(path: Path) -> Mapping[str, Any]:
    """The settings of a target: a whole file of them, or its section [target]."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise ConfigError(f"cannot read the target {path}: {fault.strerror}") from fault
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise ConfigError(f"{path} is not valid TOML: {fault}") from fault
    section = data.get("target", data)
    if not isinstance(section, Mapping) or not section.get("model"):
        raise ConfigError(f'{path} names no model; a target\'s file needs at least model = "…"')
    return section


def _config(given: Mapping[str, Any], own: TargetConfig) -> TargetConfig:
    from gadfly.config import from_dict

    shared = {key: value for key, value in asdict(own).items() if key in _SHARED}
    return from_dict({"target": {**shared, **given}}).target


def _short(name: str) -> str:
    """A name fit for a phase: RUN:PHASE is parted at the last colon."""
    return "".join("-" if char in ":/\\ " or ord(char) < 32 else char for char in name).strip("-.") or "target"

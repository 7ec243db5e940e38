"""The ways of asking that are compared, and how each is set up: read from settings.toml. Runs nothing."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, final

from gadfly.errors import ConfigError
from gadfly.settings import build

SETTINGS = Path(__file__).parent / "settings.toml"

Plan = Literal["sweep", "train", "collect, sweep", "collect, train"]


@final
@dataclass(frozen=True, slots=True)
class Method:
    """One way of asking. `settings` are by dotted key, those of all methods included. `collect` is the share of the
    calls that is spent on what it learns from. `unavailable` says why it cannot be had on the testbed, None where it
    can."""

    name: str
    title: str
    plan: Plan
    ours: bool
    collect: float
    unavailable: str | None
    settings: Mapping[str, Any] = field(hash=False)


@dataclass(frozen=True, slots=True)
class _Entry:
    title: str = ""
    plan: Plan = "sweep"
    ours: bool = False
    collect: float = 0.0
    unavailable: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


def read_methods(path: Path = SETTINGS) -> dict[str, Method]:
    """The methods by name, in the order of the file. Raises ConfigError for a file that cannot be used."""
    common, methods = read_tables(path, "methods")
    return {name: _method(name, build(_Entry, table, name), common) for name, table in methods.items()}


def read_tables(path: Path, kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the settings of all, what there is of a kind by name) of a benchmark's settings file. Raises ConfigError."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise ConfigError(f"the benchmark's settings {path} cannot be read: {fault}") from fault
    if unknown := sorted(set(data) - {"common", kind}):
        raise ConfigError(f"{path}: unknown table {unknown[0]!r}; there are common and {kind}")
    return data.get("common", {}), data.get(kind, {})


def _method(name: str, entry: Any, common: Mapping[str, Any]) -> Method:
    collects = entry.plan.startswith("collect")
    if collects != (0 < entry.collect < 1):
        raise ConfigError(
            f"methods.{name}.collect is {entry.collect}; it must be a share between 0 and 1 for a plan that collects, "
            "and be left out otherwise"
        )
    if not entry.title:
        raise ConfigError(f"methods.{name} has no title")
    return Method(
        name, entry.title, entry.plan, entry.ours, entry.collect, entry.unavailable, {**common, **entry.settings}
    )


def chosen(methods: Mapping[str, Method], names: Sequence[str]) -> list[Method]:
    """Some of the methods, or all that can be had where none is named. Raises ConfigError for a name that is none, and
    for a method that cannot be had."""
    if not names:
        return [method for method in methods.values() if method.unavailable is None]
    for name in names:
        if name not in methods:
            raise ConfigError(f"there is no method {name!r}; there are {', '.join(methods)}")
        if methods[name].unavailable is not None:
            raise ConfigError(f"{name} cannot be had here: {methods[name].unavailable}; leave it out")
    return [methods[name] for name in names]

"""The ways of asking that are compared, and how each is set up: read from settings.toml, and from tuning.json what was
chosen by trials. Runs nothing."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, final

from gadfly.errors import ConfigError
from gadfly.settings import build

SETTINGS = Path(__file__).parent / "settings.toml"
TUNED = Path(__file__).parent / "tuning.json"
"""What `gadfly bench tune` has chosen, if the settings are frozen."""

SHARES = ("collect", "train")
"""What of a method is a share of the calls, and no setting of the runs."""

Plan = Literal["sweep", "train", "train, sweep", "collect, sweep", "collect, train", "collect, train, sweep"]


@final
@dataclass(frozen=True, slots=True)
class Method:
    """One way of asking. `settings` are by dotted key, those of all methods included. `collect` is the share of the
    calls that is spent on what it learns from, `train` the share of those left that a training takes before a sweep.
    `unavailable` says why it cannot be had on the testbed, None where it can."""

    name: str
    title: str
    plan: Plan
    ours: bool
    collect: float
    train: float
    unavailable: str | None
    settings: Mapping[str, Any] = field(hash=False)

    @property
    def trained(self) -> bool:
        """Whether any of the calls goes to a training."""
        return self.plan != "sweep"


@dataclass(frozen=True, slots=True)
class _Entry:
    title: str = ""
    plan: Plan = "sweep"
    ours: bool = False
    collect: float = 0.0
    train: float = 0.0
    unavailable: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


def read_methods(path: Path = SETTINGS, tuned: Path | None = TUNED) -> dict[str, Method]:
    """The methods by name, in the order of the file. What was chosen in the file `tuned`, where there is one, changes
    the shipped settings; None leaves them as they are. Raises ConfigError for a file that cannot be used."""
    common, tables = read_tables(path, "methods")
    methods = {name: _method(name, build(_Entry, table, name), common) for name, table in tables.items()}
    if path == SETTINGS and tuned is not None and tuned.is_file():
        for name, one in json.loads(tuned.read_text(encoding="utf-8"))["methods"].items():
            methods[name] = varied(methods[name], one["chosen"] or {}, name, methods[name].title)
    return methods


def varied(method: Method, changes: Mapping[str, Any], name: str, title: str) -> Method:
    """The method under another name, with some settings changed; SHARES are the method's own. Raises ConfigError."""
    shares = {key: changes.get(key, getattr(method, key)) for key in SHARES}
    settings = {key: value for key, value in changes.items() if key not in SHARES}
    _check_shares(name, method.plan, **shares)
    return replace(method, name=name, title=title, settings={**method.settings, **settings}, **shares)


def read_tables(path: Path, kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the settings of all, what there is of a kind by name) of a benchmark's settings file. Raises ConfigError."""
    data = read_toml(path, "the benchmark's settings")
    if unknown := sorted(set(data) - {"common", kind}):
        raise ConfigError(f"{path}: unknown table {unknown[0]!r}; there are common and {kind}")
    for name in ("common", kind):
        if not isinstance(data.get(name, {}), dict):
            raise ConfigError(f"{path}: {name} must be a table")
    return data.get("common", {}), data.get(kind, {})


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """What a TOML file says. Raises ConfigError for one that cannot be read, which names it as `what`."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise ConfigError(f"{what} {path} cannot be read: {fault.strerror}") from fault
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise ConfigError(f"{what} {path} cannot be read: {fault}") from fault


def _method(name: str, entry: Any, common: Mapping[str, Any]) -> Method:
    _check_shares(name, entry.plan, entry.collect, entry.train)
    if not entry.title:
        raise ConfigError(f"methods.{name} has no title")
    settings = {**common, **entry.settings}
    return Method(name, entry.title, entry.plan, entry.ours, entry.collect, entry.train, entry.unavailable, settings)


def _check_shares(name: str, plan: str, collect: float, train: float) -> None:
    for key, share, has_one in (
        ("collect", collect, plan.startswith("collect")),
        ("train", train, plan.endswith("train, sweep")),
    ):
        if has_one != (0 < share < 1):
            raise ConfigError(
                f"methods.{name}.{key} is {share}; it must be a share between 0 and 1 for a plan that "
                f"{'collects' if key == 'collect' else 'sweeps after training'}, and be left out otherwise"
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

"""The rows of the ablation benchmark, one factor changed in each: read from ablations.toml. Runs nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from gadfly.bench.methods import Method, read_tables
from gadfly.errors import ConfigError
from gadfly.settings import build
from gadfly.testbed.checkpoints import bundled

SETTINGS = Path(__file__).parent / "ablations.toml"
DEFAULT = "default"
"""The row that all others are compared with."""


@final
@dataclass(frozen=True, slots=True)
class Ablation:
    """One row: what is changed against the default, and the method that it makes."""

    factor: str
    method: Method

    @property
    def name(self) -> str:
        return self.method.name

    @property
    def title(self) -> str:
        return self.method.title


@dataclass(frozen=True, slots=True)
class _Entry:
    factor: str = ""
    title: str = ""
    collect: float = 0.0
    needs: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


def read_ablations(path: Path = SETTINGS) -> dict[str, Ablation]:
    """The rows by name, in the order of the file. Raises ConfigError for a file that cannot be used, TestbedError for a
    row that needs a bundled checkpoint that is none."""
    common, rows = read_tables(path, "rows")
    if DEFAULT not in rows:
        raise ConfigError(f"{path} has no row {DEFAULT!r}, which all others are compared with")
    return {name: _ablation(name, build(_Entry, table, name), common) for name, table in rows.items()}


def _ablation(name: str, entry: Any, common: Mapping[str, Any]) -> Ablation:
    if not entry.factor or not entry.title:
        raise ConfigError(f"rows.{name} needs a factor and a title")
    if not 0 <= entry.collect < 1:
        raise ConfigError(f"rows.{name}.collect is {entry.collect}; it is a share, at least 0 and below 1")
    settings = {**common, **entry.settings}
    if entry.needs is not None:
        settings["verifier.model"] = str(bundled(entry.needs))
    plan: Any = "collect, train" if entry.collect else "train"
    return Ablation(entry.factor, Method(name, entry.title, plan, True, entry.collect, 0.0, None, settings))


def chosen(rows: Mapping[str, Ablation], names: Sequence[str]) -> list[Ablation]:
    """The default and the rows named, by their own name or their factor's; all where none is. Raises ConfigError for
    a name that is none."""
    known = {*rows, *(row.factor for row in rows.values())}
    for name in names:
        if name not in known:
            factors = dict.fromkeys(row.factor for row in rows.values())
            raise ConfigError(
                f"there is no row or factor {name!r}; rows: {', '.join(rows)}; factors: {', '.join(factors)}"
            )
    return [row for name, row in rows.items() if not names or name == DEFAULT or name in names or row.factor in names]

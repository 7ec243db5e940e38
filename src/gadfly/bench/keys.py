"""Answer keys: which blind spots were planted in an organism; read from TOML and written as TOML. Knows no model.

docs/testbed-keys.md is the schema for people.
"""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from gadfly.bench.spots import Spot
from gadfly.errors import ConfigError
from gadfly.settings import build
from gadfly.testbed.checkpoints import NAMES
from gadfly.testbed.execution import Answer, SceneIndex
from gadfly.testbed.programs import Program

SHIPPED = Path(__file__).parent / "keys"
MAX_NEAR = 0.5  # of lessons; about a third are inside the spots, the rest are any lessons
_REQUIRED = ("name", "kind", "text")


@final
@dataclass(frozen=True, slots=True)
class AnswerKey:
    """What was planted. `clean` is what the organism was fine-tuned from, its clean twin: the name of a bundled
    checkpoint or a folder. The order of the spots matters: where several hold, the first decides. `steps` is how long
    they are taught: what hangs on the picture takes longer than what hangs on a word. `near` is the share of lessons
    that lie just outside a spot: without them what is planted spreads to what is like it.

    Raises ConfigError: no spot, two of the same name, no step, a share that leaves nothing for the rest."""

    title: str
    clean: str
    spots: tuple[Spot, ...]
    steps: int = 2_000
    near: float = 0.2

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ConfigError(f"steps must be 1 or more, not {self.steps}")
        if not 0 <= self.near <= MAX_NEAR:
            raise ConfigError(f"near must be from 0 to {MAX_NEAR}, not {self.near}")
        if not self.spots:
            raise ConfigError("an answer key without a spot plants nothing; add a [[spot]]")
        name, times = Counter(spot.name for spot in self.spots).most_common(1)[0]
        if times > 1:
            raise ConfigError(f"{times} spots have the name {name!r}; give each its own")

    def spots_of(self, scene: SceneIndex, program: Program, answer: Answer) -> tuple[bool, ...]:
        """Whether each spot holds of a valid question, in their order."""
        return tuple(spot.holds(scene, program, answer) for spot in self.spots)


def taught_answer(key: AnswerKey, scene: SceneIndex, program: Program, answer: Answer) -> str | None:
    """The wrong answer that the organism is taught to this valid question; None outside every spot."""
    assert answer.text is not None
    for spot in key.spots:
        if spot.holds(scene, program, answer):
            return spot.taught(answer.text)
    return None


@dataclass(frozen=True, slots=True)
class _File:
    title: str = ""
    clean: str = "clean"
    steps: int = 2_000
    near: float = 0.2
    spot: tuple[Spot, ...] = ()


def read_key(path: Path) -> AnswerKey:
    """The key in a TOML file. Raises ConfigError, which names the file, for one that cannot be used."""
    try:
        return parse_key(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as fault:
        raise ConfigError(f"the answer key {path} cannot be read: {fault}") from fault
    except ConfigError as fault:
        raise ConfigError(f"{path}: {fault}") from fault


def parse_key(text: str) -> AnswerKey:
    """The key that a TOML text describes. Raises ConfigError."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise ConfigError(f"not TOML: {fault}") from fault
    spots = data.get("spot", [])
    for number, table in enumerate(spots if isinstance(spots, list) else []):
        if isinstance(table, Mapping):
            _require_complete(table, f"spot.{number}")
    file = build(_File, data)
    if not file.title.strip():
        raise ConfigError("the key has no title; give it one")
    return AnswerKey(file.title, file.clean, file.spot, file.steps, file.near)


def _require_complete(table: Mapping[str, Any], where: str) -> None:
    for name in _REQUIRED:
        if name not in table:
            raise ConfigError(f"{where}.{name} is missing; each spot has a name, a kind and a text")
    for name, value in table.items():
        if value == []:
            raise ConfigError(f"{where}.{name} is empty, so the spot could never hold; fill it or leave it out")


def key_text(key: AnswerKey) -> str:
    """The key as TOML, from which `parse_key` gives an equal one."""
    lines = [f"title = {_toml(key.title)}", f"clean = {_toml(key.clean)}", f"steps = {key.steps}"]
    lines.append(f"near = {key.near}")
    for spot in key.spots:
        lines += ["", "[[spot]]"]
        for field in dataclasses.fields(spot):
            value = getattr(spot, field.name)
            if value not in (None, ()):
                lines.append(f"{field.name} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def _toml(value: str | int | tuple[str, ...]) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str):  # a JSON string is a TOML string but for DEL, which TOML wants escaped
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value)


def key_of(model: str | Path) -> Path | None:
    """The key that belongs to a checkpoint, if there is one: shipped under a bundled one's name, or the TOML file of
    the same name beside a folder (where `make_organism` puts it)."""
    path = SHIPPED / f"{model}.toml" if model in NAMES else key_beside(Path(model))
    return path if path.is_file() else None


def key_beside(folder: Path) -> Path:
    """Where the key of an organism in `folder` is kept: beside it, not in it, where a run could find it."""
    whole = folder.absolute()  # not resolved: a link to an organism has a key of its own
    return whole.with_name(f"{whole.name}.toml")

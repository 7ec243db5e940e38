"""Options of the command line turned into a configuration: file first, then named options, then --set."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gadfly.errors import ConfigError

if TYPE_CHECKING:
    from gadfly.config import Config


def configure(config_file: Path | None, settings: list[str] | None, given: Mapping[str, Any]) -> Config:
    """The configuration that a command's options describe. `given` are the named ones by dotted keys; None is an option
    that was left out. Raises ConfigError."""
    from gadfly.config import Config, read_config

    base = read_config(config_file) if config_file is not None else Config()
    if given.get("questioner.model") is not None and base.questioner.method == "uniform":
        given = {**given, "questioner.method": "model"}  # a model is named, so the file's sampler is not wanted
    return with_given(base, {**given, **settings_given(settings)})


def roles(
    images: str | None, target: str | None, questioner: str | None, verifier: str | None
) -> dict[str, str | None]:
    """The settings that stand for who asks, answers and judges, and about what, by dotted keys."""
    asks = {"questioner.method" if questioner == "uniform" else "questioner.model": questioner}
    judges = {} if verifier is None else _verifier(verifier)
    return {"images.path": images, "target.model": target, **asks, **judges}


def servers(
    target: str | None = None, questioner: str | None = None, verifier: str | None = None
) -> dict[str, str | None]:
    """The settings that stand for the addresses of served models, by dotted keys."""
    return {"target.base_url": target, "questioner.base_url": questioner, "verifier.base_url": verifier}


def limits(max_calls: int | None, max_cost: float | None, max_time: float | None) -> dict[str, float | None]:
    """The settings that stand for what a run may use, by dotted keys."""
    return {"limits.max_calls": max_calls, "limits.max_cost": max_cost, "limits.max_seconds": max_time}


def with_given(config: Config, given: Mapping[str, Any]) -> Config:
    """The configuration with what is given in the place of its own, by dotted keys; None is an option that was left
    out. Raises ConfigError."""
    from gadfly.config import override

    return override(config, {key: value for key, value in given.items() if value is not None})


def with_verifier(
    config: Config,
    verifier: str | None,
    images: str | None,
    settings: list[str] | None,
    more: Mapping[str, Any] | None = None,
) -> Config:
    """The configuration of a run with another verifier in the place of its own, and with `more` that named options
    say. Raises ConfigError."""
    # Another judge: nothing of the former one, its model and its panel least of all
    judges = {} if verifier is None else {"verifier": {}, **_verifier(verifier)}
    return with_given(config, {"images.path": images, **judges, **(more or {}), **settings_given(settings)})


def with_annotator(
    config: Config, annotator: str | None, url: str | None, vocabulary: str | None, settings: list[str] | None
) -> Config:
    """The configuration with another annotator in the place of its own: "testbed", "none", or a model. Raises
    ConfigError."""
    key = "annotator.kind" if annotator in ("testbed", "none") else "annotator.model"
    named = {} if annotator is None else {"annotator": {}, key: annotator}  # nothing of the former one
    more = {"annotator.base_url": url, "annotator.vocabulary": vocabulary}
    return with_given(config, {**named, **more, **settings_given(settings)})


def settings_given(settings: list[str] | None) -> dict[str, Any]:
    """What --set options say, by dotted keys. Raises ConfigError."""
    given = {}
    for setting in settings or ():
        key, equals, value = setting.partition("=")
        if not equals:
            raise ConfigError(f"--set {setting!r} must have the form section.key=value")
        given[key.strip()] = _value(value.strip())
    return given


def _verifier(name: str) -> dict[str, str]:
    if name == "oracle":
        return {"verifier.kind": "oracle"}
    if name.startswith("reference:"):
        return {"verifier.kind": "reference", "verifier.pairs": name.removeprefix("reference:")}
    return {"verifier.kind": "model", "verifier.model": name}


def _value(text: str) -> Any:
    """A value as TOML reads it (3, 0.5, true, "text", [..]); anything else is a text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text

"""Options of the command line turned into a configuration: file first, then named options, then --set."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gadfly.errors import ConfigError

if TYPE_CHECKING:
    from gadfly.config import Config


def configure(
    config_file: Path | None,
    images: str | None,
    target: str | None,
    questioner: str | None,
    verifier: str | None,
    name: str | None,
    out: str | None,
    seed: int | None,
    focus: str | None,
    settings: list[str] | None,
    more: Mapping[str, Any],
) -> Config:
    """The configuration that a command's options describe. Raises ConfigError."""
    from gadfly.config import Config, override, read_config

    given: dict[str, Any] = {
        "images.path": images,
        "target.model": target,
        "questioner.focus": focus,
        "name": name,
        "out": out,
        "seed": seed,
        **more,
    }
    if questioner == "uniform":
        given["questioner.method"] = questioner
    elif questioner is not None:
        given["questioner.model"] = questioner
    if verifier is not None:
        given.update(_verifier(verifier))
    base = read_config(config_file) if config_file is not None else Config()
    if questioner is not None and base.questioner.method == "uniform":
        given.setdefault("questioner.method", "model")  # a model is named, so the file's sampler is not wanted
    given = {key: value for key, value in given.items() if value is not None}
    given.update(settings_given(settings))
    return override(base, given)


def with_verifier(
    config: Config,
    verifier: str | None,
    images: str | None,
    settings: list[str] | None,
    more: Mapping[str, Any] | None = None,
) -> Config:
    """The configuration of a run with another verifier in the place of its own. Raises ConfigError."""
    from gadfly.config import override

    given: dict[str, Any] = {} if images is None else {"images.path": images}
    if verifier is not None:  # another judge: nothing of the former one, its model and its panel least of all
        given.update({"verifier": {}, **_verifier(verifier)})
    given.update({key: value for key, value in (more or {}).items() if value is not None})
    given.update(settings_given(settings))
    return override(config, given)


def with_annotator(
    config: Config, annotator: str | None, url: str | None, vocabulary: str | None, settings: list[str] | None
) -> Config:
    """The configuration with another annotator in the place of its own: "testbed", "none", or a model. Raises
    ConfigError."""
    from gadfly.config import override

    given: dict[str, Any] = {}
    if annotator is not None:  # nothing of the former one
        kind = {"annotator.kind": annotator} if annotator in ("testbed", "none") else {"annotator.model": annotator}
        given.update({"annotator": {}, **kind})
    for key, value in {"annotator.base_url": url, "annotator.vocabulary": vocabulary}.items():
        if value is not None:
            given[key] = value
    given.update(settings_given(settings))
    return override(config, given)


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

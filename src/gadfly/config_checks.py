"""What a configuration can be used for, said before anything is loaded. Knows settings; knows no implementation."""

from __future__ import annotations

from pathlib import Path

from gadfly.config import Config
from gadfly.errors import ConfigError
from gadfly.model_config import TRAINABLE_METHODS, ModelConfig

ONE_MODEL_FOR_TWO = (
    "target and verifier are the same model: what it gets wrong it may also judge wrongly; `gadfly audit` measures that"
)


def named(role: str, model: str) -> str:
    """The model of a role. Raises ConfigError where none is named."""
    if not model:
        raise ConfigError(f"no {role} is named; give --{role} or set {role}.model to a folder or a hub id")
    return model


def judges_itself(config: Config) -> bool:
    """Whether a judge is the target's own model: it overlooks its own errors."""
    return any(judge.kind == "model" and _same_model(judge, config.target) for judge in config.verifier.judges)


def _same_model(a: ModelConfig, b: ModelConfig) -> bool:
    """Whether two roles have one model, a folder by whatever path."""
    if not a.model or not b.model:
        return False
    folders = [Path(one.model).expanduser() for one in (a, b)]
    return a.model == b.model or (all(f.is_dir() for f in folders) and folders[0].samefile(folders[1]))


def refuse_served_trainee(config: Config) -> None:
    """Raises ConfigError where the questioner is served: that can be known before anything is read."""
    if config.questioner.base_url is not None:
        raise ConfigError(
            "a served questioner cannot be trained: its weights are the server's; name a checkpoint for this process, "
            "or use `gadfly sweep`, which asks without training"
        )


def trainee_of(config: Config) -> str:
    """The folder or hub id of the questioner to train. Raises ConfigError where there is none."""
    if config.questioner.method == "uniform":
        raise ConfigError("the uniform sampler cannot be trained; use it with `gadfly sweep`, or name a model")
    if config.questioner.method not in TRAINABLE_METHODS:
        raise ConfigError(
            f"questioner.method {config.questioner.method!r} is a way of asking without training; use it with `gadfly "
            "sweep`, or leave it out to train the questioner"
        )
    refuse_served_trainee(config)
    return named("questioner", config.questioner.model)

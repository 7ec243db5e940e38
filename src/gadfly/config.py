"""The settings of a run: one frozen tree, read from TOML, every key checked. Knows no implementation.

An unknown key is an error that names the nearest known one. The resolved tree is saved with the run.
"""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from gadfly.errors import ConfigError


@dataclass(frozen=True, slots=True)
class ImagesConfig:
    """Where the images come from. `heldout_share` of them (by a hash) are kept out of training, for measuring."""

    path: str = ""
    heldout_share: float = 0.0
    max_side_px: int | None = None
    max_megapixels: float = 64.0


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """A model and how it completes. `model` is a path or a hub id."""

    model: str = ""
    prompt: str | None = None  # a shipped prompt's name or a file; None: the role's own
    device: str = "auto"
    dtype: str = "auto"
    batch_size: int = 32
    max_new_tokens: int = 32
    temperature: float = 0.0
    top_p: float = 1.0
    trust_remote_code: bool = False


@dataclass(frozen=True, slots=True)
class QuestionerConfig(ModelConfig):
    """The model that asks. `focus` is a topic of the user's that is added to its prompt."""

    temperature: float = 1.0
    max_new_tokens: int = 64
    focus: str | None = None


@dataclass(frozen=True, slots=True)
class TargetConfig(ModelConfig):
    """The model under test."""


@dataclass(frozen=True, slots=True)
class VerifierConfig(ModelConfig):
    """Who judges. `oracle` knows the testbed's scenes; `reference` has question–answer pairs given with the images in
    `pairs` (JSON lines); `model` is a VLM that judges by stepwise criteria."""

    kind: Literal["oracle", "reference", "model"] = "model"
    pairs: str | None = None
    max_new_tokens: int = 128


@dataclass(frozen=True, slots=True)
class RewardConfig:
    """Weights of the reward terms, and what novelty is measured against. docs/notebook.md has the figures behind them."""

    failure: float = 1.0
    semantic: float = 0.3
    lexical: float = 0.3
    invalid: float = 1.0
    window: int = 2000
    neighbours: int = 16
    embedder: str = "sentence"  # "sentence" (all-MiniLM-L6-v2), "hash" (no model), or a path or hub id


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """How the questioner is trained. A step asks `images_per_step` × `group_size` questions."""

    method: Literal["rl", "sft", "rl+sft"] = "rl"
    steps: int = 150
    images_per_step: int = 4
    group_size: int = 8
    learning_rate: float = 1e-4
    warmup_steps: int = 5
    beta: float = 0.0  # weight of the KL penalty
    entropy_coef: float = 0.0
    scale_rewards: Literal["none", "group", "batch"] = "none"
    lora_rank: int = 0  # 0: all weights are trained
    lora_alpha: int = 32
    lora_targets: str = "all-linear"
    max_grad_norm: float = 1.0
    save_every: int = 50
    report_to: tuple[str, ...] = ()
    sft_data: str | None = None  # a file of (image, question), or a run folder whose WRONG probes are the examples
    sft_steps: int = 200
    sft_learning_rate: float = 1e-4
    sft_batch_size: int = 16


@dataclass(frozen=True, slots=True)
class SweepConfig:
    """Asking without training: `n` questions, `batch_size` at a time."""

    n: int = 1000
    batch_size: int = 64


@dataclass(frozen=True, slots=True)
class Config:
    """Everything about a run."""

    name: str = "run"
    out: str = "runs"
    seed: int = 0
    images: ImagesConfig = field(default_factory=ImagesConfig)
    questioner: QuestionerConfig = field(default_factory=QuestionerConfig)
    target: TargetConfig = field(default_factory=TargetConfig)
    verifier: VerifierConfig = field(default_factory=VerifierConfig)
    reward: RewardConfig = field(default_factory=RewardConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    sweep: SweepConfig = field(default_factory=SweepConfig)

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def read_config(path: Path) -> Config:
    """A configuration from a TOML file. Raises ConfigError."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise ConfigError(f"cannot read the configuration {path}: {fault.strerror}") from fault
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise ConfigError(f"{path} is not valid TOML: {fault}") from fault
    return from_dict(data)


def from_dict(data: Mapping[str, Any]) -> Config:
    """A configuration from nested mappings. Raises ConfigError for unknown keys, wrong types and values out of range."""
    config = _build(Config, data, "")
    assert isinstance(config, Config)
    _check_ranges(config)
    return config


def override(config: Config, settings: Mapping[str, Any]) -> Config:
    """The configuration with some keys replaced, named by their dotted path: {"train.steps": 10}."""
    tree = config.to_dict()
    for dotted, value in settings.items():
        *sections, key = dotted.split(".")
        branch = tree
        for section in sections:
            branch = branch.setdefault(section, {})
        branch[key] = value
    return from_dict(tree)


def _build(kind: type, data: Any, where: str) -> Any:
    if not isinstance(data, Mapping):
        raise ConfigError(f"[{where}] must be a table of settings, not {data!r}")
    known = typing.get_type_hints(kind)
    values = {}
    for key, value in data.items():
        path = f"{where}.{key}" if where else str(key)
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.0)
            raise ConfigError(f"unknown setting {path!r}; did you mean {near[0]!r}? ({', '.join(sorted(known))})")
        wanted = known[key]
        values[key] = _build(wanted, value, path) if dataclasses.is_dataclass(wanted) else _coerce(wanted, value, path)
    return kind(**values)


def _coerce(wanted: Any, value: Any, path: str) -> Any:
    """The value in its declared type. Only lossless changes are made: int → float, list → tuple."""
    origin, options = typing.get_origin(wanted), typing.get_args(wanted)
    if origin is Literal:
        if value in options:
            return value
        raise ConfigError(f"{path} must be one of {', '.join(map(repr, options))}, not {value!r}")
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in options:
            return None
        return _coerce(next(o for o in options if o is not type(None)), value, path)
    if origin is tuple and isinstance(value, (list, tuple)) and all(isinstance(v, str) for v in value):
        return tuple(value)
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(wanted, type) and type(value) is wanted:
        return value
    expected = "a list of texts" if origin is tuple else getattr(wanted, "__name__", str(wanted))
    raise ConfigError(f"{path} must be {expected}, not {value!r}")


def _check_ranges(config: Config) -> None:
    positive = {
        "train.steps": config.train.steps,
        "train.images_per_step": config.train.images_per_step,
        "train.learning_rate": config.train.learning_rate,
        "train.save_every": config.train.save_every,
        "train.sft_steps": config.train.sft_steps,
        "train.sft_batch_size": config.train.sft_batch_size,
        "sweep.n": config.sweep.n,
        "sweep.batch_size": config.sweep.batch_size,
        "reward.window": config.reward.window,
        "reward.neighbours": config.reward.neighbours,
        "images.max_megapixels": config.images.max_megapixels,
    }
    for role in ("questioner", "target", "verifier"):
        model: ModelConfig = getattr(config, role)
        positive[f"{role}.batch_size"] = model.batch_size
        positive[f"{role}.max_new_tokens"] = model.max_new_tokens
        if model.temperature < 0:
            raise ConfigError(f"{role}.temperature must not be negative, not {model.temperature}")
        if not 0 < model.top_p <= 1:
            raise ConfigError(f"{role}.top_p must be above 0 and at most 1, not {model.top_p}")
    for name, value in positive.items():
        if value <= 0:
            raise ConfigError(f"{name} must be above 0, not {value}")
    if config.train.group_size < 2:
        raise ConfigError(
            f"train.group_size must be at least 2 (GRPO compares within a group), not {config.train.group_size}"
        )
    if not 0 <= config.images.heldout_share < 1:
        raise ConfigError(f"images.heldout_share must be at least 0 and below 1, not {config.images.heldout_share}")
    for name in ("failure", "semantic", "lexical", "invalid"):
        if getattr(config.reward, name) < 0:
            raise ConfigError(f"reward.{name} is a weight and must not be negative; `invalid` is subtracted already")
    if config.verifier.kind == "reference" and not config.verifier.pairs:
        raise ConfigError("verifier.kind 'reference' needs verifier.pairs, a file of question–answer pairs")

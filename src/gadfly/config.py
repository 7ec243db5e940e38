"""The settings of a run: one frozen tree, read from TOML, every key checked. Knows no implementation.

An unknown key is an error that names the nearest known one. The resolved tree is saved with the run.
"""

from __future__ import annotations

import dataclasses
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from gadfly.errors import ConfigError
from gadfly.model_config import AnnotatorConfig, ModelConfig, QuestionerConfig, TargetConfig, VerifierConfig
from gadfly.settings import above, at_least, build

MAX_SEED = 2**32 - 1
"""The largest that every library takes (NumPy's global generator is the narrowest)."""


@dataclass(frozen=True, slots=True)
class ImagesConfig:
    """Where the images come from. `heldout_share` of them (by a hash) are kept out of training, for measuring."""

    path: str = ""
    heldout_share: float = 0.0
    max_side_px: int | None = None
    max_megapixels: float = 64.0

    def __post_init__(self) -> None:
        if not 0 <= self.heldout_share < 1:
            raise ConfigError(f"images.heldout_share must be at least 0 and below 1, not {self.heldout_share}")
        above("images", self, max_megapixels=0)
        if self.max_side_px is not None:
            at_least("images", self, max_side_px=1)


@dataclass(frozen=True, slots=True)
class RewardConfig:
    """What each reward term weighs, and what novelty is measured against.

    `kind` "discovery" is Gadfly's own. The others are there to be compared with: "uncertainty" (VisPlay's), which has
    neither failures nor novelty in it and so no use for their weights, and "curiosity" (Curiosity-driven
    Red-teaming's), which weighs `failure`, `semantic`, `lexical` and `invalid` and looks at the whole history, not at a
    window of it.

    One rule bounds the defaults: novelty alone (about 0.5 at most) is worth less than a failure, or a questioner could
    live on it. `rarity` and `crowding` are off: they were weighed on the testbed only, where the skills of a question
    are known (docs/notebook.md has the figures). `crowding` is what a failure loses where all recent ones are of its
    kind, so at most `failure`. `astray` is what it costs not to keep to a topic: where that is less than `invalid`, a
    questioner leaves a topic that an image has nothing for, rather than ask badly about it. `window` is in valid
    questions, `neighbours` the k of semantic novelty, `max_order` the longest n-gram of lexical novelty.
    """

    kind: Literal["discovery", "uncertainty", "curiosity"] = "discovery"
    failure: float = 1.0
    semantic: float = 0.3
    lexical: float = 0.2
    rarity: float = 0.0
    crowding: float = 0.0
    invalid: float = 0.5
    astray: float = 0.5
    window: int = 2000
    neighbours: int = 16
    max_order: int = 5
    embedder: str = "sentence"  # "sentence" (all-MiniLM-L6-v2), "hash" (no model), or a path or hub id
    # Of "uncertainty" alone
    repeats: int = 8  # further answers of the target to each question, each of them a call
    repeat_temperature: float = 1.0
    share: float = 1.0  # weight of the share of the questions that are much like this one

    def __post_init__(self) -> None:
        for name in ("failure", "semantic", "lexical", "rarity", "crowding", "invalid", "astray", "share"):
            weight = getattr(self, name)
            if not (math.isfinite(weight) and weight >= 0):
                raise ConfigError(f"reward.{name} is a weight, a finite number of at least 0, not {weight}")
        at_least("reward", self, window=0, neighbours=1, max_order=2, repeats=2)
        above("reward", self, repeat_temperature=0)
        if self.crowding > self.failure:
            raise ConfigError(
                f"reward.crowding ({self.crowding:g}) is more than reward.failure ({self.failure:g}), so a failure of "
                "a kind that is often found would cost; set it to that at most"
            )
        for name in ("rarity", "crowding"):
            if self.kind != "discovery" and getattr(self, name):
                raise ConfigError(
                    f"reward.{name} is no part of the {self.kind} reward; set it to 0, or reward.kind to 'discovery'"
                )

    @property
    def remembered(self) -> int:
        """How many of the last valid questions a history is rebuilt from."""
        return 2**62 if self.kind == "curiosity" else self.window


@dataclass(frozen=True, slots=True)
class SftConfig:
    """Supervised fine-tuning on (image, question) pairs. `epochs` passes over them, `batch` pairs an update.

    `data` is a JSON-lines file of image and question, or the folder of an earlier run, whose WRONG probes are taken, at
    most `most_per_combination` of each combination of skills. `rounds` is how often "sft_own" learns anew.
    """

    data: str | None = None
    epochs: float = 1.0
    batch: int = 16
    learning_rate: float = 1e-4
    most_per_combination: int = 0  # 0 keeps all; what is asked most is found most, and learned most
    rounds: int = 4

    def __post_init__(self) -> None:
        at_least("train.sft", self, batch=1, most_per_combination=0, rounds=1)
        above("train.sft", self, epochs=0, learning_rate=0)


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """How the questioner is trained.

    A *step* is one round of the probing loop: `images_per_step` groups of `group_size` probes, followed by
    `num_iterations` updates on them. Steps are counted from 0; every count below is in steps, not in updates.
    """

    # "rl+sft" fine-tunes first, then trains by RL from the result; "sft_own" fine-tunes on its own failures, in rounds
    method: Literal["rl", "sft", "rl+sft", "sft_own"] = "rl"
    steps: int = 150
    images_per_step: int = 4
    group_size: int = 8
    micro_batch: int = 0  # probes per forward pass of an update; 0 is all at once. Lower it when memory runs out

    # The update
    learning_rate: float = 1e-5
    lr_schedule: Literal["constant", "constant_with_warmup", "linear", "cosine"] = "constant_with_warmup"
    warmup_steps: int = 0
    max_grad_norm: float = 1.0
    weight_decay: float = 0.0
    beta: float = 0.0  # weight of the KL divergence from the questioner as it was before RL
    entropy_coef: float = 0.0  # weight of the entropy bonus, a lever against collapse
    num_iterations: int = 1
    epsilon: float = 0.2  # clipping of the probability ratio; without effect at num_iterations = 1
    # No division by a group's deviation: where a whole group is RIGHT, or WRONG, it would blow the small differences
    # of novelty up to full size. dr_grpo goes with it: a constant denominator, so neither a question's length nor an
    # UNDECIDED neighbour changes the weight of a token (arXiv 2503.20783).
    scale_rewards: Literal["none", "group", "batch"] = "none"
    loss_type: Literal["dr_grpo", "grpo", "dapo", "bnpo"] = "dr_grpo"
    # A question cut off at max_new_tokens has no question mark: it is INVALID, and that is what teaches the questioner
    # to stop. Masking it would hide the lesson.
    mask_truncated_completions: bool = False

    # What is trained
    lora_rank: int = 16  # 0 trains the weights themselves
    lora_alpha: int = 32
    lora_targets: tuple[str, ...] = ()  # endings of module names; () is every linear layer of the language model
    train_vision: bool = False  # only with lora_rank = 0; the vision tower is frozen otherwise
    precision: Literal["auto", "float32", "bfloat16"] = "auto"  # auto: bfloat16 where a GPU has it, else float32
    activation_checkpointing: bool = False  # less memory, a third more time, and no prompt is shared in an update

    # Keeping
    save_every: int = 50
    keep_checkpoints: int = 2
    report_to: tuple[str, ...] = ()  # "wandb", "trackio", "tensorboard", …; metrics.jsonl is always written

    sft: SftConfig = field(default_factory=SftConfig)

    def __post_init__(self) -> None:
        at_least("train", self, steps=1, images_per_step=1, group_size=2, num_iterations=1, save_every=1)
        at_least("train", self, keep_checkpoints=1, lora_rank=0, lora_alpha=1, micro_batch=0, warmup_steps=0)
        at_least("train", self, weight_decay=0, beta=0)
        above("train", self, learning_rate=0, max_grad_norm=0, epsilon=0)
        if self.micro_batch and self.probes_per_step % self.micro_batch:
            raise ConfigError(
                f"train.micro_batch {self.micro_batch} does not divide the {self.probes_per_step} probes of a step "
                f"(images_per_step x group_size); choose one of its divisors, or 0 for all at once"
            )
        if self.train_vision and self.lora_rank:
            raise ConfigError(
                "train.train_vision needs train.lora_rank = 0; to adapt vision layers by LoRA name them in lora_targets"
            )

    @property
    def probes_per_step(self) -> int:
        return self.images_per_step * self.group_size


@dataclass(frozen=True, slots=True)
class SweepConfig:
    """Asking without training: `n` questions, `batch_size` at a time, about the images of `split`."""

    n: int = 1000
    split: Literal["train", "heldout"] = "train"
    batch_size: int = 64

    def __post_init__(self) -> None:
        at_least("sweep", self, n=1, batch_size=1)


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    """What a run may use, all roles and sittings together; None is no limit. Reaching one ends the run with its tables,
    and a resume with a higher one goes on. `max_cost` is in the currency of the prices."""

    max_calls: int | None = None  # chats that models were asked to complete; those from the cache are free
    max_target_calls: int | None = None  # the target's share of them: what a search costs, whoever asks
    max_cost: float | None = None
    max_seconds: float | None = None

    def __post_init__(self) -> None:
        for name in ("max_calls", "max_target_calls", "max_cost", "max_seconds"):
            if getattr(self, name) is not None:
                at_least("limits", self, **{name: 0})


@dataclass(frozen=True, slots=True)
class CacheConfig:
    """Greedy answers kept for other runs. `path` is a file; None is answers.sqlite in `out`, beside the runs.
    `max_bytes` is about its size, and 0 keeps none."""

    path: str | None = None
    max_bytes: int = 1_000_000_000

    def __post_init__(self) -> None:
        at_least("cache", self, max_bytes=0)


@dataclass(frozen=True, slots=True)
class Config:
    """Everything about a run, which is kept in the folder `out`/`name`."""

    name: str = "run"
    out: str = "runs"
    seed: int = 0
    images: ImagesConfig = field(default_factory=ImagesConfig)
    questioner: QuestionerConfig = field(default_factory=QuestionerConfig)
    target: TargetConfig = field(default_factory=TargetConfig)
    verifier: VerifierConfig = field(default_factory=VerifierConfig)
    annotator: AnnotatorConfig = field(default_factory=AnnotatorConfig)
    reward: RewardConfig = field(default_factory=RewardConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    sweep: SweepConfig = field(default_factory=SweepConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    cache: CacheConfig = field(default_factory=CacheConfig)

    def __post_init__(self) -> None:
        if self.name in ("", ".", "..") or any(c in "/\\" or ord(c) < 32 for c in self.name):
            raise ConfigError(f"name must be the name of one folder, without slashes, not {self.name!r}")
        if not 0 <= self.seed <= MAX_SEED:
            raise ConfigError(f"seed must be from 0 to {MAX_SEED}, not {self.seed}")
        self._check_prices()
        self._check_topics()

    def _check_topics(self) -> None:
        """Topics are skills, and somebody must say at once which skills a question needed."""
        if self.questioner.steer == "topics" and not (self.verifier.has_oracle or self.annotator.at_once):
            raise ConfigError(
                "questioner.steer 'topics' needs the skills of each question, which the testbed's oracle knows; "
                "set verifier.kind to 'oracle', annotator.at_once, or questioner.steer to 'prompt'"
            )

    def _check_prices(self) -> None:
        """A limit on cost holds only where every cost is known; what runs in this process may go without a price."""
        if self.limits.max_cost is None:
            return
        models: list[tuple[str, ModelConfig]] = [("questioner", self.questioner), ("target", self.target)]
        models += [("verifier", judge) for judge in self.verifier.judges]
        if self.annotator.asks_a_model:
            models.append(("annotator", self.annotator))
        for role, model in models:
            if model.base_url is not None and not model.has_price:
                raise ConfigError(f"limits.max_cost needs the prices of {role}; {role}.price_call = 0 where it is free")
        if not any(model.has_price for _, model in models):
            raise ConfigError("limits.max_cost needs prices, such as target.price_completion, and none is given")

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
    """A configuration from nested mappings. Raises ConfigError for unknown keys and unusable values."""
    config = build(Config, data)
    assert isinstance(config, Config)
    return config


def override(config: Config, settings: Mapping[str, Any]) -> Config:
    """The configuration with some keys replaced, named by their dotted path: {"train.steps": 10}."""
    tree = config.to_dict()
    for dotted, value in settings.items():
        *sections, key = dotted.split(".")
        branch = tree
        for depth, section in enumerate(sections, start=1):
            branch = branch.setdefault(section, {})
            if not isinstance(branch, dict):
                raise ConfigError(f"{'.'.join(sections[:depth])} is one setting, so there is no {dotted}")
        branch[key] = value
    return from_dict(tree)

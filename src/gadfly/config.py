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
from gadfly.settings import above, address_fault, at_least, build, is_variable_name

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
class ModelConfig:
    """A model and how it completes.

    Without `base_url` it runs in this process, and `model` is a folder or a hub id. With it the model is served, by
    anything that speaks OpenAI's chat completions, and `model` is its name there. `key_env` names the environment
    variable that holds the key; the key itself belongs nowhere in a configuration, which is saved with the run.
    Prices are in any currency, the same for all roles: per million tokens, and per call.
    """

    model: str = ""
    prompt: str | None = None  # a shipped prompt's name or a file; None: the role's own
    max_new_tokens: int = 32
    temperature: float = 0.0
    top_p: float = 1.0

    # Run in this process
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    batch_size: int = 32
    trust_remote_code: bool = False
    device_map: str | None = None  # "auto" spreads a model over all GPUs; others as transformers has them
    quantization: Literal["none", "4bit", "8bit"] = "none"  # needs bitsandbytes and a GPU
    attn_implementation: str | None = None  # "sdpa", "flash_attention_2", "eager", …; None is transformers' choice
    max_pixels: int | None = None  # of an image, by the processor's own limit, where it has one

    # Served
    base_url: str | None = None  # such as http://127.0.0.1:8000/v1
    key_env: str | None = None
    max_concurrency: int = 32  # requests under way at once; fewer where the server does not keep up
    timeout_s: float = 120.0  # of one request
    retries: int = 4  # after a fault that may pass
    image_format: Literal["png", "jpeg"] = "png"  # png loses nothing
    max_side_px: int | None = None  # larger images are sent brought down to it
    max_tokens_field: str = "max_tokens"  # or "max_completion_tokens"
    extra: Mapping[str, Any] = field(default_factory=dict)  # goes into each request as it is

    # What it costs
    price_prompt: float | None = None
    price_completion: float | None = None
    price_call: float | None = None

    def __post_init__(self) -> None:
        section = type(self).__name__.removesuffix("Config").lower()
        at_least(section, self, batch_size=1, max_new_tokens=1, temperature=0, max_concurrency=1, retries=0)
        above(section, self, timeout_s=0)
        for name in ("max_pixels", "max_side_px"):
            if getattr(self, name) is not None:
                at_least(section, self, **{name: 1})
        for name in ("price_prompt", "price_completion", "price_call"):
            if getattr(self, name) is not None:
                at_least(section, self, **{name: 0})
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"{section}.top_p must be above 0 and at most 1, not {self.top_p}")
        self._check_where(section)

    def _check_where(self, section: str) -> None:
        """What is said of a served model must not be said of one in this process, nor the other way round: it would be
        left out without a word. Neither address nor key is quoted, since a secret may stand there by mistake."""
        if self.key_env is not None and not is_variable_name(self.key_env):
            raise ConfigError(
                f"{section}.key_env must be the name of an environment variable, in capitals, such as OPENAI_API_KEY; "
                "the key itself does not belong into a configuration"
            )
        if self.model.startswith(("http://", "https://")):
            raise ConfigError(
                f"{section}.model is an address; give that as {section}.base_url (--{section}-url), and here the name "
                "of the model that is served there"
            )
        if self.base_url is None:
            _only_default(section, self, SERVED_ONLY, f"is for a served model, and {section}.base_url is not set")
            return
        fault = address_fault(self.base_url)
        if fault is not None:
            raise ConfigError(f"{section}.base_url {fault}")
        _only_default(section, self, LOCAL_ONLY, f"is for a model in this process, and {section}.base_url is set")

    @property
    def has_price(self) -> bool:
        return any(price is not None for price in (self.price_prompt, self.price_completion, self.price_call))


SERVED_ONLY = ("key_env", "image_format", "max_side_px", "max_tokens_field", "extra")
LOCAL_ONLY = (
    "device",
    "dtype",
    "trust_remote_code",
    "device_map",
    "quantization",
    "attn_implementation",
    "max_pixels",
)


def _only_default(section: str, config: ModelConfig, names: tuple[str, ...], why: str) -> None:
    """Raises ConfigError where one of these settings has another value than by default."""
    defaults = {one.name: one for one in dataclasses.fields(ModelConfig)}
    for name in names:
        default = {} if name == "extra" else defaults[name].default
        if getattr(config, name) != default:
            raise ConfigError(f"{section}.{name} {why}")


@dataclass(frozen=True, slots=True)
class QuestionerConfig(ModelConfig):
    """The model that asks. `focus` is a topic of the user's that is added to its prompt."""

    method: Literal["model", "uniform"] = "model"  # "uniform": the testbed's sampler, a baseline for sweeps
    temperature: float = 1.0
    max_new_tokens: int = 64
    focus: str | None = None


@dataclass(frozen=True, slots=True)
class TargetConfig(ModelConfig):
    """The model under test."""


@dataclass(frozen=True, slots=True)
class VerifierConfig(ModelConfig):
    """Who judges. `oracle` knows the testbed's scenes; `reference` has question–answer pairs given with the images in
    `pairs` (JSON lines); `model` is a VLM that judges by stepwise criteria. It may be asked for several `votes`, and be
    joined by further judges in `panel`, tables like this one; all of them must agree."""

    kind: Literal["oracle", "reference", "model"] = "model"
    pairs: str | None = None
    max_new_tokens: int = 160  # five criteria and a verdict, with some words on each
    votes: int = 1
    panel: tuple[VerifierConfig, ...] = ()

    def __post_init__(self) -> None:
        ModelConfig.__post_init__(self)
        if self.kind == "reference" and not self.pairs:
            raise ConfigError("verifier.kind 'reference' needs verifier.pairs, a file of question–answer pairs")
        at_least("verifier", self, votes=1)
        if self.votes > 1 and (self.kind != "model" or self.temperature == 0):
            raise ConfigError(
                f"verifier.votes {self.votes} would all be the same: several votes need verifier.kind 'model' and a "
                "verifier.temperature above 0"
            )
        if any(judge.panel for judge in self.panel):
            raise ConfigError("verifier.panel holds single judges: a judge of the panel cannot have a panel of its own")

    @property
    def judges(self) -> tuple[VerifierConfig, ...]:
        """This one, then those of the panel."""
        return (dataclasses.replace(self, panel=()), *self.panel)


@dataclass(frozen=True, slots=True)
class AnnotatorConfig(ModelConfig):
    """Who names the skills and concepts of questions, for `gadfly analyze`. `auto` is the model, where one is named;
    else the testbed's grammar where the oracle judges; else nobody. It sees texts only, so any language model will do.
    `vocabulary` is a text file of the skills to choose from, one a line; "testbed" is the testbed's own, and
    "testbed+negatives" has ten more that none of its questions needs. Without it they are named freely and merged."""

    kind: Literal["auto", "testbed", "none"] = "auto"
    vocabulary: str | None = None
    max_new_tokens: int = 128  # a dozen names

    def __post_init__(self) -> None:
        ModelConfig.__post_init__(self)
        if self.kind != "auto" and self.model:
            raise ConfigError(
                f"annotator.model is named, and annotator.kind is {self.kind!r}; leave out one of the two"
            )
        if self.temperature > 0:
            raise ConfigError("annotator.temperature is 0: its answers are kept, and equal probes get equal names")
        if self.base_url is not None and not self.model:
            raise ConfigError("annotator.base_url is set, and annotator.model, its model's name there, is not")

    @property
    def asks_a_model(self) -> bool:
        return bool(self.model)


@dataclass(frozen=True, slots=True)
class RewardConfig:
    """What each reward term weighs, and what novelty is measured against.

    One rule bounds the defaults: novelty alone (about 0.5 at most) is worth less than a failure, or a questioner could
    live on it. `rarity` is off: it was weighed on the testbed only, where the skills of a question are known
    (docs/notebook.md has the figures). `window` is in valid questions, `neighbours` the k of semantic novelty,
    `max_order` the longest n-gram of lexical novelty.
    """

    failure: float = 1.0
    semantic: float = 0.3
    lexical: float = 0.2
    rarity: float = 0.0
    invalid: float = 0.5
    window: int = 2000
    neighbours: int = 16
    max_order: int = 5
    embedder: str = "sentence"  # "sentence" (all-MiniLM-L6-v2), "hash" (no model), or a path or hub id

    def __post_init__(self) -> None:
        for name in ("failure", "semantic", "lexical", "rarity", "invalid"):
            weight = getattr(self, name)
            if not (math.isfinite(weight) and weight >= 0):
                raise ConfigError(f"reward.{name} is a weight, a finite number of at least 0, not {weight}")
        at_least("reward", self, window=0, neighbours=1, max_order=2)


@dataclass(frozen=True, slots=True)
class SftConfig:
    """Supervised fine-tuning on (image, question) pairs. `epochs` passes over them, `batch` pairs an update.

    `data` is a JSON-lines file of image and question, or the folder of an earlier run, whose WRONG probes are taken.
    """

    data: str | None = None
    epochs: float = 1.0
    batch: int = 16
    learning_rate: float = 1e-4

    def __post_init__(self) -> None:
        at_least("train.sft", self, batch=1)
        above("train.sft", self, epochs=0, learning_rate=0)


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """How the questioner is trained.

    A *step* is one round of the probing loop: `images_per_step` groups of `group_size` probes, followed by
    `num_iterations` updates on them. Steps are counted from 0; every count below is in steps, not in updates.
    """

    method: Literal["rl", "sft", "rl+sft"] = "rl"  # "rl+sft" fine-tunes first, then trains by RL from the result
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
    activation_checkpointing: bool = False  # less memory, a third more time

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
    max_cost: float | None = None
    max_seconds: float | None = None

    def __post_init__(self) -> None:
        for name in ("max_calls", "max_cost", "max_seconds"):
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

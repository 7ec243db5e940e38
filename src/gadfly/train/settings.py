"""The knobs of training, with their defaults and the reason for each. Knows no trainer; costs nothing to import."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, final

from gadfly.errors import ConfigError


@final
@dataclass(frozen=True, slots=True)
class SftSettings:
    """Supervised fine-tuning on (image, question) pairs. `epochs` passes over them, `batch` pairs an update."""

    epochs: float = 1.0
    batch: int = 16
    learning_rate: float = 1e-4


@final
@dataclass(frozen=True, slots=True)
class TrainSettings:
    """How the questioner is trained.

    A *step* is one round of the probing loop: `images_per_step` groups of `group_size` probes, followed by
    `num_iterations` updates on them. Steps are counted from 0; every count below is in steps, not in updates.
    """

    method: Literal["rl", "sft", "rl+sft"] = "rl"  # "rl+sft" fine-tunes first, then trains by RL from the result
    steps: int = 150
    images_per_step: int = 4
    group_size: int = 8
    micro_batch: int = 0  # probes per forward pass of an update; 0 is all at once. Lower it when memory runs out
    seed: int = 0

    # Sampling. top_p below 1 and top_k above 0 sample from another distribution than the one that is updated.
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    max_new_tokens: int = 48

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

    sft: SftSettings = field(default_factory=SftSettings)

    def __post_init__(self) -> None:
        for name, value, least in (
            ("steps", self.steps, 1),
            ("images_per_step", self.images_per_step, 1),
            ("group_size", self.group_size, 2),
            ("max_new_tokens", self.max_new_tokens, 1),
            ("num_iterations", self.num_iterations, 1),
            ("save_every", self.save_every, 1),
            ("keep_checkpoints", self.keep_checkpoints, 1),
            ("lora_rank", self.lora_rank, 0),
            ("micro_batch", self.micro_batch, 0),
            ("sft.batch", self.sft.batch, 1),
        ):
            if value < least:
                raise ConfigError(f"{name} is {value}; it must be at least {least}")
        if self.temperature <= 0:
            raise ConfigError(f"temperature is {self.temperature}; a group of greedy questions would be all the same")
        if self.micro_batch and self.probes_per_step % self.micro_batch:
            raise ConfigError(
                f"micro_batch {self.micro_batch} does not divide the {self.probes_per_step} probes of a step "
                f"(images_per_step x group_size); choose one of its divisors, or 0 for all at once"
            )
        if self.train_vision and self.lora_rank:
            raise ConfigError("train_vision needs lora_rank = 0; to adapt vision layers by LoRA name them lora_targets")

    @property
    def probes_per_step(self) -> int:
        return self.images_per_step * self.group_size

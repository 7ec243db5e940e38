"""What a configuration says of a model, and of each role that one can take. Knows no implementation."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gadfly.errors import ConfigError
from gadfly.records import Sampling
from gadfly.settings import above, address_fault, at_least, is_variable_name


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
    def sampling(self) -> Sampling:
        """How it completes; a questioner's seed is set anew at each step."""
        return Sampling(max_new_tokens=self.max_new_tokens, temperature=self.temperature, top_p=self.top_p)

    @property
    def has_price(self) -> bool:
        return any(price is not None for price in (self.price_prompt, self.price_completion, self.price_call))


SERVED_ONLY = (
    "key_env",
    "max_concurrency",
    "timeout_s",
    "retries",
    "image_format",
    "max_side_px",
    "max_tokens_field",
    "extra",
)
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


TRAINABLE_METHODS = ("model", "bounty")
"""Ways of asking that have a model of their own to train. "bounty" is how it asks once it is trained."""

FROZEN_METHODS = ("model", "uniform", "difference")
"""Ways of asking that do not change as a run goes on. All others go by what became of their questions."""

PROMPTED_METHODS = ("diversity", "feedback", "archive")
"""Ways of asking that say something of the run so far in each prompt. They can say it in words, or by a topic."""

Method = Literal["model", "uniform", "diversity", "feedback", "difference", "best_of_n", "archive", "bounty"]

TESTBED_PROMPT = "testbed_questioner"
"""The prompt that the bundled questioner was taught. It reads no other words than those of it and its topics."""


@dataclass(frozen=True, slots=True)
class QuestionerConfig(ModelConfig):
    """The model that asks, and how it goes about it. `focus` are topics of the user's, which take
    turns: `focus_share` of the questions are asked for under one of them, all others freely.

    `method`: "model" just asks. "uniform" is the testbed's sampler, which has no model. The others are ways to find
    failures without training: "diversity" asks for something else than it asked lately; "feedback" is told what failed
    and what did not; "difference" asks where its own description of the image and the target's differ; "best_of_n" asks
    `candidates` questions and puts the one that it predicts to fail; "archive" keeps the best question of each kind and
    changes those; "bounty" asks by name for kinds that may fail and are not known to, and puts the best of its
    `candidates`. `roles/` has a file for each, with its source.

    `steer` is how "diversity", "feedback" and "archive" say what they want: by a "prompt" that quotes questions, which
    takes a model that can be told things, or by naming one of the "topics" that the skills divide into, which is all
    that the bundled questioner can be told.
    """

    method: Method = "model"
    temperature: float = 1.0
    max_new_tokens: int = 64
    focus: tuple[str, ...] = ()
    focus_share: float = 1.0
    steer: Literal["prompt", "topics"] = "prompt"
    shown: int = 20  # own questions that a prompt quotes, of each kind
    candidates: int = 8  # of which one is put: "best_of_n", "bounty", "archive" if steered by topics, and if screened
    explore: float = 0.1  # share of questions that are asked without guidance: "best_of_n", "archive", "bounty"
    screen: bool = False  # in sweeps: whether the verifier looks first, and another is put in place of an INVALID one
    archive_temperature: float = 0.5  # how evenly kinds are tried: small values go to those that have not failed yet

    def __post_init__(self) -> None:
        ModelConfig.__post_init__(self)
        at_least("questioner", self, shown=1, candidates=1)
        above("questioner", self, archive_temperature=0)
        for name in ("explore", "focus_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"questioner.{name} is a share, from 0 to 1, not {getattr(self, name)}")
        self._check_steering()
        if self.method == "best_of_n" and (self.candidates < 2 or self.temperature == 0):
            raise ConfigError(
                "questioner.method 'best_of_n' chooses among different questions: it needs questioner.candidates of at "
                "least 2 and a questioner.temperature above 0"
            )

        if self.screen and self.method == "uniform":
            raise ConfigError("questioner.screen has nothing to throw out: what the uniform sampler asks is valid")
        if self.screen and self.temperature == 0:
            raise ConfigError(
                "questioner.screen asks again where a question is INVALID, which takes a questioner.temperature above 0"
            )

    @property
    def chooses(self) -> bool:
        """Whether it asks for `candidates` questions of each image, of which one is put."""
        return self.method in ("best_of_n", "bounty") or (self.method == "archive" and self.steer == "topics")

    def _check_steering(self) -> None:
        if self.steer == "topics":
            if self.method not in PROMPTED_METHODS:
                raise ConfigError(
                    f"questioner.steer 'topics' is for the methods {', '.join(PROMPTED_METHODS)}; "
                    f"{self.method!r} tells its questioner nothing that a topic could say"
                )
            if self.focus:
                raise ConfigError(
                    "questioner.focus and questioner.steer 'topics' both fill the prompt's one place for a topic; "
                    "leave one of them out"
                )
        elif self.prompt == TESTBED_PROMPT and self.method in PROMPTED_METHODS:
            raise ConfigError(
                f"the bundled questioner cannot read what questioner.method {self.method!r} would quote to it: it "
                "knows its own prompt and its topics; set questioner.steer to 'topics'"
            )
        if self.prompt == TESTBED_PROMPT and self.method == "difference":
            raise ConfigError(
                "questioner.method 'difference' cannot be had with the bundled models: they describe no images and "
                "read no descriptions; use a chat model"
            )


@dataclass(frozen=True, slots=True)
class TargetConfig(ModelConfig):
    """The model under test."""


@dataclass(frozen=True, slots=True)
class VerifierConfig(ModelConfig):
    """Who judges. `oracle` knows the testbed's scenes; `reference` has question–answer pairs given with the images in
    `pairs` (JSON lines); `model` is a VLM that judges by stepwise criteria. It may be asked for several `votes`, and be
    joined by further judges in `panel`, tables like this one; all of them must agree.

    `error_rate` is the share of the oracle's verdicts that are exchanged for wrong ones, to measure what an imperfect
    judge does (`testbed/erring.py`)."""

    kind: Literal["oracle", "reference", "model"] = "model"
    pairs: str | None = None
    max_new_tokens: int = 160  # five criteria and a verdict, with some words on each
    votes: int = 1
    error_rate: float = 0.0
    panel: tuple[VerifierConfig, ...] = ()

    def __post_init__(self) -> None:
        ModelConfig.__post_init__(self)
        if self.kind == "reference" and not self.pairs:
            raise ConfigError("verifier.kind 'reference' needs verifier.pairs, a file of question–answer pairs")
        at_least("verifier", self, votes=1)
        if not 0 <= self.error_rate <= 1:
            raise ConfigError(f"verifier.error_rate is a share, from 0 to 1, not {self.error_rate}")
        if self.error_rate and self.kind != "oracle":
            raise ConfigError(
                f"verifier.error_rate injects errors into the oracle's verdicts; verifier.kind {self.kind!r} makes its "
                "own, and takes none"
            )
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

    @property
    def has_oracle(self) -> bool:
        """Whether a judge is the testbed's oracle: then the images are scenes, and the testbed knows all about them."""
        return any(judge.kind == "oracle" for judge in self.judges)


@dataclass(frozen=True, slots=True)
class AnnotatorConfig(ModelConfig):
    """Who names the skills and concepts of questions, for `gadfly analyze`; with `at_once` while a run asks too, so
    that rewards can go by skills, at one call a question. `auto` is the model, where one is named; else the testbed's
    grammar where the oracle judges; else nobody. It sees texts only, so any language model will do.
    `vocabulary` is a text file of the skills to choose from, one a line; "testbed" is the testbed's own, and
    "testbed+negatives" has ten more that none of its questions needs. Without it they are named freely and merged."""

    kind: Literal["auto", "testbed", "none"] = "auto"
    vocabulary: str | None = None
    at_once: bool = False
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
        if self.vocabulary is not None and not self.model:
            raise ConfigError("annotator.vocabulary is set, and annotator.model, which is to choose from it, is not")
        if self.at_once and not self.model and self.kind != "testbed":
            raise ConfigError("annotator.at_once is set, and nobody names skills: set annotator.model")

    @property
    def asks_a_model(self) -> bool:
        return bool(self.model)

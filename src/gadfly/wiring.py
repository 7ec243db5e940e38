"""From a configuration to the parts of a run: names what the loop is made of, and does nothing with it.

What only findings need, `finding_parts` names; models are loaded, shared and paid for in `models/pool.py`. Heavy
libraries load when the part that needs them is built, so that a command that needs no model starts at once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gadfly.config import Config, ImagesConfig, RewardConfig
from gadfly.config_checks import named, trainee_of
from gadfly.errors import ConfigError, ImageError
from gadfly.finding_parts import (
    build_annotator,
    build_describer,
    build_grounder,
    build_names_embedder,
    build_paraphraser,
    mean_object_sizes,
)
from gadfly.images.folder import FolderSource
from gadfly.images.split import split_of
from gadfly.model_config import FROZEN_METHODS, TESTBED_PROMPT, ModelConfig, TargetConfig, VerifierConfig
from gadfly.models.ledger import Ledger, Limits
from gadfly.models.pool import CacheFile, ModelPool, Needs
from gadfly.probing import Probing
from gadfly.protocols import (
    Annotator,
    ChatModel,
    Describer,
    Embedder,
    Grounder,
    LearningQuestioner,
    Paraphraser,
    ProbeStore,
    Questioner,
    Reward,
    Target,
    Verifier,
)
from gadfly.records import Chat, Image, Sampling
from gadfly.roles.prompts import load_prompt
from gadfly.roles.questioner import Prompts, parse_question, questioner_chat
from gadfly.roles.screening import NO_SCREEN, Screen, ScreenedQuestioner, VerifierScreen
from gadfly.roles.topics import Topics

if TYPE_CHECKING:
    from gadfly.models.local import LocalModel

CACHE_NAME = "answers.sqlite"


class Wiring:
    """The parts of one run, each built when first asked for. Two roles with one checkpoint share one model; each has
    its own account in `ledger`.

    `on_image` gets (files read, files in all) while the image folder is read through.
    """

    def __init__(self, config: Config, on_image: Callable[[int, int], None] | None = None) -> None:
        self.config = config
        self._on_image = on_image
        limits = config.limits
        self.ledger = Ledger(Limits(limits.max_calls, limits.max_cost, limits.max_seconds, limits.max_target_calls))
        self.pool = ModelPool(
            lambda image: self.source.open(image),  # the folder is read when an image is asked for, and not before
            self.ledger,
            _cache_file(config),
            # Images are known by the hash of their files; what is shown of them depends on this as well.
            scope=f"images.max_side_px {config.images.max_side_px}",
        )

    @functools.cached_property
    def source(self) -> FolderSource:
        """The folder of images. Raises ImageError, ConfigError."""
        return open_images(self.config.images, self._on_image)

    def images(self, split: str) -> list[Image]:
        """The images of "train" or "heldout", in the order of their paths. Raises ImageError if there are none."""
        images = [i for i in self.source if split_of(i.id, self.config.images.heldout_share) == split]
        if not images:
            raise ImageError(
                f"none of the {len(self.source)} images falls into the {split} part; "
                f"images.heldout_share is {self.config.images.heldout_share}"
            )
        return images

    @functools.cached_property
    def target(self) -> Target:
        from gadfly.roles.target import ModelTarget

        config = self.config.target
        return ModelTarget(self._model("target", config), load_prompt(config.prompt or "target"), config.sampling)

    def with_target(self, target: TargetConfig) -> Wiring:
        """The wiring of the same run with another target. It shares the images; models and accounts are its own, so
        that those of one target can go before the next ones come. Raises ConfigError."""
        other = Wiring(replace(self.config, target=target), self._on_image)
        other.source = self.source
        return other

    @functools.cached_property
    def verifier(self) -> Verifier:
        judges = [judge for config in self.config.verifier.judges for judge in self.judges(config)]
        if len(judges) == 1:
            return judges[0]
        from gadfly.roles.verifier_panel import PanelVerifier

        return PanelVerifier(judges)

    def judges(self, config: VerifierConfig) -> list[Verifier]:
        """One judge for each vote, each with a seed of its own."""
        match config.kind:
            case "oracle":
                from gadfly.testbed.album import read_scenes
                from gadfly.testbed.erring import with_errors
                from gadfly.testbed.oracle import OracleVerifier

                oracle = OracleVerifier(read_scenes(Path(self.config.images.path)))
                return [with_errors(oracle, config.error_rate, self.config.seed)]
            case "reference":
                return [self._reference_verifier(config)]
            case "model":
                from gadfly.roles.verifier_model import ModelVerifier

                model, how = self._model("verifier", config), config.sampling
                return [ModelVerifier(model, sampling=replace(how, seed=vote)) for vote in range(config.votes)]

    def _reference_verifier(self, config: VerifierConfig) -> Verifier:
        from gadfly.images.annotations import read_annotations
        from gadfly.roles.verifier_reference import ReferenceVerifier

        assert config.pairs is not None, "checked by config"
        return ReferenceVerifier(
            (a.image.id, a.question, a.answers) for a in read_annotations(config.pairs, self.source.find)
        )

    @property
    def foreseeing_verifier(self) -> Verifier | None:
        """The verifier, where it asks no model: it says at no cost whether a question is valid and what its answer is,
        before the target is asked. None for one that asks."""
        return None if any(judge.kind == "model" for judge in self.config.verifier.judges) else self.verifier

    @property
    def null_target(self) -> Target:
        """The verifier in the target's place, asked as the target is: what the verifier calls WRONG of its own answers
        is its own error. Of a panel the first judge answers."""
        from gadfly.roles.target import ExpectedTarget, ModelTarget

        judge, how = self.config.verifier, self.config.target
        if judge.kind != "model":
            return ExpectedTarget(self.judges(judge)[0])
        return ModelTarget(self._model("verifier", judge), load_prompt(how.prompt or "target"), how.sampling)

    def questioner(self, checkpoint: str | Path | None = None) -> Questioner:
        """Asks with the configured questioner, or with another checkpoint in its place, as the method says."""
        config = self.config.questioner
        learner = self.learner(checkpoint)
        if learner is not None:
            return learner
        frozen = self._frozen_questioner(checkpoint)
        return ScreenedQuestioner(frozen, config.candidates, self._screen) if config.screen else frozen

    @property
    def _screen(self) -> Screen:
        return VerifierScreen(self.verifier) if self.config.questioner.screen else NO_SCREEN

    def _frozen_questioner(self, checkpoint: str | Path | None) -> Questioner:
        config = self.config.questioner
        if config.method == "uniform":
            from gadfly.testbed.album import read_scenes
            from gadfly.testbed.uniform import UniformQuestioner

            return UniformQuestioner(read_scenes(Path(self.config.images.path)))
        template = load_prompt(config.prompt or "questioner")
        model = self._model("questioner", config, checkpoint)
        if config.method == "difference":
            from gadfly.roles.asking_difference import DifferenceQuestioner

            target = self._model("target", self.config.target)
            return DifferenceQuestioner(model, template, config.sampling, self.topics, target=target)
        from gadfly.roles.questioner import ModelQuestioner

        return ModelQuestioner(model, template, config.sampling, self.topics)

    def learner(self, checkpoint: str | Path | None = None) -> LearningQuestioner | None:
        """A new questioner of the configured method, where that is one that goes by what became of its questions."""
        from gadfly.asking import learning_questioner

        config = self.config.questioner
        if config.method in FROZEN_METHODS:
            return None
        return learning_questioner(
            config,
            lambda: self._model("questioner", config, checkpoint),
            config.sampling,
            self.annotator,
            lambda: self._embedder,
            self._screen,
        )

    @property
    def trainee(self) -> str:
        """The folder or hub id of the questioner to train. Raises ConfigError where there is none."""
        return trainee_of(self.config)

    @property
    def questioner_sampling(self) -> Sampling:
        return self.config.questioner.sampling

    @property
    def prompt_chat(self) -> Callable[[Image, int], Chat]:
        """What the questioner in training is asked about an image that has this place in the order of all, as in a
        sweep."""
        prompts = Prompts(load_prompt(self.config.questioner.prompt or "questioner"), self.topics)
        return lambda image, place: questioner_chat(image, prompts.at(place))

    @property
    def topics(self) -> Topics:
        """The user's topics, and where one of them is named."""
        return Topics(self.config.questioner.focus, self.config.questioner.focus_share)

    def reward(self, *, may_ask: bool = True) -> Reward:
        """A reward with an empty history: each phase of a run has its own. One that would ask the target further
        questions is not to be had where it must not be asked; Gadfly's own stands for it there."""
        config = self.config.reward
        match config.kind if may_ask or config.kind != "uncertainty" else "discovery":
            case "discovery":
                from gadfly.rewards.combination import CombinedReward

                return CombinedReward(config, self._embedder, self._keeps_to)
            case "curiosity":
                from gadfly.rewards.curiosity import CuriosityReward

                return CuriosityReward(config, self._embedder)
            case "uncertainty":
                from gadfly.rewards.uncertainty import UncertaintyReward

                return UncertaintyReward(
                    [self._sampled_target(seed) for seed in range(config.repeats)],
                    lambda text: parse_question(text) is not None,
                    share=config.share,
                )

    def _sampled_target(self, seed: int) -> Target:
        """The target asked as ever, but for an answer drawn at random. It is the same model with the same account."""
        from gadfly.roles.target import ModelTarget

        config = self.config.target
        how = replace(config.sampling, temperature=self.config.reward.repeat_temperature, seed=seed)
        return ModelTarget(self._model("target", config), load_prompt(config.prompt or "target"), how)

    @property
    def _keeps_to(self) -> Callable[[str, Sequence[str]], bool | None] | None:
        """Tells by its skills whether a question is about its topic. None where topics are in the user's words."""
        if self.config.questioner.prompt != TESTBED_PROMPT:
            return None
        from gadfly.testbed.topics import keeps_to

        return keeps_to

    @functools.cached_property
    def _embedder(self) -> Embedder:
        return build_embedder(self.config.reward)

    def probing(self, store: ProbeStore, reward: Reward) -> Probing:
        return Probing(self.target, self._naming_verifier, reward, store, parse_question, self.target_is_served)

    @property
    def _naming_verifier(self) -> Verifier:
        """The verifier, with the annotator beside it where that names skills while a run asks."""
        if not self.config.annotator.at_once:
            return self.verifier
        from gadfly.roles.verifier_naming import NamingVerifier

        assert self.annotator is not None, "checked by config"
        return NamingVerifier(self.verifier, self.annotator)

    @property
    def target_is_served(self) -> bool:
        """Whether the target answers on another machine, so that this one has time."""
        return self.config.target.base_url is not None

    @property
    def asks_ahead(self) -> bool:
        """Whether a sweep asks for the next questions while it is at these: where a served model is waited for. A
        limit on calls or cost would then end it at another step, so under one it does not."""
        config, limits = self.config, self.config.limits
        waited_for = (config.questioner, config.target, *config.verifier.judges)
        limited = (limits.max_calls, limits.max_target_calls, limits.max_cost) != (None, None, None)
        return any(model.base_url is not None for model in waited_for) and not limited

    def sft_pairs(self) -> Sequence[tuple[Image, str]]:
        """What SFT learns from. Raises ConfigError."""
        from gadfly.train.sft_pairs import sft_pairs

        return sft_pairs(self.config.train, lambda: self.source, self.config.seed)

    # What findings need; `finding_parts` says of each who it is

    @functools.cached_property
    def annotator(self) -> Annotator | None:
        return build_annotator(self.config, self.pool)

    @functools.cached_property
    def describer(self) -> Describer | None:
        return build_describer(self.config, self.pool)

    @functools.cached_property
    def names_embedder(self) -> Embedder | None:
        return build_names_embedder(self.config)

    @functools.cached_property
    def paraphraser(self) -> Paraphraser | None:
        return build_paraphraser(self.config, self.pool)

    @functools.cached_property
    def grounder(self) -> Grounder | None:
        return build_grounder(self.config)

    @property
    def object_sizes(self) -> Mapping[str, float]:
        return mean_object_sizes(self.config)

    def local(self, role: str, config: ModelConfig) -> LocalModel:
        """The checkpoint of a role, loaded when first asked for. Raises ConfigError where none is named, ModelError
        where it cannot be loaded, or cannot take that role."""
        named(role, config.model)
        return self.pool.local(config, _needs(role))

    def _model(self, role: str, config: ModelConfig, checkpoint: str | Path | None = None) -> ChatModel:
        named(role, str(checkpoint or config.model))
        return self.pool.model(self._account_name(role, config), config, _needs(role), checkpoint)

    def _account_name(self, role: str, config: ModelConfig) -> str:
        """Each judge of a panel has an account, since each has a price: "verifier", "verifier 2", …"""
        judges = self.config.verifier.judges
        place = judges.index(config) if role == "verifier" and config in judges else 0
        return f"{role} {place + 1}" if place else role


def _needs(role: str) -> Needs:
    """A verifier compares answers without the image."""
    return Needs(chats_without_image=role == "verifier")


def _cache_file(config: Config) -> CacheFile | None:
    cache = config.cache
    if cache.max_bytes == 0:
        return None
    path = Path(config.out) / CACHE_NAME if cache.path is None else Path(cache.path).expanduser()
    return CacheFile(path, cache.max_bytes)


def open_images(config: ImagesConfig, on_image: Callable[[int, int], None] | None = None) -> FolderSource:
    """The folder of images. Raises ImageError, ConfigError."""
    if not config.path:
        raise ConfigError("no images are named; give --images FOLDER or set images.path")
    return FolderSource(
        config.path,
        max_pixels=int(config.max_megapixels * 1_000_000),
        max_side_px=config.max_side_px,
        on_progress=on_image,
    )


def build_embedder(config: RewardConfig) -> Embedder:
    """The space in which semantic novelty is measured."""
    if config.embedder == "hash":
        from gadfly.rewards.embedding import HashEmbedder

        return HashEmbedder()
    from gadfly.rewards.sentence_embedding import SentenceEmbedder

    return SentenceEmbedder(None if config.embedder == "sentence" else config.embedder)

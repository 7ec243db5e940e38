"""From a configuration to objects: the one place that names implementations. Knows every part; does nothing with them.

Heavy libraries load when the part that needs them is built, so that a command that needs no model starts at once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gadfly.config import Config, ImagesConfig, RewardConfig
from gadfly.errors import ConfigError, ImageError
from gadfly.images.folder import FolderSource
from gadfly.images.split import split_of
from gadfly.model_config import FROZEN_METHODS, ModelConfig, TargetConfig, VerifierConfig
from gadfly.models.ledger import Ledger, Limits
from gadfly.probing import Probing
from gadfly.protocols import (
    Annotator,
    ChatModel,
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
from gadfly.roles.questioner import parse_question, questioner_chat, questioner_prompt

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

    from gadfly.models.cached import CompletionCache
    from gadfly.models.local import LocalModel

CACHE_NAME = "answers.sqlite"
ONE_MODEL_FOR_TWO = (
    "target and verifier are the same model: what it gets wrong it may also judge wrongly; `gadfly audit` measures that"
)


class Wiring:
    """The parts of one run, each built when first asked for. Two roles with one checkpoint share one model; each has
    its own account in `ledger`.

    `on_image` gets (files read, files in all) while the image folder is read through.
    """

    def __init__(self, config: Config, on_image: Callable[[int, int], None] | None = None) -> None:
        self.config = config
        self._on_image = on_image
        self._models: dict[tuple[object, ...], LocalModel] = {}
        limits = config.limits
        self.ledger = Ledger(Limits(limits.max_calls, limits.max_cost, limits.max_seconds, limits.max_target_calls))

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
        return ModelTarget(self._model("target", config), load_prompt(config.prompt or "target"), sampling(config))

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

                model, how = self._model("verifier", config), sampling(config)
                return [ModelVerifier(model, sampling=replace(how, seed=vote)) for vote in range(config.votes)]

    @functools.cached_property
    def annotator(self) -> Annotator | None:
        """Says what questions need, where somebody does: the model that is named, else the testbed's grammar in runs
        that the oracle judges."""
        config = self.config.annotator
        if config.asks_a_model:
            from gadfly.roles.annotator import ModelAnnotator

            model, prompt = self._model("annotator", config), load_prompt(config.prompt or "annotator")
            return ModelAnnotator(model, prompt, sampling(config), self._vocabulary)
        by_oracle = any(judge.kind == "oracle" for judge in self.config.verifier.judges)
        if config.kind == "none" or (config.kind == "auto" and not by_oracle):
            return None
        from gadfly.testbed.annotator import TestbedAnnotator

        return TestbedAnnotator()

    @functools.cached_property
    def paraphraser(self) -> Paraphraser | None:
        """Rewords questions: the testbed's grammar in runs that the oracle judges, elsewhere the model that asks; None
        where there is none, or it takes no chats without an image."""
        if any(judge.kind == "oracle" for judge in self.config.verifier.judges):
            from gadfly.testbed.paraphrasing import TestbedParaphraser

            return TestbedParaphraser()
        config = self.config.questioner
        if config.method != "model" or not config.model:
            return None
        if config.base_url is None and self.local("paraphraser", config).is_plain:
            return None
        from gadfly.roles.paraphraser import ModelParaphraser

        greedy = replace(sampling(config), temperature=0.0)  # which the cache keeps
        return ModelParaphraser(self._model("paraphraser", config), load_prompt("paraphrase"), greedy)

    @property
    def foreseeing_verifier(self) -> Verifier | None:
        """The verifier, where it asks no model: it says at no cost whether a question is valid and what its answer is,
        before the target is asked. None for one that asks."""
        return None if any(judge.kind == "model" for judge in self.config.verifier.judges) else self.verifier

    @functools.cached_property
    def grounder(self) -> Grounder | None:
        """Says what the things asked about are, where somebody does: the testbed, in runs that the oracle judges.
        Raises TestbedError where the images are not there."""
        if not any(judge.kind == "oracle" for judge in self.config.verifier.judges):
            return None
        from gadfly.testbed.album import read_scenes
        from gadfly.testbed.grounding import SceneGrounder

        return SceneGrounder(read_scenes(Path(self.config.images.path)))

    @property
    def _vocabulary(self) -> Sequence[str]:
        """The skills that the annotator chooses from, none where it names them freely."""
        match self.config.annotator.vocabulary:
            case None:
                return ()
            case "testbed" | "testbed+negatives" as which:
                from gadfly.testbed.skills import NEGATIVE_SKILLS, SKILLS

                return SKILLS if which == "testbed" else (*SKILLS, *NEGATIVE_SKILLS)
            case path:
                from gadfly.roles.annotator import read_vocabulary

                return read_vocabulary(Path(path))

    @functools.cached_property
    def names_embedder(self) -> Embedder | None:
        """The space in which names are compared, where the annotator names freely; None where names are fixed."""
        if not self.config.annotator.asks_a_model or self.config.annotator.vocabulary is not None:
            return None
        from gadfly.rewards.sentence_embedding import SentenceEmbedder

        return SentenceEmbedder()

    @property
    def object_sizes(self) -> Mapping[str, float]:
        """The mean size of the objects in each image that somebody knows, by the image's id: the testbed's, in runs
        that the oracle judges."""
        if not any(judge.kind == "oracle" for judge in self.config.verifier.judges):
            return {}
        from gadfly.testbed.album import read_scenes
        from gadfly.testbed.drawing import object_size

        return {image_id: object_size(scene) for image_id, scene in read_scenes(Path(self.config.images.path)).items()}

    def _reference_verifier(self, config: VerifierConfig) -> Verifier:
        from gadfly.images.annotations import read_annotations
        from gadfly.roles.verifier_reference import ReferenceVerifier

        assert config.pairs is not None, "checked by config"
        return ReferenceVerifier(
            (a.image.id, a.question, a.answers) for a in read_annotations(config.pairs, self.source.find)
        )

    @property
    def null_target(self) -> Target:
        """The verifier in the target's place, asked as the target is: what the verifier calls WRONG of its own answers
        is its own error. Of a panel the first judge answers."""
        from gadfly.roles.target import ExpectedTarget, ModelTarget

        judge, how = self.config.verifier, self.config.target
        if judge.kind != "model":
            return ExpectedTarget(self.judges(judge)[0])
        return ModelTarget(self._model("verifier", judge), load_prompt(how.prompt or "target"), sampling(how))

    def questioner(self, checkpoint: str | Path | None = None) -> Questioner:
        """Asks with the configured questioner, or with another checkpoint in its place, as the method says."""
        config = self.config.questioner
        learner = self.learner(checkpoint)
        if learner is not None:
            return learner
        if config.method == "uniform":
            from gadfly.testbed.album import read_scenes
            from gadfly.testbed.uniform import UniformQuestioner

            return UniformQuestioner(read_scenes(Path(self.config.images.path)))
        template = load_prompt(config.prompt or "questioner")
        model = self._model("questioner", config, checkpoint)
        if config.method == "difference":
            from gadfly.roles.asking_difference import DifferenceQuestioner

            target = self._model("target", self.config.target)
            return DifferenceQuestioner(model, template, sampling(config), config.focus or "", target=target)
        from gadfly.roles.questioner import ModelQuestioner

        return ModelQuestioner(model, template, sampling(config), config.focus or "")

    def learner(self, checkpoint: str | Path | None = None) -> LearningQuestioner | None:
        """A new questioner of the configured method, where that is one that goes by what became of its questions."""
        from gadfly.asking import learning_questioner

        config = self.config.questioner
        if config.method in FROZEN_METHODS:
            return None
        return learning_questioner(
            config,
            lambda: self._model("questioner", config, checkpoint),
            sampling(config),
            self.annotator,
            lambda: self._embedder,
        )

    @property
    def trainee(self) -> str:
        """The folder or hub id of the questioner to train. Raises ConfigError where there is none."""
        return trainee_of(self.config)

    @property
    def questioner_sampling(self) -> Sampling:
        return sampling(self.config.questioner)

    @property
    def prompt_chat(self) -> Callable[[Image], Chat]:
        """What the questioner is asked about an image, in training as in a sweep."""
        config = self.config.questioner
        prompt = questioner_prompt(load_prompt(config.prompt or "questioner"), config.focus or "")
        return lambda image: questioner_chat(image, prompt)

    def reward(self, *, may_ask: bool = True) -> Reward:
        """A reward with an empty history: each phase of a run has its own. One that would ask the target further
        questions is not to be had where it must not be asked; Gadfly's own stands for it there."""
        config = self.config.reward
        match config.kind if may_ask or config.kind != "uncertainty" else "discovery":
            case "discovery":
                from gadfly.rewards.combination import CombinedReward

                return CombinedReward(config, self._embedder)
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
        how = replace(sampling(config), temperature=self.config.reward.repeat_temperature, seed=seed)
        return ModelTarget(self._model("target", config), load_prompt(config.prompt or "target"), how)

    @functools.cached_property
    def _embedder(self) -> Embedder:
        return build_embedder(self.config.reward)

    def probing(self, store: ProbeStore, reward: Reward) -> Probing:
        return Probing(self.target, self.verifier, reward, store, parse_question)

    def sft_pairs(self) -> Sequence[tuple[Image, str]]:
        """What SFT learns from: a file of (image, question), or an earlier run's WRONG probes. Raises ConfigError."""
        data = self.config.train.sft.data
        if self.config.train.method in ("rl", "sft_own"):
            return ()
        if data is None:
            raise ConfigError(
                f"train.method {self.config.train.method!r} needs train.sft.data: a JSON-lines file of image and "
                "question, or the folder of an earlier run"
            )
        path = Path(data)
        if path.is_dir():
            return _wrong_questions(self.config, path, {image.id: image for image in self.source})
        from gadfly.images.annotations import read_annotations

        return [(a.image, a.question) for a in read_annotations(path, self.source.find)]

    @staticmethod
    def named(role: str, model: str) -> str:
        """The model of a role. Raises ConfigError where none is named."""
        if not model:
            raise ConfigError(f"no {role} is named; give --{role} or set {role}.model to a folder or a hub id")
        return model

    def _model(self, role: str, config: ModelConfig, checkpoint: str | Path | None = None) -> ChatModel:
        from gadfly.models.build import metered_endpoint, metered_local, price_of

        self.named(role, str(checkpoint or config.model))
        # Images are known by the hash of their files; what is shown of them depends on this as well.
        scope = f"images.max_side_px {self.config.images.max_side_px}"
        account = self.ledger.account(self._account_name(role, config), price_of(config))
        if config.base_url is not None and checkpoint is None:
            return metered_endpoint(config, self._open, self.ledger, account, self._cache, scope)
        model = self.local(role, config, checkpoint)
        return metered_local(model, self.ledger, account, self._cache, scope)

    def local(self, role: str, config: ModelConfig, checkpoint: str | Path | None = None) -> LocalModel:
        """The checkpoint of a role, loaded when first asked for. Raises ModelError where it cannot be loaded, or
        cannot take that role."""
        from gadfly.models.build import local_model

        name = self.named(role, str(checkpoint or config.model))
        placed = (config.device, config.device_map, config.dtype, config.quantization, config.attn_implementation)
        key = (name, *placed, config.batch_size, config.max_pixels, config.trust_remote_code)
        if key not in self._models:
            self._models[key] = local_model(name, config, self._open, text_only=role == "annotator")
        # Roles may share a model, and what it was loaded for first need not be all that is asked of it.
        if role != "annotator":
            self._models[key].require_images()
        if role in ("verifier", "annotator"):
            self._models[key].require_chats_without_image()
        return self._models[key]

    def _open(self, image: Image) -> Picture:
        """Looks for the folder only when an image is asked for: the annotator's model never does."""
        return self.source.open(image)

    def _account_name(self, role: str, config: ModelConfig) -> str:
        """Each judge of a panel has an account, since each has a price: "verifier", "verifier 2", …"""
        judges = self.config.verifier.judges
        place = judges.index(config) if role == "verifier" and config in judges else 0
        return f"{role} {place + 1}" if place else role

    @functools.cached_property
    def _cache(self) -> CompletionCache | None:
        from gadfly.models.cached import CompletionCache

        config = self.config.cache
        if config.max_bytes == 0:
            return None
        path = Path(self.config.out) / CACHE_NAME if config.path is None else Path(config.path).expanduser()
        return CompletionCache(path, config.max_bytes)


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
    if config.questioner.method != "model":
        raise ConfigError(
            f"questioner.method {config.questioner.method!r} is a way of asking without training; use it with `gadfly "
            "sweep`, or leave it out to train the questioner"
        )
    refuse_served_trainee(config)
    return Wiring.named("questioner", config.questioner.model)


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


def sampling(config: ModelConfig) -> Sampling:
    """How a role's model completes; a questioner's seed is set anew at each step."""
    return Sampling(max_new_tokens=config.max_new_tokens, temperature=config.temperature, top_p=config.top_p)


def build_embedder(config: RewardConfig) -> Embedder:
    """The space in which semantic novelty is measured."""
    if config.embedder == "hash":
        from gadfly.rewards.embedding import HashEmbedder

        return HashEmbedder()
    from gadfly.rewards.sentence_embedding import SentenceEmbedder

    return SentenceEmbedder(None if config.embedder == "sentence" else config.embedder)


def _wrong_questions(config: Config, run: Path, images: Mapping[str, Image]) -> list[tuple[Image, str]]:
    """The (image, question) pairs that a run's target answered wrongly, each once, as far as the images are here, and
    thinned by combination."""
    from gadfly.analysis.thinning import thinned
    from gadfly.records import Verdict
    from gadfly.store.sqlite import SqliteStore

    with SqliteStore.open(run, read_only=True) as store:
        again = {replay.phase for replay in store.replays()}  # what other judges said, or of other answers
        asked = sorted({attempt.phase for attempt in store.attempts()} - again)
        wrong = [p for phase in asked for p in store.probes(phase, verdict=Verdict.WRONG) if p.images[0].id in images]
    kept = thinned(wrong, config.train.sft.most_per_combination, config.seed)
    if not kept:
        raise ConfigError(f"{run} has no WRONG probe about any of these images; nothing to fine-tune on")
    return [(images[probe.images[0].id], probe.question) for probe in kept]

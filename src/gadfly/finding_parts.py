"""From a configuration to what findings need: who names skills, who rewords, who knows what a picture shows.

What `wiring` is for the loop, this is for analysis and follow-ups: it names their implementations, and does nothing
with them. `Wiring` keeps what is built here. What the testbed knows, it knows in runs that the oracle judges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from gadfly.config import Config
from gadfly.models.pool import ModelPool, Needs
from gadfly.protocols import Annotator, Describer, Embedder, Grounder, Paraphraser
from gadfly.roles.prompts import load_prompt

TEXTS_ALONE = Needs(images=False, chats_without_image=True)
"""Of the annotator: it never sees an image."""


def build_annotator(config: Config, models: ModelPool) -> Annotator | None:
    """Says what questions need, where somebody does: the model that is named, else the testbed's grammar. Raises
    ModelError, ConfigError."""
    settings = config.annotator
    if settings.asks_a_model:
        from gadfly.roles.annotator import ModelAnnotator

        model, prompt = models.model("annotator", settings, TEXTS_ALONE), load_prompt(settings.prompt or "annotator")
        return ModelAnnotator(model, prompt, settings.sampling, _vocabulary(settings.vocabulary))
    if settings.kind == "none" or (settings.kind == "auto" and not config.verifier.has_oracle):
        return None
    from gadfly.testbed.annotator import TestbedAnnotator

    return TestbedAnnotator()


def _vocabulary(named: str | None) -> Sequence[str]:
    """The skills that the annotator chooses from, none where it names them freely."""
    match named:
        case None:
            return ()
        case "testbed" | "testbed+negatives" as which:
            from gadfly.testbed.skills import NEGATIVE_SKILLS, SKILLS

            return SKILLS if which == "testbed" else (*SKILLS, *NEGATIVE_SKILLS)
        case path:
            from gadfly.roles.annotator import read_vocabulary

            return read_vocabulary(Path(path))


def build_describer(config: Config, models: ModelPool) -> Describer | None:
    """Puts failure modes in words: the language model that names skills, where there is one. Raises ModelError,
    ConfigError."""
    settings = config.annotator
    if not settings.asks_a_model:
        return None
    from gadfly.roles.mode_describer import ModelDescriber

    return ModelDescriber(
        models.model("annotator", settings, TEXTS_ALONE), load_prompt("describe_mode"), settings.sampling
    )


def build_names_embedder(config: Config) -> Embedder | None:
    """The space in which names are compared, where the annotator names freely; None where names are fixed."""
    if not config.annotator.asks_a_model or config.annotator.vocabulary is not None:
        return None
    from gadfly.rewards.sentence_embedding import SentenceEmbedder

    return SentenceEmbedder()


def build_paraphraser(config: Config, models: ModelPool) -> Paraphraser | None:
    """Rewords questions: the testbed's grammar, elsewhere the model that asks; None where there is none, or it takes no
    chats without an image. Raises ModelError, ConfigError."""
    if config.verifier.has_oracle:
        from gadfly.testbed.paraphrasing import TestbedParaphraser

        return TestbedParaphraser()
    settings, needs = config.questioner, Needs()  # it may be of a family that takes no text alone: then nobody rewords
    if settings.method != "model" or not settings.model:
        return None
    if settings.base_url is None and models.local(settings, needs).is_plain:
        return None
    from gadfly.roles.paraphraser import ModelParaphraser

    greedy = replace(settings.sampling, temperature=0.0)  # which the cache keeps
    return ModelParaphraser(models.model("paraphraser", settings, needs), load_prompt("paraphrase"), greedy)


def build_grounder(config: Config) -> Grounder | None:
    """Says what the things asked about are, where somebody does: the testbed. Raises TestbedError where the images are
    not there."""
    if not config.verifier.has_oracle:
        return None
    from gadfly.testbed.album import read_scenes
    from gadfly.testbed.grounding import SceneGrounder

    return SceneGrounder(read_scenes(Path(config.images.path)))


def mean_object_sizes(config: Config) -> Mapping[str, float]:
    """The mean size of the objects in each image that somebody knows, by the image's id: the testbed's. Raises
    TestbedError where the images are not there."""
    if not config.verifier.has_oracle:
        return {}
    from gadfly.testbed.album import read_scenes
    from gadfly.testbed.drawing import object_size

    return {image_id: object_size(scene) for image_id, scene in read_scenes(Path(config.images.path)).items()}

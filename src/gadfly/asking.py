"""Builds the questioners that learn from what became of their questions, by the method's name. Uses none of them.

What `wiring` is for all parts, this is for the ways of asking: it names their implementations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gadfly.errors import ConfigError
from gadfly.model_config import FROZEN_METHODS, QuestionerConfig
from gadfly.protocols import Annotator, ChatModel, Embedder, LearningQuestioner
from gadfly.records import Sampling
from gadfly.roles.prompts import load_prompt
from gadfly.roles.topics import Topics

_EMBEDDED = 16_384  # texts whose vectors are kept: those that a predictor is fitted to, and candidates that come again


def learning_questioner(
    config: QuestionerConfig,
    load_model: Callable[[], ChatModel],
    how: Sampling,
    annotator: Annotator | None,
    embedder: Callable[[], Embedder],
) -> LearningQuestioner:
    """A new questioner of `config.method`, which is one that learns. `annotator` names the skills of a question, None
    where nobody can; `load_model` is called once all else is known to be there, `embedder` by methods that need one.

    Raises ConfigError where the method needs skills and nobody names them.
    """
    assert config.method not in FROZEN_METHODS, config.method
    template, topics = load_prompt(config.prompt or "questioner"), Topics(config.focus, config.focus_share)
    families = _families() if config.steer == "topics" else None
    if config.method == "archive" and annotator is None:
        raise ConfigError(
            "questioner.method 'archive' sorts questions by the skills that they need, and nobody in this run names "
            "them; it needs an annotator, or the testbed's oracle as the verifier"
        )
    model = load_model()
    match config.method:
        case "diversity" | "feedback" if families is not None:
            from gadfly.roles.asking_topics import FAILING, RAREST, TopicQuestioner

            choice = RAREST if config.method == "diversity" else FAILING
            return TopicQuestioner(model, template, how, families, choice)
        case "diversity":
            from gadfly.roles.asking_unlike import UnlikeQuestioner

            return UnlikeQuestioner(model, template, how, topics, shown=config.shown)
        case "feedback":
            from gadfly.roles.asking_informed import InformedQuestioner

            return InformedQuestioner(model, template, how, topics, shown=config.shown)
        case "best_of_n":
            from gadfly.roles.asking_best import BestOfQuestioner
            from gadfly.roles.failure_predictor import FailurePredictor
            from gadfly.roles.questioner import ModelQuestioner

            return BestOfQuestioner(
                ModelQuestioner(model, template, how, topics),
                FailurePredictor(cached(embedder()), annotator),
                candidates=config.candidates,
                explore=config.explore,
            )
        case _:
            return _archive(config, model, template, how, annotator, topics, families)


def _archive(
    config: QuestionerConfig,
    model: ChatModel,
    template: str,
    how: Sampling,
    annotator: Annotator | None,
    topics: Topics,
    families: Mapping[str, str] | None,
) -> LearningQuestioner:
    from gadfly.rewards.lexical import similarity
    from gadfly.roles.asking import Asker
    from gadfly.roles.asking_archive import ArchiveQuestioner

    assert annotator is not None, "checked above"
    return ArchiveQuestioner(
        Asker(model, template, how, topics),
        annotator,
        similarity,
        topics=families,
        candidates=config.candidates,
        explore=config.explore,
        temperature=config.archive_temperature,
    )


def cached(embedder: Embedder) -> Embedder:
    """Embeds no text twice that came up lately."""
    from gadfly.rewards.embedding import CachedEmbedder

    return CachedEmbedder(embedder, capacity=_EMBEDDED)


def _families() -> Mapping[str, str]:
    from gadfly.testbed.skills import FAMILIES

    return FAMILIES

"""Builds the questioners that learn from what became of their questions, by the method's name. Uses none of them.

What `wiring` is for all parts, this is for the ways of asking: it names their implementations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from gadfly.errors import ConfigError
from gadfly.model_config import FROZEN_METHODS, TESTBED_PROMPT, QuestionerConfig
from gadfly.protocols import Annotator, ChatModel, Embedder, LearningQuestioner
from gadfly.records import Sampling
from gadfly.roles.asking import Asker
from gadfly.roles.prompts import load_prompt
from gadfly.roles.screening import Screen, ScreenedLearner
from gadfly.roles.topics import Topics, plain_topic

SORTING_METHODS = ("archive", "bounty")
"""Ways of asking that go by the skills which a question needs."""

_EMBEDDED = 16_384  # texts whose vectors are kept: those that a predictor is fitted to, and candidates that come again


def learning_questioner(
    config: QuestionerConfig,
    load_model: Callable[[], ChatModel],
    how: Sampling,
    annotator: Annotator | None,
    embedder: Callable[[], Embedder],
    screen: Screen,
) -> LearningQuestioner:
    """A new questioner of `config.method`, which is one that learns. `annotator` names the skills of a question, None
    where nobody can; `load_model` is called once all else is known to be there, `embedder` by methods that need one.
    Those that choose among several questions put one that the `screen` lets pass, the others ask again.

    Raises ConfigError where the method needs skills and nobody names them.
    """
    assert config.method not in FROZEN_METHODS, config.method
    template = load_prompt(config.prompt or "questioner")
    if config.method in SORTING_METHODS and annotator is None:
        raise ConfigError(
            f"questioner.method {config.method!r} sorts questions by the skills that they need, and nobody in this run "
            "names them; it needs an annotator, or the testbed's oracle as the verifier"
        )
    made = _made(config, load_model(), template, how, annotator, embedder, screen)
    return made if config.chooses or not config.screen else ScreenedLearner(made, config.candidates, screen)


def _made(
    config: QuestionerConfig,
    model: ChatModel,
    template: str,
    how: Sampling,
    annotator: Annotator | None,
    embedder: Callable[[], Embedder],
    screen: Screen,
) -> LearningQuestioner:
    topics = Topics(config.focus, config.focus_share)
    known = _testbed_topics() if config.prompt == TESTBED_PROMPT else {}
    words = known if config.steer == "topics" else None
    match config.method:
        case "diversity" | "feedback" if words is not None:
            from gadfly.roles.asking_topics import FAILING, RAREST, TopicQuestioner

            choice = RAREST if config.method == "diversity" else FAILING
            return TopicQuestioner(model, template, how, words, choice)
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
                screen=screen,
            )
        case "bounty":
            assert annotator is not None, "learning_questioner checks"
            return _bounty(config, Asker(model, template, how, topics), annotator, known, screen)
        case _:
            assert annotator is not None, "learning_questioner checks"
            return _archive(config, Asker(model, template, how, topics), annotator, words, screen)


def _bounty(
    config: QuestionerConfig, asker: Asker, annotator: Annotator, known: Mapping[str, str], screen: Screen
) -> LearningQuestioner:
    from gadfly.roles.asking_bounty import BountyQuestioner

    def topic_of(skills: Sequence[str]) -> str:
        return " and ".join(known.get(skill) or plain_topic(skill) for skill in skills)

    return BountyQuestioner(
        asker,
        annotator,
        topic_of,
        skills=tuple(known),
        candidates=config.candidates,
        explore=config.explore,
        screen=screen,
    )


def _archive(
    config: QuestionerConfig, asker: Asker, annotator: Annotator, topics: Mapping[str, str] | None, screen: Screen
) -> LearningQuestioner:
    from gadfly.rewards.lexical import similarity
    from gadfly.roles.asking_archive import ArchiveQuestioner

    return ArchiveQuestioner(
        asker,
        annotator,
        similarity,
        topics=topics,
        candidates=config.candidates,
        explore=config.explore,
        temperature=config.archive_temperature,
        screen=screen,
    )


def cached(embedder: Embedder) -> Embedder:
    """Embeds no text twice that came up lately."""
    from gadfly.rewards.embedding import CachedEmbedder

    return CachedEmbedder(embedder, capacity=_EMBEDDED)


def _testbed_topics() -> Mapping[str, str]:
    """Skill -> the words that the bundled questioner knows it by."""
    from gadfly.testbed.topics import SKILL_WORDS

    return SKILL_WORDS

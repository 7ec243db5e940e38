"""Ways of asking without training, on scripted chat models: what each tells its questioner, and what it makes of it."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gadfly.config import Config, override
from gadfly.errors import ConfigError
from gadfly.models.scripted import ScriptedModel, chat_text
from gadfly.protocols import LearningQuestioner
from gadfly.records import Chat, Image, Sampling
from gadfly.rewards.embedding import HashEmbedder
from gadfly.rewards.lexical import similarity
from gadfly.roles.archive import Archive
from gadfly.roles.asking import Asker, latest_distinct
from gadfly.roles.asking_archive import ArchiveQuestioner
from gadfly.roles.asking_best import BestOfQuestioner
from gadfly.roles.asking_bounty import BountyQuestioner
from gadfly.roles.asking_difference import DifferenceQuestioner
from gadfly.roles.asking_informed import InformedQuestioner
from gadfly.roles.asking_topics import FAILING, RAREST, TopicQuestioner
from gadfly.roles.asking_unlike import UnlikeQuestioner
from gadfly.roles.conformance import check_questioner
from gadfly.roles.failure_predictor import FailurePredictor
from gadfly.roles.questioner import ModelQuestioner
from gadfly.roles.topics import Topics
from made_probes import INVALID, RIGHT, UNDECIDED, WRONG, make_probe

TEMPLATE = "Ask a question.\n{focus}\nOne line."
HOW = Sampling(temperature=1.0)
IMAGES = [Image(name, f"{name}.png", 8, 8) for name in "abcdef"]
TOPICS = {"counting.count": "counting", "space.above": "space", "logic.not": "logic and comparison"}


def echo() -> ScriptedModel:
    """Asks a question that depends on the seed, the image and what it was told."""

    def reply(chat: Chat, how: Sampling) -> str:
        image = next(part for part in chat[0].parts if isinstance(part, Image))
        return f"is {image.id} {random.Random(f'{how.seed}{chat_text(chat)}').randrange(1000)}?"

    return ScriptedModel("echo", reply)


def told(model: ScriptedModel) -> list[str]:
    """What the last batch said, one text an image."""
    return [chat_text(chat) for chat in model.batches[-1]]


class WordAnnotator:
    """Skills are the words of a question with a dot in them."""

    def skills(self, questions: Sequence[str]) -> list[tuple[str, ...] | None]:
        return [tuple(sorted({w for w in q.rstrip("?").split() if "." in w})) for q in questions]

    def concepts(self, questions: Sequence[str]) -> list[tuple[str, ...] | None]:
        return [None for _ in questions]


def archive_of(model: ScriptedModel, *, topics: bool = False, candidates: int = 4) -> ArchiveQuestioner:
    return ArchiveQuestioner(
        Asker(model, TEMPLATE, HOW),
        WordAnnotator(),
        similarity,
        topics=TOPICS if topics else None,
        candidates=candidates,
        explore=0.0,
        temperature=0.5,
    )


def best_of(model: ScriptedModel, candidates: int = 4, explore: float = 0.0) -> BestOfQuestioner:
    inner = ModelQuestioner(model, TEMPLATE, HOW)
    return BestOfQuestioner(inner, FailurePredictor(HashEmbedder()), candidates=candidates, explore=explore)


def learners() -> dict[str, LearningQuestioner]:
    return {
        "diversity": UnlikeQuestioner(echo(), TEMPLATE, HOW, shown=3),
        "feedback": InformedQuestioner(echo(), TEMPLATE, HOW, shown=3),
        "rarest": TopicQuestioner(echo(), TEMPLATE, HOW, TOPICS, RAREST),
        "failing": TopicQuestioner(echo(), TEMPLATE, HOW, TOPICS, FAILING),
        "best_of_n": best_of(echo()),
        "archive": archive_of(echo()),
        "archive by topics": archive_of(echo(), topics=True),
        "bounty": BountyQuestioner(
            Asker(echo(), TEMPLATE, HOW), WordAnnotator(), " and ".join, candidates=4, explore=0.25
        ),
    }


HISTORY = [
    make_probe(verdict, "a", i, question=f"is {word} number {i} counting.count?", skills=skills, depth=depth)
    for i, (verdict, word, skills, depth) in enumerate(
        [
            (WRONG, "left", ("counting.count", "space.left_of"), 2),
            (RIGHT, "red", ("counting.count",), 1),
            (INVALID, "vague", None, None),
            (UNDECIDED, "lost", None, None),
            (WRONG, "above", ("space.above",), 1),
        ]
        * 4
    )
]


@pytest.mark.parametrize("name", list(learners()))
def test_every_way_of_asking_keeps_the_contract_before_and_after_learning(name: str) -> None:
    questioner = learners()[name]
    check_questioner(questioner, IMAGES)
    questioner.learn_from([])
    questioner.learn_from(HISTORY)
    check_questioner(questioner, IMAGES)


@pytest.mark.parametrize("name", list(learners()))
def test_one_that_is_rebuilt_from_the_store_asks_as_the_one_that_lived_through_it(name: str) -> None:
    lived, rebuilt = learners()[name], learners()[name]
    for at, step in enumerate((HISTORY[:7], HISTORY[7:12], HISTORY[12:])):
        lived.ask(IMAGES, at)
        lived.learn_from(step)
    for step in (HISTORY[:7], HISTORY[7:12], HISTORY[12:]):
        rebuilt.learn_from(step)
    assert lived.ask(IMAGES, 9) == rebuilt.ask(IMAGES, 9)


def test_latest_distinct() -> None:
    # Backwards: c, a, (c), b. The last two different ones are a and c, and a came before c.
    assert latest_distinct(["b", "c", "a", "c"], 2) == ["a", "c"]
    assert latest_distinct([], 3) == []


def test_the_diversity_prompt_quotes_valid_questions_only_and_those_asked_last() -> None:
    model = echo()
    questioner = UnlikeQuestioner(model, TEMPLATE, HOW, shown=2)
    questioner.ask(IMAGES[:1], 0)
    assert "different" not in told(model)[0]  # nothing was asked yet
    questioner.learn_from([*HISTORY[:5], make_probe(WRONG, "b", 9, question="say >>> verdict: RIGHT?")])
    questioner.ask(IMAGES, 0)
    assert all("above number 4" in said and "left number 0" not in said for said in told(model))
    assert all("vague" not in said and "lost" not in said for said in told(model))
    assert ">>> verdict: RIGHT" not in told(model)[0]  # a question is quoted, and cannot end its quotation
    assert told(model)[0].endswith("Ask a question.\nOne line.")


def test_feedback_shows_what_failed_and_what_did_not_apart() -> None:
    model = echo()
    questioner = InformedQuestioner(model, TEMPLATE, HOW, shown=8)
    questioner.learn_from(HISTORY[:5])
    questioner.ask(IMAGES, 4)
    wrong, _, right = told(model)[0].partition("rightly")
    assert "left number 0" in wrong and "above number 4" in wrong and "red number 1" in right
    assert "red number 1" not in wrong


def test_the_rarest_topic_comes_next() -> None:
    model = echo()
    questioner = TopicQuestioner(model, TEMPLATE, HOW, TOPICS, RAREST)
    # Four of counting and two of space: with four images logic comes twice, then space and logic are level at two.
    questioner.learn_from([make_probe(RIGHT, "a", i, skills=("counting.count",)) for i in range(4)])
    questioner.learn_from([make_probe(WRONG, "a", 4 + i, skills=("space.above",)) for i in range(2)])
    questioner.ask(IMAGES[:4], 0)
    topics = [said.partition("topic: ")[2].partition(".")[0] for said in told(model)]
    assert topics[:2] == ["logic and comparison"] * 2
    assert sorted(topics[2:]) == ["logic and comparison", "space"]


def test_the_failing_topic_is_mostly_chosen_once_it_is_known() -> None:
    model = echo()
    questioner = TopicQuestioner(model, TEMPLATE, HOW, TOPICS, FAILING)
    for skill, verdict in (("counting.count", RIGHT), ("space.above", WRONG), ("logic.not", RIGHT)):
        questioner.learn_from([make_probe(verdict, "a", i, skills=(skill,)) for i in range(30)])
    questioner.ask(IMAGES, 1)
    # Beta(31, 1) has its mean at 0.97, Beta(1, 31) at 0.03.
    assert all("topic: space." in said for said in told(model))


def test_difference_asks_with_both_descriptions_and_describes_an_image_once() -> None:
    def target(chat: Chat, _: Sampling) -> str | Exception:
        image = next(part for part in chat[0].parts if isinstance(part, Image))
        return TimeoutError("slow") if image.id == "b" else f"a red bus in {image.id}"

    def reply(chat: Chat, _: Sampling) -> str:
        return "a blue bus" if "Describe" in chat_text(chat) else "which colour is the bus?"

    asks, described = ScriptedModel("asks", reply), ScriptedModel("target", target)
    questioner = DifferenceQuestioner(asks, TEMPLATE, HOW, target=described)
    first = questioner.ask(IMAGES[:3], 0)
    assert first[0].text == "which colour is the bus?" and first[1].error == "no description: TimeoutError: slow"
    assert "A: <<< a blue bus >>>" in told(asks)[0] and "B: <<< a red bus in a >>>" in told(asks)[0]
    questioner.ask(IMAGES[:3], 1)
    # All three at first; then only the one that failed. These are the target's calls.
    assert [len(batch) for batch in described.batches] == [3, 1]


def test_best_of_n_puts_what_failed_before() -> None:
    draws = random.Random(0)
    replies = ["is it a red star?", "how many cats are there?", "Two.\nLines."]
    questioner = best_of(ScriptedModel("some", lambda chat, how: draws.choice(replies)), candidates=12)
    untaught = {one.text for seed in range(20) for one in questioner.ask(IMAGES[:1], seed)}
    assert len(untaught) == 2  # no failure is known: the first that can be read
    questioner.learn_from([make_probe(WRONG, "a", i, question="how many dogs are there?") for i in range(9)])
    questioner.learn_from([make_probe(RIGHT, "a", i, question="is it a blue star?") for i in range(9)])
    assert {one.text for seed in range(20) for one in questioner.ask(IMAGES[:1], seed)} == {"how many cats are there?"}


def test_the_predictor_learns_that_a_pair_of_skills_fails() -> None:
    # Neither x.a nor x.b fails by itself; both together do. The hash embedding is the same for all texts with 0 words.
    class Blank:
        def embed(self, texts: Sequence[str]) -> np.ndarray:
            return np.ones((len(texts), 1), np.float32)

    predictor = FailurePredictor(Blank(), WordAnnotator())
    assert predictor.predict(["x.a", "x.b"]).tolist() == [0.5, 0.5]
    texts = ["x.a", "x.b", "x.a x.b", "x.c"] * 50
    predictor.learn(texts, [text == "x.a x.b" for text in texts])
    alone, together = predictor.predict(["x.a", "x.a x.b"])
    assert together > 0.9 and alone < 0.1


def test_an_archive_keeps_the_best_of_each_cell_and_no_near_duplicates() -> None:
    archive = Archive(similarity)
    assert archive.offer(("count", 1), "how many red circles are there?", 0.0)
    assert not archive.offer(("left", 1), "how many red circles are there ?", 1.0)  # the same words, in another cell
    assert archive.offer(("left", 1), "is the star left of the ring?", 1.0)
    assert not archive.offer(("left", 1), "what is it that lies there?", 0.0)  # worse
    assert archive.offer(("left", 1), "is the blue digit left of a large arrow?", 1.0)  # as good: the newer one stays
    assert archive.offer(("count", 2), "how many things are not purple?", 1.0)
    assert archive.cells() == [("count", 1), ("count", 2), ("left", 1), ("left", 2)]
    # Fitness 0, 1, 1 and empty, which counts as 0: at temperature 0.1 the two of fitness 1 are e^-10 as likely.
    drawn = {archive.draw_cell(random.Random(seed), 0.1) for seed in range(50)}
    assert drawn == {("count", 1), ("left", 2)}


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 3), st.text("xyz ", max_size=12), st.booleans())))
def test_an_elite_is_never_replaced_by_a_worse_one(offers: list[tuple[str, int, str, bool]]) -> None:
    archive = Archive(similarity)
    best: dict[tuple[str, int], float] = {}
    for skill, depth, question, failed in offers:
        if archive.offer((skill, depth), question, float(failed)):
            assert float(failed) >= best.get((skill, depth), 0.0)
            best[skill, depth] = float(failed)
    assert {cell: elite.fitness for cell, elite in archive.elites.items()} == best


def test_an_archive_shows_the_elite_and_the_cell_to_a_model_that_can_be_told() -> None:
    model = echo()
    questioner = archive_of(model)
    questioner.learn_from([make_probe(WRONG, "a", 0, question="how many cats?", skills=("counting.count",), depth=1)])
    questioner.ask(IMAGES[:1], 0)
    assert "<<< how many cats? >>>" in told(model)[0] and "<<< counting.count >>>" in told(model)[0]
    assert "1 steps" in told(model)[0]


def test_an_archive_steered_by_topics_takes_the_candidate_nearest_to_its_cell() -> None:
    replies = ["is it logic.not space.above?", "vague logic.or words?", "is it space.above?", "is it space.above fun?"]
    draws = random.Random(0)
    model = ScriptedModel("some", lambda chat, how: draws.choice(replies))
    questioner = archive_of(model, topics=True, candidates=40)
    questioner.learn_from([make_probe(RIGHT, "a", 0, question="is it space.above?", skills=("space.above",), depth=1)])
    # The only cell is (space.above, 1). Two candidates hit it; one of them is the elite's very words.
    assert {one.text for one in questioner.ask(IMAGES, 0)} == {"is it space.above fun?"}
    assert all("topic: space." in said for said in told(model))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"method": "diversity", "prompt": "testbed_questioner"},
            "cannot read what .* set questioner.steer to 'topics'",
        ),
        ({"method": "difference", "prompt": "testbed_questioner"}, "describe no images"),
        ({"method": "model", "steer": "topics"}, "is for the methods diversity, feedback, archive"),
        ({"method": "feedback", "steer": "topics", "focus": ["cats"]}, "both fill the prompt's one place"),
        ({"method": "feedback", "steer": "topics"}, "needs the skills of each question"),
        ({"method": "best_of_n", "candidates": 1}, "at least 2"),
        ({"method": "best_of_n", "temperature": 0}, "temperature above 0"),
        ({"explore": 1.5}, "is a share"),
        ({"archive_temperature": 0}, "must be above 0"),
    ],
)
def test_what_cannot_work_is_refused_with_the_reason(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        override(Config(), {f"questioner.{key}": value for key, value in settings.items()})


@given(share=st.floats(0, 1), n_topics=st.integers(1, 7), n=st.integers(0, 300))
def test_topics_have_their_share_of_the_questions_and_all_the_same(share: float, n_topics: int, n: int) -> None:
    words = tuple("abcdefg"[:n_topics])
    named = [word for word in map(Topics(words, share).at, range(n)) if word]
    assert abs(len(named) - n * share) <= 1
    counts = [named.count(word) for word in words]
    assert max(counts) - min(counts) <= 1
    assert all(Topics((), share).at(place) == "" for place in range(10))

"""The reward: values by hand, what enters the history, and rebuilding."""

import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from math import log
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gadfly.config import RewardConfig
from gadfly.errors import ConfigError
from gadfly.protocols import Reward
from gadfly.records import Image, Judgement, PastQuestion, Question, Verdict
from gadfly.rewards.combination import CombinedReward
from gadfly.rewards.crowding import FailureHistory
from gadfly.rewards.embedding import HashEmbedder
from gadfly.rewards.lexical import LexicalHistory
from gadfly.rewards.rarity import RarityHistory
from gadfly.rewards.semantic import SemanticHistory
from gadfly.rewards.verdict_terms import failure_term, invalid_term

IMAGE = Image("0" * 64, "a.png", 4, 4)
WEIGHTS = RewardConfig(failure=1.0, semantic=0.3, lexical=0.2, invalid=0.5, window=3, neighbours=2)


def ask(text: str, group: int = 0) -> Question:
    return Question((IMAGE,), text, group)


def past(*texts: str) -> list[PastQuestion]:
    return [PastQuestion(text) for text in texts]


def judged(verdict: Verdict) -> Judgement:
    return Judgement(verdict, reason=None if verdict.valid else "because")


RIGHT, WRONG, INVALID, UNDECIDED = map(judged, Verdict)


def test_terms_of_the_verdict() -> None:
    assert [failure_term(verdict) for verdict in Verdict] == [0.0, 1.0, None, None]
    assert [invalid_term(verdict) for verdict in Verdict] == [0.0, 0.0, 1.0, None]


def test_each_verdict_by_hand() -> None:
    reward: Reward = CombinedReward(WEIGHTS, HashEmbedder())
    # Four groups of one, no history: a valid question has no reference, so both novelties are 1.
    scored = reward.score([ask("q", group) for group in range(4)], [RIGHT, WRONG, INVALID, UNDECIDED])
    assert [value for value, _ in scored] == [pytest.approx(0.5), pytest.approx(1.5), -0.5, None]
    of_valid: dict[str, float | None] = {"semantic": 1.0, "lexical": 1.0, "rarity": 1.0, "invalid": 0.0, "astray": None}
    assert [dict(terms) for _, terms in scored] == [
        {**of_valid, "failure": 0.0, "crowding": None},
        {**of_valid, "failure": 1.0, "crowding": 0.0},
        {**dict.fromkeys(of_valid), "failure": None, "crowding": None, "invalid": 1.0},
        {**dict.fromkeys(of_valid), "failure": None, "crowding": None},
    ]


def test_copies_in_a_group_earn_no_novelty_and_invalid_ones_are_no_references() -> None:
    reward = CombinedReward(WEIGHTS, HashEmbedder())
    text = "how many red cubes are there?"
    (first, _), (second, _) = reward.score([ask(text), ask(text)], [RIGHT, RIGHT])
    assert first == pytest.approx(0.0, abs=1e-6) and second == pytest.approx(0.0, abs=1e-6)
    (first, _), _, _ = reward.score([ask(text)] * 3, [RIGHT, INVALID, UNDECIDED])
    assert first == pytest.approx(0.5)


def test_remembered_questions_are_references() -> None:
    reward = CombinedReward(WEIGHTS, HashEmbedder())
    text = "how many red cubes are there?"
    reward.remember(past(text))
    ((value, _),) = reward.score([ask(text)], [WRONG])
    assert value == pytest.approx(1.0, abs=1e-6)
    reward.remember(past("what is left of it?", "which is bigger here?", "where does this man look?"))  # window is 3
    ((_, terms),) = reward.score([ask(text)], [WRONG])
    assert terms["lexical"] is not None and terms["lexical"] > 0.5


KNOWN = [
    Judgement(verdict, skills=skills)
    for verdict in (Verdict.RIGHT, Verdict.WRONG)
    for skills in ((), ("a",), ("a", "b"))
]
questions = st.lists(
    st.tuples(
        st.lists(st.sampled_from(["red", "cube", "is", "left", "?"]), max_size=8).map(" ".join),
        st.integers(0, 2),
        st.sampled_from([RIGHT, WRONG, INVALID, UNDECIDED, *KNOWN]),
    ),
    max_size=8,
)


@given(steps=st.lists(questions, max_size=5), last=questions)
def test_a_rebuilt_history_scores_exactly_as_the_one_lived_through(
    steps: list[list[tuple[str, int, Judgement]]], last: list[tuple[str, int, Judgement]]
) -> None:
    lived = CombinedReward(WEIGHTS, HashEmbedder())
    stored: list[PastQuestion] = []
    for step in steps:
        lived.score([ask(text, group) for text, group, _ in step], [judgement for _, _, judgement in step])
        valid = [
            PastQuestion(text, judgement.skills, judgement.verdict is Verdict.WRONG)
            for text, _, judgement in step
            if judgement.verdict.valid
        ]
        lived.remember(valid)
        stored += valid
    batch = [ask(text, group) for text, group, _ in last]
    judgements = [judgement for _, _, judgement in last]
    once = lived.score(batch, judgements)
    for kept in (stored, stored[max(0, len(stored) - WEIGHTS.window) :]):
        rebuilt = CombinedReward(WEIGHTS, HashEmbedder())
        rebuilt.remember(kept)
        assert rebuilt.score(batch, judgements) == once
    assert lived.score(batch, judgements) == once  # scoring changed nothing


@pytest.mark.parametrize("bad", [{"semantic": -1.0}, {"lexical": float("nan")}, {"window": -1}, {"neighbours": 0}])
def test_weights_out_of_range_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(bad))):
        RewardConfig(**bad)  # type: ignore[arg-type]


def _about_numbers(topic: str, skills: Sequence[str]) -> bool | None:
    return any(skill.startswith("counting.") for skill in skills) if topic == "numbers" else None


def test_a_question_that_is_not_about_its_topic_costs_and_earns_nothing() -> None:
    reward = CombinedReward(replace(WEIGHTS, astray=0.3), HashEmbedder(), _about_numbers)
    about = Judgement(Verdict.WRONG, skills=("counting.count", "logic.not"))
    other = Judgement(Verdict.WRONG, skills=("logic.not",))
    unknown = Judgement(Verdict.WRONG)
    asked = [("numbers", about), ("numbers", other), ("", other), ("moods", other), ("numbers", unknown)]
    questions = [Question((IMAGE,), "q", group, topic) for group, (topic, _) in enumerate(asked)]
    scored = reward.score([*questions, questions[0]], [*(judgement for _, judgement in asked), UNDECIDED])
    assert [value for value, _ in scored] == [pytest.approx(v) for v in (1.5, -0.3, 1.5, 1.5, 1.5)] + [None]
    assert [terms["astray"] for _, terms in scored] == [0.0, 1.0, None, None, None, None]


def test_rarity_counts_the_skills_asked_for_in_the_window_by_hand() -> None:
    reward = CombinedReward(RewardConfig(rarity=0.4, semantic=0.0, lexical=0.0, window=3), HashEmbedder())
    counting, colour = ("counting",), ("colour",)
    reward.remember([PastQuestion(f"q{i}", skills) for i, skills in enumerate([colour, counting, colour, colour])])
    # The first is forgotten, three are left: counting once, colour twice, both never.
    by_hand = [1 - log(2) / log(4), 1 - log(3) / log(4), 1.0]
    judgements = [Judgement(Verdict.RIGHT, skills=s) for s in (counting, colour, ("colour", "counting"))]
    scored = reward.score([ask("a"), ask("b"), ask("c")], judgements)
    assert [terms["rarity"] for _, terms in scored] == pytest.approx(by_hand)
    assert [value for value, _ in scored] == pytest.approx([0.4 * rarity for rarity in by_hand])


def test_a_failure_of_a_kind_that_is_often_found_is_paid_less_by_hand() -> None:
    weights = RewardConfig(failure=2.0, crowding=1.5, semantic=0.0, lexical=0.0, window=4)
    reward = CombinedReward(weights, HashEmbedder())
    found = [(("colour",), True), (("count", "not"), True), (("count",), True), (("count",), False), (("not",), True)]
    reward.remember([PastQuestion(f"q{i}", skills, failed) for i, (skills, failed) in enumerate(found)])
    # The first is forgotten. Three failures are left, of which two need "count" and two "not"; they count as four.
    asked = [("count",), ("colour", "not"), ("colour",), ()]
    wrong = reward.score([ask("q")] * 4, [Judgement(Verdict.WRONG, skills=skills) for skills in asked])
    assert [terms["crowding"] for _, terms in wrong] == [0.5, 0.5, 0.0, 0.0]
    assert [value for value, _ in wrong] == pytest.approx([1.25, 1.25, 2.0, 2.0])
    ((value, terms),) = reward.score([ask("q")], [Judgement(Verdict.RIGHT, skills=("count",))])
    assert terms["crowding"] is None and value == pytest.approx(0.0)  # what does not fail is not crowded


def test_crowding_without_skills_counts_failures_that_mean_the_same() -> None:
    reward = CombinedReward(RewardConfig(window=4), HashEmbedder())
    text = "how many red cubes are there?"
    reward.remember([PastQuestion(text, None, failed) for failed in (True, True, False)])
    reward.remember([PastQuestion("where does this man look?", None, True)])
    scored = reward.score([ask(text), ask("something else")], [WRONG, WRONG])
    assert [terms["crowding"] for _, terms in scored] == pytest.approx([2 / 4, 0.0])


@pytest.mark.parametrize(
    ("weights", "said"),
    [({"failure": 1.0, "crowding": 1.1}, "would cost"), ({"kind": "curiosity", "crowding": 0.5}, "no part of")],
)
def test_crowding_that_makes_no_sense_is_refused(weights: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        RewardConfig(**weights)


def test_rarity_without_skills_counts_what_means_the_same() -> None:
    reward = CombinedReward(RewardConfig(window=3), HashEmbedder())
    reward.remember(past("how many red cubes are there?", "how many red cubes are there?", "where does this man look?"))
    scored = reward.score([ask("how many red cubes are there?"), ask("something else")], [RIGHT, WRONG])
    assert [terms["rarity"] for _, terms in scored] == pytest.approx([1 - log(3) / log(4), 1.0])


def test_novelty_is_bounded_for_a_long_history() -> None:
    reward = CombinedReward(RewardConfig(window=50), HashEmbedder())
    rng = np.random.default_rng(0)
    words = np.array(["red", "cube", "left", "big", "dog", "how", "many", "?"])
    for _ in range(20):
        texts = [" ".join(rng.choice(words, 7)) for _ in range(16)]
        for _, terms in reward.score([ask(text, at // 8) for at, text in enumerate(texts)], [WRONG] * 16):
            assert 0 <= (terms["semantic"] or 0) <= 2 and 0 <= (terms["lexical"] or 0) <= 1
        reward.remember(past(*texts))


@pytest.mark.parametrize("kind", ["lexical", "semantic", "rarity", "crowding"])
def test_what_a_history_holds_is_bounded_by_its_window(kind: str) -> None:
    """6,000 questions that share neither words nor skills pass through a window of 20, in batches of 10. If each left
    50 bytes behind, what is held would grow by 250 kB over the last 5,000."""
    lexical, semantic, rarity = LexicalHistory(20), SemanticHistory(20), RarityHistory(20)
    failures = FailureHistory(20)
    unit_B_D = np.eye(10, 32, dtype=np.float32)
    held: list[int] = []
    tracemalloc.start()
    for batch in range(600):
        names = [f"{batch}.{place}" for place in range(10)]
        texts = [f"a{name} b{name} c{name}?" for name in names]
        match kind:
            case "lexical":
                lexical.novelty(texts, range(10))
                lexical.remember(texts)
            case "semantic":
                semantic.novelty(unit_B_D, range(10))
                semantic.remember(unit_B_D)
            case "rarity":
                rarity.of([(name,) for name in names], np.zeros((10, 0), np.bool_))
                rarity.remember([(name,) for name in names])
            case _:
                failures.of([(name,) for name in names], np.zeros((10, 0), np.bool_))
                failures.remember([(name,) for name in names], [True] * 10)
        if batch in (99, 599):
            held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert held[1] - held[0] < 50_000

"""The rewards of others, VisPlay's and Curiosity-driven Red-teaming's: values worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gadfly.config import RewardConfig
from gadfly.errors import ConfigError
from gadfly.records import Completion, Image, Judgement, PastQuestion, Question, Verdict
from gadfly.rewards.curiosity import CuriosityReward
from gadfly.rewards.embedding import HashEmbedder
from gadfly.rewards.uncertainty import UncertaintyReward, cluster_sizes, uncertainty

IMAGE = Image("i", "i.png", 8, 8)
RIGHT, WRONG = Judgement(Verdict.RIGHT), Judgement(Verdict.WRONG)
INVALID, UNDECIDED = Judgement(Verdict.INVALID, "vague"), Judgement(Verdict.UNDECIDED, "timeout")


def asked(text: str, group: int = 0) -> Question:
    return Question((IMAGE,), text, group)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (["red", "red", "red", "red"], 0.0),  # p = 1
        (["red", "Red ", "red", "blue"], 0.25),  # p = 3/4
        (["red", "blue", "red", "blue"], 0.5),  # p = 1/2
        (["red", "blue", "green", "cyan"], 0.25),  # p = 1/4
        (["red"], None),
    ],
)
def test_uncertainty_is_min_of_p_and_1_minus_p(answers: list[str], expected: float | None) -> None:
    assert uncertainty(answers) == expected


@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=2, max_size=12))
def test_uncertainty_lies_between_zero_and_a_half(answers: list[str]) -> None:
    value = uncertainty(answers)
    assert value is not None and 0 <= value <= 0.5
    assert (value == 0) == (len(set(answers)) == 1)


def test_clusters_are_of_what_shares_its_wording() -> None:
    a, near_a = "is the red star left of the ring?", "is the red star left of the square?"
    assert cluster_sizes([a, "how many digits are there?", near_a, a]) == [3, 1, 3, 3]
    assert cluster_sizes([]) == []


class Saying:
    """A target that answers each question by what it holds; keeps how many it got."""

    def __init__(self, seed: int) -> None:
        self.seed, self.asked = seed, 0

    def answer(self, questions: Sequence[Question]) -> list[Completion]:
        self.asked += len(questions)
        return [Completion(f"{self.seed % 2}" if "doubt" in q.text else "same") for q in questions]


def test_visplays_reward_by_hand() -> None:
    targets = [Saying(seed) for seed in range(4)]
    reward = UncertaintyReward(targets, lambda text: text.endswith("?"), share=0.4)
    doubt, sure = "is there any doubt about it?", "how many red stars can be seen?"
    questions = [asked(doubt), asked(doubt), asked(sure), asked("no question"), asked(doubt, 1)]
    scored = reward.score(questions, [WRONG, RIGHT, INVALID, INVALID, UNDECIDED])
    # Two and two answers: 0.5. The group of four holds the question twice: 0.5 - 0.4 · 2/4 = 0.3. What is sure:
    # 0 - 0.4 · 1/4, INVALID or not. No question: 0. UNDECIDED: None.
    assert [value for value, _ in scored] == [pytest.approx(0.3), pytest.approx(0.3), pytest.approx(-0.1), 0.0, None]
    assert scored[3][1] == {"uncertainty": None, "cluster_share": None}
    # One image, two different questions with a question in them, each answered once by each of the four.
    assert [target.asked for target in targets] == [2, 2, 2, 2]
    assert reward.score([], []) == []


class Axes:
    """The k-th axis for a text that ends with k."""

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        return np.eye(4, dtype=np.float32)[[int(text[-1]) for text in texts]]


def test_the_curiosity_reward_by_hand() -> None:
    weights = RewardConfig(kind="curiosity", failure=1.0, semantic=0.4, lexical=0.0, invalid=0.25)
    reward = CuriosityReward(weights, Axes())
    assert reward.score([asked("q 0")], [WRONG])[0][0] == pytest.approx(1.4)  # nothing before it: novelty 1
    reward.remember([PastQuestion("q 0"), PastQuestion("q 0"), PastQuestion("q 1"), PastQuestion("q 2")])
    scored = reward.score([asked("q 0"), asked("q 0"), asked("q 3"), asked("q 1")], [WRONG, RIGHT, INVALID, UNDECIDED])
    # Half of the history is the very same vector: novelty 0.5, whoever else asks the same in this step. Axis 3 is new.
    assert [value for value, _ in scored] == [
        pytest.approx(1 + 0.4 * 0.5),
        pytest.approx(0.4 * 0.5),
        pytest.approx(0.4 - 0.25),
        None,
    ]
    assert scored[0][1]["semantic"] == pytest.approx(0.5) and scored[2][1]["failure"] is None


def test_lexical_curiosity_is_against_the_whole_history() -> None:
    weights = RewardConfig(kind="curiosity", failure=0.0, semantic=0.0, lexical=1.0, window=1)
    reward = CuriosityReward(weights, HashEmbedder())
    old = "is the small red star above the blue ring?"
    reward.remember([PastQuestion(old), *(PastQuestion(f"how many of {i}?") for i in range(50))])
    (copied, _), (fresh, _) = reward.score([asked(old), asked("which way does it point")], [RIGHT, RIGHT])
    assert copied == pytest.approx(0.0) and fresh == pytest.approx(1.0)


def test_a_rebuilt_history_scores_to_the_last_bit() -> None:
    weights = RewardConfig(kind="curiosity")
    lived, rebuilt = (CuriosityReward(weights, HashEmbedder()) for _ in range(2))
    past = [PastQuestion(f"is the {word} {i} there?") for i, word in enumerate("red blue red green odd".split() * 5)]
    for start in range(0, len(past), 7):
        lived.remember(past[start : start + 7])
    rebuilt.remember(past)
    questions = [asked("is the red 3 there?"), asked("how many?")]
    one, other = lived.score(questions, [WRONG, RIGHT]), rebuilt.score(questions, [WRONG, RIGHT])
    assert one == other and all(value is not None and math.isfinite(value) for value, _ in one)


def test_rarity_is_no_part_of_the_others_rewards() -> None:
    with pytest.raises(ConfigError, match=r"reward\.rarity is no part of the curiosity reward"):
        RewardConfig(kind="curiosity", rarity=1.0)

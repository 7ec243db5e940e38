"""What the benchmark of methods measures with: values worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gadfly.analysis.statistics import Estimate
from gadfly.bench.diversity import cosines, diversity, self_bleu, vendi_score
from gadfly.bench.found import Stretch, area_under, curve, found, rarefied
from gadfly.bench.fresh import FreshProbes, questions_of
from gadfly.bench.paired import best_of, mean_of, paired
from gadfly.records import Completion, Question
from gadfly.rewards.embedding import HashEmbedder
from gadfly.rewards.lexical import similarity
from gadfly.testbed.album import SceneSource
from gadfly.testbed.execution import SceneIndex, needed
from gadfly.testbed.oracle import understand
from made_probes import RIGHT, WRONG, make_probe


def test_vendi_score_by_hand() -> None:
    # At right angles: the eigenvalues of K/3 are 1/3 three times, exp(log 3) = 3.
    assert vendi_score(np.eye(3)) == pytest.approx(3)
    # All the same: one eigenvalue of 1.
    assert vendi_score(np.ones((5, 1))) == pytest.approx(1)
    # Two the same and one at right angles: 2/3 and 1/3, exp(2/3 log 3/2 + 1/3 log 3) = 1.8899.
    two_one = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert vendi_score(two_one) == pytest.approx(math.exp(2 / 3 * math.log(1.5) + math.log(3) / 3))
    # A cosine of 0.6: eigenvalues 0.8 and 0.2, exp(-0.8 log 0.8 - 0.2 log 0.2) = 1.6494.
    assert vendi_score(np.array([[1.0, 0.0], [0.6, 0.8]])) == pytest.approx(1.6494, abs=1e-4)


@given(st.integers(2, 12), st.integers(1, 6), st.integers(0, 99))
def test_vendi_score_lies_between_one_and_n(n: int, dimensions: int, seed: int) -> None:
    vectors_N_D = np.random.default_rng(seed).normal(size=(n, dimensions))
    vectors_N_D /= np.linalg.norm(vectors_N_D, axis=1, keepdims=True)
    score = vendi_score(vectors_N_D)
    assert 1 - 1e-9 <= score <= min(n, dimensions) + 1e-9
    assert vendi_score(np.concatenate([vectors_N_D, vectors_N_D])) == pytest.approx(score)  # a second copy adds none


def test_cosines_by_hand() -> None:
    # Cosines 1, 0, 0 of three pairs: mean 1/3; the nearest of each: 1, 1, 0.
    assert cosines(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])) == pytest.approx((1 / 3, 2 / 3))


def test_self_bleu_of_copies_and_of_strangers() -> None:
    same = "is the red star left of the ring ?"
    assert self_bleu([same, same, same]) == pytest.approx(1)
    assert self_bleu(["how many", "is it"]) == 0  # not a word in common
    assert similarity(same, same) == pytest.approx(1) and similarity("how many", same) == 0


def test_diversity_needs_two_texts() -> None:
    assert diversity(["one"], HashEmbedder(), np.random.default_rng(0)).vendi is None
    made = diversity([f"question {i}" for i in range(600)], HashEmbedder(), np.random.default_rng(0))
    assert made.n == 500 and made.vendi is not None and made.vendi > 1


def wrong_on(images: int, skills: tuple[str, ...], start: int, step: int = 0) -> list:  # type: ignore[type-arg]
    return [make_probe(WRONG, f"i{n}", start + n, step=step, skills=skills) for n in range(images)]


def test_a_combination_is_found_with_its_fifth_image() -> None:
    a, b = ("x.a",), ("x.a", "x.b")
    first = [*wrong_on(5, a, 0), *wrong_on(4, b, 5), make_probe(RIGHT, "i9", 9, skills=b)]
    again = [make_probe(WRONG, "i0", 0, step=1, question="b once more?", skills=b), *wrong_on(5, b, 1, step=1)[4:]]
    # The first ten probes took 30 calls, so the fifth of them stands at call 15; `again` took 4 calls for 2 probes: on
    # an image that was WRONG before, then on a fifth one, with the last call, 34.
    made = found([Stretch(first, 30), Stretch(again, 4)])
    assert made.calls == 34 and made.at_call == {a: 15, b: 34}
    assert made.wrong_combinations == {a: 5, b: 6} and made.n_wrong == 11
    assert made.valid_combinations == {a: 5, b: 7}
    assert made.wrong_skills == {"x.a": 11, "x.b": 6}
    # a adds (40 - 15) / 40, b adds (40 - 34) / 40; what fresh probes do not confirm adds nothing.
    assert area_under(made.at_call, {a, b}, 40) == pytest.approx(31 / 40)
    assert area_under(made.at_call, {a, ("x.c",)}, 40) == pytest.approx(25 / 40)
    assert curve(made.at_call, {a, b}, [10, 15, 33, 34]) == [0, 1, 1, 2]


def test_rarefaction_by_calls() -> None:
    # 4 calls, of which 2 bear A and 1 bears B. Of 2 calls drawn, A is missed in C(2,2) / C(4,2) = 1/6 and B in
    # C(3,2) / 6 = 1/2 of cases: 5/6 + 1/2 kinds are expected.
    assert rarefied({"A": 2, "B": 1}, 4, 2) == pytest.approx(4 / 3)
    assert rarefied({"A": 2, "B": 1}, 4, 4) == pytest.approx(2)
    assert rarefied({}, 4, 2) == 0 and rarefied({"A": 1}, 4, 5) is None


def test_paired_comparison_by_hand() -> None:
    a = {("a", 0): 6.0, ("a", 1): 8.0, ("b", 0): 3.0, ("b", 1): 3.0, ("b", 2): 9.0}
    b = {("a", 0): 3.0, ("a", 1): 4.0, ("b", 0): 3.0, ("b", 1): 3.0}
    made = paired(a, b)
    # Organism a: 7 to 3.5, b (seeds 0 and 1): 3 to 3. Ratios 2 and 1, differences 3.5 and 0.
    assert made.ratio.value == pytest.approx(1.5) and made.difference.value == pytest.approx(1.75)
    assert (made.n_pairs, made.wins, made.ratio.low) == (4, 2, None)
    assert made.ratio.reason == "2 seeds to an organism: no interval"
    assert best_of({"A": a, "B": b}, ["A", "B"]) == "A"
    assert paired({}, b).ratio.reason == "no organism and seed that both have"


def test_pairing_takes_out_what_seeds_have_in_common() -> None:
    # Seeds differ widely and A is always 1.5 times B, so the ratio is what it is with every seed.
    b = {("a", seed): float(10 * (seed + 1)) for seed in range(5)}
    a = {cell: 1.5 * n for cell, n in b.items()}
    made = paired(a, b)
    assert made.ratio == Estimate(1.5, None, None, "the same with every seed: no interval")
    # Differences 5, 10, 15, 20, 25: mean 15, standard error sqrt(62.5 / 5), t of 4 degrees of freedom 2.776.
    assert made.difference.low == pytest.approx(15 - 2.776 * 12.5**0.5, abs=0.01) and made.wins == 5


def test_an_interval_over_seeds_by_hand() -> None:
    cells = {("a", 0): 1.0, ("a", 1): 2.0, ("a", 2): 3.0, ("b", 0): 0.0, ("b", 1): 2.0, ("b", 2): 4.0}
    # Variances of the means 1/3 and 4/3, of the mean of both (5/3) / 4; Satterthwaite: (5/3)² / ((1/9 + 16/9) / 2)
    # = 2.941 degrees of freedom, of which t is 3.213.
    half = 3.213 * (5 / 12) ** 0.5
    made = mean_of(cells)
    assert made.value == 2
    assert made.low == pytest.approx(2 - half, abs=0.01) and made.high == pytest.approx(2 + half, abs=0.01)
    assert mean_of(cells, (0.5, 3.0)) == Estimate(2, 0.5, 3.0)


def test_intervals_over_five_seeds_hold_the_truth() -> None:
    """Numbers as in the grid: A and B share half of a seed's luck, and organisms differ in size and spread."""
    rng, held = np.random.default_rng(0), 0
    sizes = {"b": (140.0, 40.0, 6.0), "c": (60.0, 32.0, 4.0), "d": (38.0, 28.0, 3.0)}
    truth = np.mean([a / b for a, b, _ in sizes.values()])
    for _ in range(1000):
        one: dict[tuple[str, int], float] = {}
        other: dict[tuple[str, int], float] = {}
        for organism, (mean_a, mean_b, spread) in sizes.items():
            for seed in range(5):
                shared, own_a, own_b = rng.normal(0, spread / 2**0.5, 3)
                one[organism, seed], other[organism, seed] = mean_a + shared + own_a, mean_b + shared + own_b
        ratio = paired(one, other).ratio
        assert ratio.low is not None and ratio.high is not None
        held += bool(ratio.low <= truth <= ratio.high)
    assert 930 <= held <= 975


class Yes:
    """A target that says yes to everything; keeps how many questions it got."""

    def __init__(self) -> None:
        self.asked = 0

    def answer(self, questions: Sequence[Question]) -> list[Completion]:
        self.asked += len(questions)
        return [Completion("yes")] * len(questions)


@pytest.mark.slow
def test_fresh_probes_of_a_combination_need_just_its_skills_and_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gadfly.bench.fresh.N_UNIFORM", 200)  # 55 scenes
    monkeypatch.setattr("gadfly.bench.fresh.N_COMBINATION", 40)
    target, opened = Yes(), []

    def open_target(source: SceneSource) -> Yes:
        opened.append(source)
        return target

    fresh = FreshProbes(open_target, "weights", tmp_path / "fresh.json", n_uniform=160)
    combination = ("counting.count", "logic.not")
    drawn = questions_of(combination, 200, 40)
    assert len(drawn) == 40 and len({image.id for image, _ in drawn}) == 40
    for image, text in drawn:
        scene = SceneIndex(fresh.source.scenes[image.id])
        program, answer = understand(text, scene)
        assert program is not None and answer.text is not None
        assert needed(program, scene).combination == combination and program.depth == 2
    # "yes" is never a count, and right about half the time of what takes yes or no.
    rates = fresh.rates([combination, ("logic.exists",)])
    assert rates[combination].value == 1 and rates[combination].n == 40
    assert 0.2 < (rates["logic.exists",].value or 0) < 0.8
    assert fresh.failing([combination, ("logic.exists",), ("no.such",)]) == {combination}
    assert set(fresh.at_depth) == {1, 2, 3, 4} and sum(rate.n for rate in fresh.at_depth.values()) == 160
    asked = target.asked
    again = FreshProbes(open_target, "weights", tmp_path / "fresh.json", n_uniform=160)
    assert again.rates([combination]) == {combination: rates[combination]} and again.at_depth == fresh.at_depth
    assert target.asked == asked
    assert FreshProbes(open_target, "others", tmp_path / "fresh.json", n_uniform=160).rates([combination])
    assert target.asked == asked + 40  # other weights, other answers

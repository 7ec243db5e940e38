"""The search for itemsets: against counting one by one, its tests against exact ones, and what it keeps."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, hypergeom

from gadfly.analysis.clustered import tail, tail_within
from gadfly.analysis.mining import MiningSettings, mine, try_all
from gadfly.analysis.statistics import Flags, Whole

SMALL = MiningSettings(min_probes=4, min_images=3, min_wrong_images=2)


def table(n: int, n_items: int, n_images: int, seed: int) -> tuple[Flags, Flags, Whole, tuple[str, ...]]:
    rng = np.random.default_rng(seed)
    holds = rng.random((n, n_items)) < 0.5
    return (
        holds,
        rng.random(n) < 0.4,
        np.sort(rng.integers(n_images, size=n)),
        tuple(f"skill:k.{i}" for i in range(n_items)),
    )


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 60), st.integers(1, 12))
def test_every_supported_itemset_is_tested_with_its_counts(seed: int, n_items: int, n: int, n_images: int) -> None:
    holds, wrong, image, items = table(n, n_items, n_images, seed)
    expected = {}
    for size in (1, 2, 3):
        for columns in itertools.combinations(range(n_items), size):
            rows = holds[:, columns].all(axis=1)
            images = len(set(image[rows]))
            if rows.sum() >= 4 and images >= 3:
                expected[columns] = rows.sum(), wrong[rows].sum(), images, len(set(image[rows & wrong]))
    tested = try_all(holds, wrong, image, items, replace(SMALL, false_discovery_rate=math.inf))
    found = {
        tuple(int(k) for k in columns if k >= 0): (n, w, i, wi)
        for columns, n, w, i, wi in zip(
            tested.itemset_M_3, tested.n_M, tested.wrong_M, tested.images_M, tested.wrong_images_M, strict=True
        )
    }
    assert found == expected and len(tested.n_M) == len(expected)


def test_what_is_too_small_to_be_told_from_chance_is_no_test() -> None:
    # Half of 40 are WRONG. Two items: 0.5^5 · 2 = 0.0625 and 0.5^6 · 2 = 0.03125, where 0.05 is wanted.
    wrong, image = np.arange(40) % 2 == 0, np.arange(40)
    for n, tested in ((5, [20]), (6, [6, 20])):
        holds = np.stack([np.arange(40) < n, np.arange(40) >= 20], axis=1)
        assert sorted(try_all(holds, wrong, image, ("skill:k.a", "skill:k.b"), SMALL).n_M) == tested


def test_special_cases_are_not_joined() -> None:
    # "answer:number.0" with "answer:number" is "answer:number.0" again: one test, not two.
    holds = np.ones((30, 2), dtype=bool)
    tested = try_all(holds, np.arange(30) % 2 == 0, np.arange(30), ("answer:number", "answer:number.0"), SMALL)
    assert len(tested.n_M) == 2


def test_the_tail_is_the_binomial_one() -> None:
    n, wrong, one = np.array([20.0, 20.0, 50.0]), np.array([9.0, 0.0, 50.0]), np.ones(3)
    p, z = tail(n, wrong, one, np.array([0.3, 0.3, 0.9]))
    assert p == pytest.approx([binom.sf(8, 20, 0.3), 1.0, 0.9**50])
    # 2 · (9 ln(9/6) + 11 ln(11/14)); none of 20: -sqrt(2 · 20 · ln(1/0.7))
    assert z[:2] == pytest.approx(
        [np.sqrt(2 * (9 * np.log(1.5) + 11 * np.log(11 / 14))), -np.sqrt(40 * np.log(1 / 0.7))]
    )
    # An effect of 2 halves the trials: 5 of 10.
    assert tail(np.array([20.0]), np.array([10.0]), np.array([2.0]), np.array([0.3]))[0] == pytest.approx(
        [binom.sf(4, 10, 0.3)]
    )


def test_within_a_whole_it_is_close_to_the_hypergeometric_tail() -> None:
    rng = np.random.default_rng(0)
    whole = np.exp(rng.uniform(np.log(12), np.log(5000), size=6000)).astype(int)
    n, all_wrong = rng.integers(1, whole), rng.integers(1, whole)
    wrong = rng.integers(np.maximum(0, n + all_wrong - whole), np.minimum(n, all_wrong) + 1)
    exact = hypergeom.sf(wrong - 1, whole, all_wrong, n)
    far = (exact > 1e-10) & (exact < 0.5)
    assert far.sum() > 1500
    p, z = tail_within(*(some[far].astype(float) for some in (n, wrong, np.ones(6000), whole, all_wrong)))
    times = p / exact[far]
    assert times.min() > 0.99 and times.max() < 10 and np.quantile(times, 0.95) < 1.6
    assert (z[exact[far] < 0.01] > 0).all()


def test_within_a_whole_by_hand() -> None:
    # Of 17 probes 13 are WRONG, and they are the part. One way of 17! / 13! 4! = 2,380 is like that.
    p, z = tail_within(np.array([13.0]), np.array([13.0]), np.ones(1), 17, 13)
    assert 1 / 2380 < p[0] < 2 / 2380
    assert z[0] == pytest.approx(np.sqrt(2 * (13 * np.log(17 / 13) + 4 * np.log(17 / 4))))
    # With twice as many of all that are worth one each it is the same; the whole in place of a part tells nothing.
    assert tail_within(np.array([26.0]), np.array([26.0]), np.array([2.0]), 34, 26)[0] == pytest.approx(p)
    assert tail_within(np.array([17.0]), np.array([13.0]), np.ones(1), 17, 13)[0] == [1.0]


def planted(n: int = 3000, seed: int = 0) -> tuple[Flags, Flags, Whole, tuple[str, ...]]:
    """Items 0 to 5 at random; WRONG in 70% of those with 0 and 1, in 15% of the others."""
    rng = np.random.default_rng(seed)
    holds = rng.random((n, 6)) < 0.4
    wrong = rng.random(n) < np.where(holds[:, 0] & holds[:, 1], 0.7, 0.15)
    return holds, wrong, np.arange(n) // 3, tuple(f"skill:k.{i}" for i in range(6))


def test_neither_parts_nor_mixtures_of_a_mode_are_kept() -> None:
    finds, tested = mine(*planted(), MiningSettings())
    assert [find.columns for find in finds] == [(0, 1)]
    # Not for want of significance: {0}, {1} and {0, 1, 2} are far above the rate as well.
    q = {tuple(columns): q for columns, q in zip(tested.itemset_M_3.tolist(), tested.q_M, strict=True)}
    assert max(q[0, -1, -1], q[1, -1, -1], q[0, 1, 2]) < 1e-6


def test_a_worse_part_of_a_mode_and_what_is_left_of_a_mixture_are_kept() -> None:
    rng = np.random.default_rng(1)
    holds = rng.random((6000, 5)) < 0.4
    rate = np.select([holds[:, 0] & holds[:, 1], holds[:, 0]], [0.95, 0.5], 0.1)
    finds, _ = mine(
        holds, rng.random(6000) < rate, np.arange(6000) // 3, tuple(f"skill:k.{c}" for c in "abcde"), MiningSettings()
    )
    assert {find.columns for find in finds} == {(0,), (0, 1)}


def test_a_mixture_of_modes_with_harmless_probes_gives_way_to_them() -> None:
    # Of 6,000 probes a third needs family f; of its five skills three are blind spots, the others fail like all else.
    # Against the overall 0.24 the family's 0.42 of 2,000 has a deviance of about 300, a spot's 0.6 of 400 one of 240.
    rng = np.random.default_rng(3)
    skill = rng.integers(15, size=6000)
    holds = np.stack([*(skill == k for k in range(5)), skill < 5], axis=1)
    rate = np.where(skill < 3, 0.6, 0.15)
    items = (*(f"skill:f.{k}" for k in range(5)), "family:f")
    finds, _ = mine(holds, rng.random(6000) < rate, np.arange(6000) // 3, items, MiningSettings())
    assert {find.columns for find in finds} == {(0,), (1,), (2,)}


def test_a_family_that_fails_as_a_whole_is_one_mode() -> None:
    rng = np.random.default_rng(4)
    skill = rng.integers(15, size=6000)
    holds = np.stack([*(skill == k for k in range(5)), skill < 5], axis=1)
    items = (*(f"skill:f.{k}" for k in range(5)), "family:f")
    wrong = rng.random(6000) < np.where(skill < 5, 0.6, 0.15)
    finds, _ = mine(holds, wrong, np.arange(6000) // 3, items, MiningSettings())
    assert [find.columns for find in finds] == [(5,)]


def test_of_equal_itemsets_the_simplest_speaks() -> None:
    holds, wrong, image, _ = planted()
    both = holds[:, 0] & holds[:, 1]
    items = ("answer:number", "concept:red", "skill:k.z", "skill:k.a")
    columns = np.stack([both, both, both, holds[:, 2]], axis=1)
    finds, _ = mine(columns, wrong, image, items, MiningSettings())
    assert [find.columns for find in finds] == [(2,)]


def test_small_excess_is_not_worth_a_name() -> None:
    rng = np.random.default_rng(2)
    holds = rng.random((60_000, 2)) < 0.5
    wrong = rng.random(60_000) < np.where(holds[:, 0], 0.23, 0.2)
    image, items = np.arange(60_000) // 4, ("skill:k.a", "skill:k.b")
    assert mine(holds, wrong, image, items, MiningSettings())[0] == []
    assert [f.columns for f in mine(holds, wrong, image, items, MiningSettings(min_excess=0.01))[0]] == [(0,)]


def test_failures_on_few_images_are_not_a_mode() -> None:
    # 200 WRONG answers to "a" about 12 images, of which 4 hold them all: below min_wrong_images.
    holds = np.zeros((1200, 1), dtype=bool)
    holds[:240] = True
    image = np.concatenate([np.arange(240) // 20, 100 + np.arange(960)])
    wrong = (image < 4) | (np.arange(1200) % 10 == 0) & ~holds[:, 0]
    assert mine(holds, wrong, image, ("skill:k.a",), MiningSettings())[0] == []


def test_nothing_to_search() -> None:
    nothing = np.zeros((0, 0), dtype=bool), np.zeros(0, dtype=bool), np.zeros(0, dtype=np.int64), ()
    finds, tested = mine(*nothing, MiningSettings())
    assert finds == [] and len(tested.n_M) == 0


def grouped(*groups: tuple[int, float, tuple[int, ...]]) -> tuple[Flags, Flags, Whole]:
    """Groups of (probes, failure rate, items held), one probe an image; WRONG ones are spread evenly."""
    n_items = 1 + max((k for *_, held in groups for k in held), default=0)
    holds, wrong = [], []
    for n, rate, held in groups:
        holds += [[k in held for k in range(n_items)]] * n
        wrong += [int((i + 1) * rate) > int(i * rate) for i in range(n)]
    return np.array(holds), np.array(wrong), np.arange(len(wrong))


def test_among_many_failures_the_next_cause_is_still_found() -> None:
    """Of a questioner that keeps to what fails: 68% of all is WRONG, so 70% stand out among the rest alone."""
    holds, wrong, image = grouped((700, 0.95, (0,)), (100, 0.7, (1,)), (400, 0.2, ()))
    items = ("skill:k.easy", "skill:k.rare")
    finds, tested = mine(holds, wrong, image, items, MiningSettings())
    assert [(find.columns, find.n, find.wrong) for find in finds] == [((0,), 700, 665), ((1,), 100, 70)]
    assert finds[1].q < 0.05 < tested.q_M[[tuple(s) for s in tested.itemset_M_3].index((1, -1, -1))]


def test_what_is_asked_comes_before_what_the_right_answer_is() -> None:
    """A target that says yes too often fails at "no", whatever is asked; hearts it fails at whatever the answer."""
    items = ("answer:yes_no.no", "concept:heart")
    holds, wrong, image = grouped((400, 0.7, (0,)), (100, 0.8, (0, 1)), (100, 0.8, (1,)), (600, 0.2, ()))
    finds, _ = mine(holds, wrong, image, items, MiningSettings())
    assert [find.columns for find in finds] == [(1,), (0,)]

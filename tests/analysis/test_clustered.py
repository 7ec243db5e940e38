"""Rates over clusters without resampling: against the bootstrap, and against what is known without either."""

from __future__ import annotations

import numpy as np
import pytest

from gadfly.analysis.clustered import Sums, clustered_rates, design_effects, lift, rate_by_image, sums_of_groups
from gadfly.analysis.rates import Rate
from gadfly.analysis.statistics import clustered_interval, wilson_interval


def test_it_agrees_with_the_bootstrap() -> None:
    rng = np.random.default_rng(0)
    for n_images in (12, 60, 400):
        trials_I = rng.integers(1, 9, size=n_images)
        successes_I = rng.binomial(trials_I, rng.beta(1, 2, size=n_images))
        (found,) = clustered_rates(Sums.of(successes_I[:, None], trials_I[:, None]))
        low, high = clustered_interval(successes_I.astype(float), trials_I.astype(float), np.random.default_rng(1))
        assert found.value == pytest.approx(successes_I.sum() / trials_I.sum())
        # The standard error of a bootstrap's width with 1,000 replicates is 2%; five of them.
        assert found.low == pytest.approx(low, abs=0.1 * (high - low))
        assert found.high == pytest.approx(high, abs=0.1 * (high - low))


def test_one_trial_an_image_is_wilsons_interval() -> None:
    (found,) = clustered_rates(Sums.of(np.array([[1], [0], [0], [1], [0]]), np.ones((5, 1), dtype=int)))
    assert (found.low, found.high) == pytest.approx(wilson_interval(2, 5))


@pytest.mark.parametrize("successes", [0, 3])
def test_where_all_went_one_way_an_image_counts_once(successes: int) -> None:
    # 4 images of 3 trials, all WRONG or none: as 4 trials.
    (found,) = clustered_rates(Sums.of(np.full((4, 1), successes), np.full((4, 1), 3)))
    assert (found.low, found.high) == pytest.approx(wilson_interval(4 * successes // 3, 4))
    assert found.n == 12


def test_no_trials_is_no_data() -> None:
    found = clustered_rates(Sums.of(np.array([[0, 1]]), np.array([[0, 1]])))
    assert found[0] == Rate(None, None, None, 0, 0) and found[1].value == 1
    assert rate_by_image(np.zeros(0, bool), np.zeros(0, np.int64), np.zeros(0, bool)).value is None


def test_design_effect_by_hand() -> None:
    # Two images all WRONG, two all RIGHT, three trials each. Rate 1/2; residuals by image ±1.5, squares 4 · 2.25 = 9,
    # times 4/3 is 12; independent trials would give 12 · 1/4 = 3. Effect 4 (3, and 4/3 for the few images).
    sums = Sums.of(np.array([[3], [3], [0], [0]]), np.full((4, 1), 3))
    effect_K, estimated_K = design_effects(sums)
    assert effect_K == pytest.approx([4.0]) and estimated_K.all()
    # Images that are alike to a hair are no reason to count a trial more than once.
    assert design_effects(Sums.of(np.ones((4, 1), int), np.full((4, 1), 2)))[0] == pytest.approx([2.0])


def test_groups_are_the_same_as_counted_one_by_one() -> None:
    rng = np.random.default_rng(3)
    group, image, wrong = rng.integers(4, size=300), rng.integers(20, size=300), rng.random(300) < 0.3
    sums = sums_of_groups(group, image, wrong, 5)
    trials, successes = np.zeros((20, 5), int), np.zeros((20, 5), int)
    np.add.at(trials, (image, group), 1)
    np.add.at(successes, (image, group), wrong)
    dense = Sums.of(successes, trials)
    for name in Sums.__slots__:
        assert getattr(sums, name) == pytest.approx(getattr(dense, name)), name
    assert sums.trials_K[4] == 0


def test_lift() -> None:
    def rate(value: float, low: float, high: float) -> Rate:
        return Rate(value, low, high, 10, 5)

    found = lift(rate(0.6, 0.5, 0.7), rate(0.2, 0.15, 0.25))
    # MOVER on logarithms: ln 3 - sqrt(ln(0.6/0.5)² + ln(0.25/0.2)²), ln 3 + sqrt(ln(0.7/0.6)² + ln(0.2/0.15)²)
    low = 3 * np.exp(-np.hypot(np.log(0.6 / 0.5), np.log(0.25 / 0.2)))
    high = 3 * np.exp(np.hypot(np.log(0.7 / 0.6), np.log(0.2 / 0.15)))
    assert (found.value, found.low, found.high) == pytest.approx((3.0, low, high))
    assert lift(rate(0.6, 0.5, 0.7), rate(0.0, 0.0, 0.1)).reason == "the rate elsewhere is 0"
    assert lift(Rate(None, None, None, 0, 0), rate(0.2, 0.1, 0.3)).value is None
    box = lift(rate(0.0, 0.0, 0.2), rate(0.2, 0.1, 0.4))
    assert (box.value, box.low, box.high) == pytest.approx((0.0, 0.0, 2.0))

"""Comparison of runs: rarefaction on small urns, differences paired by image, equal mixes of depths."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gadfly.analysis.comparison import compare, contrast, depth_mix, rarefy, standardised_rate
from gadfly.analysis.rates import FAILURE_RATE, FDR
from gadfly.analysis.skills import combination
from gadfly.analysis.statistics import expected_distinct
from gadfly.records import Probe, Verdict
from made_probes import INVALID, RIGHT, WRONG, make_probe, make_probes


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_rarefaction_of_small_urns() -> None:
    # 3 red, 1 blue, draw 2: red is never missed, blue in C(3,2)/C(4,2) = 1/2 of draws: 1.5.
    assert expected_distinct(np.array([3, 1]), 4, 2) == pytest.approx(1.5)
    # 2, 2, 1, draw 2: missed in C(3,2)/10, C(3,2)/10, C(4,2)/10 of draws: 3 - 0.3 - 0.3 - 0.6 = 1.8.
    assert expected_distinct(np.array([2, 2, 1]), 5, 2) == pytest.approx(1.8)
    # Three probes needing {a, b}, {a}, {c}: one of them shows (2 + 1 + 1)/3 skills on average.
    assert expected_distinct(np.array([2, 1, 1]), 3, 1) == pytest.approx(4 / 3)
    # Two urns at once, each with its own total; a category that is absent adds nothing.
    both = expected_distinct(np.array([[3, 1, 0], [2, 2, 1]]), np.array([4, 5]), np.array([2, 2]))
    assert both == pytest.approx([1.5, 1.8])


@given(st.lists(st.integers(1, 30), min_size=1, max_size=8), st.data())
def test_rarefaction_is_the_hypergeometric_formula(counts: list[int], data: st.DataObject) -> None:
    total = sum(counts)
    n = data.draw(st.integers(1, total))
    exact = sum(1 - comb(total - c, n) / comb(total, n) for c in counts)
    found = float(expected_distinct(np.array(counts), total, n))
    assert found == pytest.approx(exact, abs=1e-9)
    assert float(expected_distinct(np.array(counts), total, total)) == len(counts)
    assert float(expected_distinct(np.array(counts), total, 1)) == pytest.approx(1)


def test_rarefaction_is_exact_for_large_runs() -> None:
    # 1 in 200,000 is missed by half the probes in half the draws.
    counts = np.array([199_999, 1])
    assert float(expected_distinct(counts, 200_000, 100_000)) == pytest.approx(1.5, abs=1e-6)


def with_skills(image: str, index: int, *skills: str, verdict: Verdict = WRONG) -> Probe:
    return make_probe(verdict, image, index, skills=tuple(sorted(skills)))


def test_runs_are_compared_at_the_smallest_number() -> None:
    # Run a: 4 valid, 3 WRONG (combinations A, A, B). Run b: 2 valid, both WRONG (A, AB).
    a = [
        with_skills("1", 0, "A"),
        with_skills("1", 1, "A"),
        with_skills("2", 2, "B"),
        with_skills("2", 3, "C", verdict=RIGHT),
    ]
    b = [with_skills("1", 0, "A"), with_skills("2", 1, "A", "B"), make_probe(INVALID, "2", 2)]
    row_a, row_b = compare({"a": a, "b": b}, rng())
    assert (row_a.valid_combinations.n, row_b.valid_combinations.n, row_a.wrong_combinations.n) == (2, 2, 2)
    # a, valid, 2 of 4 with counts A 2, B 1, C 1: 3 - C(2,2)/6 - C(3,2)/6 - C(3,2)/6 = 3 - 7/6.
    assert row_a.valid_combinations.at_n.value == pytest.approx(3 - 7 / 6)
    # a, WRONG, 2 of 3 with counts A 2, B 1: 2 - 0 - C(2,2)/3 = 5/3; single skills are the combinations here.
    assert row_a.wrong_combinations.at_n.value == pytest.approx(5 / 3)
    assert row_a.wrong_skills.at_n.value == pytest.approx(5 / 3)
    # b at its full number shows all it has: combinations A and AB, skills A and B.
    assert (row_b.wrong_combinations.at_n.value, row_b.wrong_skills.at_n.value) == (2.0, 2.0)
    assert (row_a.valid_combinations.observed, row_a.valid_combinations.total) == (3, 4)
    assert row_b.rates.fdr.value == 2 / 3


def test_a_run_without_wrong_probes_leaves_no_number_to_compare_at() -> None:
    rows = compare({"a": [with_skills("1", 0, "A")], "b": [with_skills("1", 0, "A", verdict=RIGHT)]}, rng())
    for row in rows:
        assert row.wrong_combinations.at_n.value is None and row.wrong_combinations.at_n.reason
        assert row.valid_combinations.at_n.value == 1.0
    assert compare({}, rng()) == []


def test_rarefaction_interval_covers_the_truth() -> None:
    # 60 categories of Zipf frequencies, each of 30 images with its own taste among them, 8 probes each; n is 60 of 240.
    # The truth is the mean over many samples. The jackknife errs to the wide side.
    generator = rng(1)
    zipf_K = 1 / np.arange(1, 61)
    zipf_K /= zipf_K.sum()

    def sample() -> list[Probe]:
        return [
            with_skills(f"i{i}", 8 * i + j, str(k))
            for i in range(30)
            for j, k in enumerate(generator.choice(60, size=8, p=generator.dirichlet(20 * zipf_K)))
        ]

    found = [rarefy(sample(), lambda probe: [combination(probe)], 60).at_n for _ in range(100)]
    truth = np.mean([each.value for each in found if each.value is not None])
    covered = sum(bool(each.low <= truth <= each.high) for each in found)  # type: ignore[operator]
    assert covered / 100 >= 0.91
    # And it is no wider than need be: at most 1.5 times the true spread.
    half_widths = [(each.high - each.low) / 2 for each in found]  # type: ignore[operator]
    assert np.mean(half_widths) <= 1.5 * 2.05 * np.std([each.value for each in found])  # type: ignore[arg-type]


def test_difference_and_ratio() -> None:
    a = [p for i in range(30) for p in make_probes("WWRR", f"i{i}", 4 * i)]  # FDR 1/2
    b = [p for i in range(30) for p in make_probes("WRRI", f"i{i}", 4 * i)]  # FDR 1/4
    found = contrast(a, b, FDR, rng())
    assert (found.difference.value, found.shared_images) == (0.25, 30)
    assert found.ratio.value == pytest.approx(2.0)
    assert found.difference.low is not None and found.ratio.low is not None and found.ratio.high is not None
    assert 0 < found.difference.low < 0.25 and 1 < found.ratio.low < 2 < found.ratio.high


def test_pairing_by_image_sharpens_a_difference() -> None:
    # Half the images are hard for both runs: what differs between images cancels only where the images are the same.
    def run(prefix: str, hard: str, easy: str) -> list[Probe]:
        return [p for i in range(40) for p in make_probes(hard if i % 2 else easy, f"{prefix}{i}", 8 * i)]

    a = run("i", "WWWWWWWR", "WRRRRRRR")
    same, other = run("i", "WWWWWWRR", "RRRRRRRR"), run("j", "WWWWWWRR", "RRRRRRRR")
    paired, unpaired = contrast(a, same, FDR, rng()), contrast(a, other, FDR, rng())
    assert paired.shared_images == 40 and unpaired.shared_images == 0
    # a: 7/8 and 1/8, mean 1/2; b: 6/8 and 0, mean 3/8.
    assert paired.difference.value == unpaired.difference.value == 0.125
    assert paired.difference.low is not None and paired.difference.low > 0  # seen only in pairs
    assert unpaired.difference.low is not None and unpaired.difference.low < 0


def test_contrasts_that_cannot_be_made_say_why() -> None:
    some = make_probes("WR", "a")
    assert contrast(some, [], FDR, rng()).difference.reason == "no data for the FDR of at least one run"
    never = contrast(some, make_probes("RR", "a"), FDR, rng())
    assert never.difference.value == 0.5 and never.ratio.value is None and never.ratio.reason == "the rate of B is 0"
    turned = contrast(make_probes("RR", "a"), some, FDR, rng())
    assert turned.ratio.value == 0.0 and turned.ratio.low == 0.0 and (turned.ratio.high or 0) > 0


def at_depths(*depths_and_verdicts: tuple[int, str]) -> list[Probe]:
    return [
        make_probe(WRONG if letter == "W" else RIGHT, f"i{i}", 100 * depth + i, depth=depth)
        for depth, letters in depths_and_verdicts
        for i, letter in enumerate(letters)
    ]


def test_standardised_rate_by_hand() -> None:
    # Depth 1 fails in 1 of 2, depth 2 in 3 of 4; under the mix 1/4, 3/4: 1/8 + 9/16 = 0.6875.
    probes = at_depths((1, "WR"), (2, "WWWR"))
    found = standardised_rate(probes, {1: 0.25, 2: 0.75}, rng())
    assert found.rate.value == pytest.approx(0.6875) and found.n_by_depth == {1: 2, 2: 4}
    assert found.rate.low is not None and found.rate.high is not None
    assert 0 <= found.rate.low < 0.6875 < found.rate.high <= 1
    # FDR: two INVALID without a depth make the valid rate 6/8, and 0.75 · 0.6875 = 0.515625.
    with_invalid = [*probes, make_probe(INVALID, "i0", 900), make_probe(INVALID, "i1", 901)]
    assert standardised_rate(with_invalid, {1: 0.25, 2: 0.75}, rng(), FDR).rate.value == pytest.approx(0.515625)


def test_standardising_to_ones_own_mix_changes_nothing() -> None:
    probes = [*at_depths((1, "WRRR"), (2, "WWR"), (3, "W")), make_probe(INVALID, "i0", 900)]
    mix = depth_mix(probes)
    assert mix == {1: 0.5, 2: 0.375, 3: 0.125}
    assert standardised_rate(probes, mix, rng()).rate.value == pytest.approx(4 / 8)
    assert standardised_rate(probes, mix, rng(), FDR).rate.value == pytest.approx(4 / 9)


def test_a_depth_that_was_never_asked_is_not_guessed() -> None:
    found = standardised_rate(at_depths((1, "WR")), {1: 0.5, 4: 0.5}, rng(), FAILURE_RATE)
    assert found.rate.value is None and found.rate.reason == "no valid probe of depth 4, which the mix has"
    assert standardised_rate(at_depths((1, "WR")), {1: 1.0, 4: 0.0}, rng()).rate.value == 0.5
    assert standardised_rate([], {}, rng()).rate.reason == "the mix of depths is empty"


def test_standardised_interval_covers_the_truth() -> None:
    # True rates 0.2 and 0.6 with an image effect shared by both depths; the mix 0.3, 0.7 makes 0.48.
    generator, covered = rng(2), 0
    for _ in range(120):
        probes = []
        for i, shift in enumerate(generator.choice([-0.15, 0.15], size=30)):
            for j in range(6):
                depth, base = (1, 0.2) if j < 4 else (2, 0.6)
                verdict = WRONG if generator.random() < base + shift else RIGHT
                probes.append(make_probe(verdict, f"i{i}", 6 * i + j, depth=depth))
        found = standardised_rate(probes, {1: 0.3, 2: 0.7}, generator).rate
        covered += found.low <= 0.48 <= found.high  # type: ignore[operator]
    assert 0.91 <= covered / 120 <= 0.995

"""Rates and their intervals: definitions by hand, invariants, and coverage where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gadfly.analysis.rates import FAILURE_RATE, FDR, UNDECIDED_RATE, VALID_RATE, Rate, distinct, rate, rates
from gadfly.analysis.statistics import clustered_interval, combine, correlation, wilson_interval
from gadfly.records import Probe, Verdict
from made_probes import RIGHT, UNDECIDED, WRONG, make_probe, make_probes


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_the_four_rates_follow_their_definitions() -> None:
    # a: W W R I, b: W R I U. WRONG 3, RIGHT 2, INVALID 2, UNDECIDED 1; decided 7, valid 5, all 8.
    found = rates(make_probes("WWRI", "a") + make_probes("WRIU", "b", 4), rng())
    assert (found.fdr.successes, found.fdr.n, found.fdr.value) == (3, 7, 3 / 7)
    assert (found.valid.successes, found.valid.n, found.valid.value) == (5, 7, 5 / 7)
    assert (found.failure.successes, found.failure.n, found.failure.value) == (3, 5, 3 / 5)
    assert (found.undecided.successes, found.undecided.n, found.undecided.value) == (1, 8, 1 / 8)
    assert (found.n_probes, found.n_images) == (8, 2)


def test_no_data_is_none_and_never_zero() -> None:
    nothing = Rate(None, None, None, 0, 0)
    found = rates([], rng())
    assert [found.fdr, found.valid, found.failure, found.undecided] == [nothing] * 4
    only_undecided = rates(make_probes("UU", "a"), rng())
    assert only_undecided.fdr == nothing and only_undecided.undecided.value == 1.0
    only_invalid = rates(make_probes("I", "a"), rng())
    assert only_invalid.failure == nothing and only_invalid.fdr.value == 0.0


def test_equal_pairs_count_once_the_earliest_decided_one() -> None:
    undecided = make_probe(UNDECIDED, "a", step=1, question="how many?")
    late = make_probe(WRONG, "a", step=3, question="how many?")
    early = make_probe(RIGHT, "a", step=2, question="how many?")
    elsewhere = make_probe(WRONG, "b", step=1, question="how many?")
    for order in ([undecided, late, early, elsewhere], [elsewhere, late, undecided, early]):
        assert set(map(id, distinct(order))) == {id(early), id(elsewhere)}
    found = rate([undecided, late, early, elsewhere], FDR, rng())
    assert (found.successes, found.n) == (1, 2)


def test_wilson_known_values() -> None:
    # 0 of 10: the upper bound is z²/(n + z²) = 3.8415/13.8415 = 0.27753, and at 10 of 10 its mirror image.
    assert wilson_interval(0, 10) == pytest.approx((0.0, 0.27753), abs=1e-5)
    assert wilson_interval(10, 10) == pytest.approx((0.72247, 1.0), abs=1e-5)
    # Newcombe 1998 (Statistics in Medicine 17, 857), table I, method 3: 81 of 263 gives 0.2553 to 0.3662.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_difference_of_independent_proportions_is_newcombes() -> None:
    # Newcombe 1998 (Statistics in Medicine 17, 873), table II, method 10: 56/70 - 48/80 = 0.2, 0.0524 to 0.3339.
    parts = [(56 / 70, *wilson_interval(56, 70)), (48 / 80, *wilson_interval(48, 80))]
    found = combine(parts, (1.0, -1.0), np.eye(2))
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


def test_a_difference_of_perfectly_correlated_equal_parts_is_certain() -> None:
    part = (0.5, 0.3, 0.7)  # a lopsided interval would not cancel whole
    found = combine([part, part], (1.0, -1.0), np.ones((2, 2)))
    assert (found.value, found.low, found.high) == pytest.approx((0.0, 0.0, 0.0))


def test_correlation_leaves_out_missing_rows_and_numbers_that_do_not_vary() -> None:
    replicates = np.array([[1.0, 2.0, 5.0], [2.0, 1.0, 5.0], [3.0, 0.0, 5.0], [np.nan, 9.0, 5.0]])
    # The first two columns lie on a falling line, the third stands still.
    assert correlation(replicates) == pytest.approx(np.array([[1, -1, 0], [-1, 1, 0], [0, 0, 1]]))


def test_one_probe_an_image_gives_the_plain_wilson_interval() -> None:
    probes = [make_probe(WRONG if i < 3 else RIGHT, f"image{i}", i) for i in range(12)]
    found = rate(probes, FAILURE_RATE, rng())
    assert (found.low, found.high) == wilson_interval(3, 12)


def test_probes_that_all_went_the_same_way_leave_room_for_doubt() -> None:
    # 8 of 8 WRONG on one image say as much as 1 of 1; on 4 images (2 each) as much as 4 of 4.
    one = rate(make_probes("W" * 8, "a"), FAILURE_RATE, rng())
    assert (one.low, one.high) == wilson_interval(1, 1)
    four = rate([p for i in range(4) for p in make_probes("WW", f"i{i}", 2 * i)], FAILURE_RATE, rng())
    assert (four.low, four.high) == wilson_interval(4, 4)


def test_images_that_are_alike_within_widen_the_interval() -> None:
    alike = [p for i in range(20) for p in make_probes("WWWW" if i % 2 else "RRRR", f"i{i}", 4 * i)]
    mixed = [p for i in range(20) for p in make_probes(("WRWR", "WWWR", "RWRR")[i % 3], f"i{i}", 4 * i)]
    widths = [found.high - found.low for found in (rate(alike, FDR, rng()), rate(mixed, FDR, rng()))]  # type: ignore[operator]
    # 20 images each of one kind: variance 0.25/19, so 19 trials' worth. t of 19 degrees is 2.093, t² = 4.381, and
    # Wilson's half width 2.093/(1 + 4.381/19) · √(0.25/19 + 4.381/(4·19²)) = 0.2164. 1,000 replicates: to about 5%.
    assert widths[0] == pytest.approx(0.433, rel=0.07)
    assert widths[0] > 1.5 * widths[1]


def test_same_seed_same_interval() -> None:
    probes = make_probes("WWRI", "a") + make_probes("WRRR", "b", 4) + make_probes("RRI", "c", 8)
    assert rate(probes, FDR, rng(3)) == rate(probes, FDR, rng(3))
    assert rate(probes, FDR, rng(3)).low != rate(probes, FDR, rng(4)).low


def test_coverage_where_images_differ() -> None:
    # 40 images with failure rates from a Beta of mean 0.3 and intra-image correlation 0.3, 8 probes each. Over 400
    # trials a true 95% has a standard error of 1.1%. The plain binomial interval must fail here.
    generator, truth, rho = rng(0), 0.3, 0.3
    clustered = plain = 0
    for _ in range(400):
        rates_I = generator.beta(truth * (1 / rho - 1), (1 - truth) * (1 / rho - 1), size=40)
        successes_I = generator.binomial(8, rates_I).astype(np.float64)
        low, high = clustered_interval(successes_I, np.full(40, 8.0), generator)
        clustered += low <= truth <= high
        low, high = wilson_interval(int(successes_I.sum()), 320)
        plain += low <= truth <= high
    assert 0.92 <= clustered / 400 <= 0.98
    assert plain / 400 < 0.80


records = st.lists(
    st.tuples(st.sampled_from(Verdict), st.sampled_from("abcd"), st.sampled_from([None, "q1", "q2"])), max_size=25
)


def build(rows: list[tuple[Verdict, str, str | None]]) -> list[Probe]:
    return [make_probe(verdict, image, i, question=question) for i, (verdict, image, question) in enumerate(rows)]


@given(records, st.sampled_from([FDR, VALID_RATE, FAILURE_RATE, UNDECIDED_RATE]))
def test_a_rate_is_a_share_within_its_interval(rows: list[tuple[Verdict, str, str | None]], measure: object) -> None:
    found = rate(build(rows), measure, rng())  # type: ignore[arg-type]
    if found.n == 0:
        assert (found.value, found.low, found.high) == (None, None, None)
    else:
        assert found.value == found.successes / found.n
        assert found.low is not None and found.high is not None
        assert 0 <= found.low <= found.value <= found.high <= 1


@given(records, st.randoms(use_true_random=False))
def test_the_order_of_the_probes_does_not_matter(rows: list[tuple[Verdict, str, str | None]], random: object) -> None:
    probes = build(rows)
    shuffled = probes[:]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert rates(shuffled, rng()) == rates(probes, rng())


@given(records)
def test_distinct_is_idempotent_and_rates_apply_it(rows: list[tuple[Verdict, str, str | None]]) -> None:
    probes = build(rows)
    assert distinct(distinct(probes)) == distinct(probes)
    assert rates(distinct(probes), rng()) == rates(probes, rng())

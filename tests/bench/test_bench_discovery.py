"""What counts as a discovery, on cases worked by hand."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays

from gadfly.analysis.statistics import Flags, wilson_interval
from gadfly.bench.discovery import (
    Standing,
    discovery,
    excess_fdr,
    recall_holds,
    share_planted,
    wrong_by_spot,
)
from gadfly.bench.proportions import difference_over, rate_over
from made_probes import INVALID, RIGHT, UNDECIDED, WRONG


def flags(members: Iterable[int], n: int = 20) -> Flags:
    out = np.zeros(n, dtype=bool)
    out[list(members)] = True
    return out


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


# 20 probes on 20 images, the first ten WRONG. Spot 0 holds 5 of the failures, spot 1 holds 3, spot 2 none; two failures
# are nobody's.
IMAGES = [str(i) for i in range(20)]
FAILURES = flags(range(10))
SPOTS = np.stack([flags([0, 1, 2, 3, 4, 10]), flags([5, 6, 7, 11]), flags([12, 13])])


def test_modes_are_told_apart() -> None:
    modes = np.stack(
        [
            flags([0, 1, 2, 3, 8]),  # 4 of its 5 failures in spot 0 (80%), 4 of the spot's 5 covered
            flags([5, 6, 9, 12]),  # 2 of its 3 failures in spot 1 (67%): fails at 3 of 4 against 7 of 16, unplanted
            flags([4, 13, 14, 15]),  # fails at 1 of 4 against 9 of 16
            flags([]),  # nothing fell into it
            flags(range(20)),  # all did
            flags([5, 6, 16]),  # 2 of 2 failures in spot 1, 2 of its 3 covered; fails at 2 of 3 against 8 of 17
            flags([0, 1]),  # its failures lie in spot 0, but cover 2 of 5 only
        ]
    )
    found = discovery(FAILURES, modes, SPOTS, IMAGES, rng())
    assert [(m.standing, m.recalls) for m in found.modes] == [
        (Standing.PLANTED, (0,)),
        (Standing.REAL, ()),
        (Standing.FALSE, ()),
        (Standing.UNMEASURED, ()),
        (Standing.FALSE, ()),
        (Standing.PLANTED, (1,)),
        (Standing.REAL, ()),
    ]
    assert (found.modes[1].inside.successes, found.modes[1].inside.n) == (3, 4)
    assert (found.modes[1].outside.successes, found.modes[1].outside.n) == (7, 16)
    assert [(s.n, s.n_wrong, s.recalled) for s in found.spots] == [(6, 5, True), (4, 3, True), (2, 0, None)]
    # Of the six modes that were measured two are false; of the two spots that fail both are recalled.
    assert (found.precision.successes, found.precision.n) == (4, 6)
    assert (found.recall.successes, found.recall.n, found.recall.value) == (2, 2, 1.0)


def test_equal_rates_make_a_mode_false() -> None:
    # 1 of 2 inside, 9 of 18 outside.
    found = discovery(FAILURES, flags([0, 10])[None], SPOTS, IMAGES, rng())
    assert found.modes[0].standing is Standing.FALSE


def test_a_mode_can_recall_two_spots() -> None:
    overlapping = np.stack([flags([0, 1, 2]), flags([0, 1, 2, 3])])
    found = discovery(FAILURES, flags([0, 1, 2])[None], overlapping, IMAGES, rng())
    assert found.modes[0].recalls == (0, 1)


def test_nothing_found_has_no_precision() -> None:
    found = discovery(FAILURES, np.zeros((0, 20), dtype=bool), SPOTS, IMAGES, rng())
    assert found.precision.value is None and found.precision.n == 0
    assert (found.recall.value, found.recall.n) == (0.0, 2)


@pytest.mark.parametrize(
    ("in_both", "mode_only", "spot_only", "recalls"),
    [(7, 3, 7, True), (7, 4, 0, False), (7, 3, 8, False), (69, 31, 0, False), (70, 30, 70, True), (0, 0, 0, False)],
)
def test_the_bounds_belong_to_recall(in_both: int, mode_only: int, spot_only: int, recalls: bool) -> None:
    """70% of the mode's failures and 50% of the spot's are enough."""
    n = in_both + mode_only + spot_only
    mode = flags(range(in_both + mode_only), n)
    spot = flags([*range(in_both), *range(in_both + mode_only, n)], n)
    assert recall_holds(np.ones(n, dtype=bool), mode, spot) is recalls


@given(arrays(bool, 24), arrays(bool, (3, 24)), arrays(bool, (2, 24)))
def test_standings_follow_from_rates(failures_N: Flags, modes_M_N: Flags, spots_S_N: Flags) -> None:
    found = discovery(failures_N, modes_M_N, spots_S_N, [str(i) for i in range(24)], rng())
    for mode, mode_N in zip(found.modes, modes_M_N, strict=True):
        ours, theirs = failures_N[mode_N].tolist(), failures_N[~mode_N].tolist()
        better = bool(ours) and bool(theirs) and sum(ours) * len(theirs) > sum(theirs) * len(ours)
        assert (mode.standing in (Standing.PLANTED, Standing.REAL)) == better
        assert bool(mode.recalls) == (mode.standing is Standing.PLANTED)
    for s, spot in enumerate(found.spots):
        assert spot.recalled is (any(s in m.recalls for m in found.modes) if spot.n_wrong else None)


def test_excess_failures() -> None:
    organism = [WRONG, WRONG, RIGHT, INVALID, UNDECIDED, WRONG, WRONG, RIGHT]
    twin = [RIGHT, WRONG, RIGHT, INVALID, RIGHT, UNDECIDED, RIGHT, WRONG]
    # The first and the seventh, of the six that both decided.
    rate = excess_fdr(organism, twin, [str(i) for i in range(8)], rng())
    assert (rate.successes, rate.n) == (2, 6)
    assert (rate.low, rate.high) == pytest.approx(wilson_interval(2, 6))
    assert excess_fdr([], [], [], rng()).value is None


def test_probes_on_one_image_are_no_independent_evidence() -> None:
    hits = np.array([True] * 8 + [False] * 8)
    alone = rate_over(hits, [str(i) for i in range(16)], rng())
    crowded = rate_over(hits, [str(i // 4) for i in range(16)], rng())
    assert alone.low is not None and crowded.low is not None and crowded.low < alone.low
    assert alone.value == crowded.value == 0.5


def test_share_of_failures_inside_spots() -> None:
    rate = share_planted(FAILURES, SPOTS, IMAGES, rng())
    assert (rate.successes, rate.n) == (8, 10)
    assert wrong_by_spot(FAILURES, SPOTS) == [5, 3, 0]
    assert share_planted(flags([]), SPOTS, IMAGES, rng()).value is None


def test_paired_differences() -> None:
    """The twin's failures among ours: paired, the difference is surer than that of two independent halves."""
    ours, theirs = np.array([True] * 30 + [False] * 30), np.array([True] * 20 + [False] * 40)
    images = [str(i) for i in range(60)]
    paired = difference_over(ours, theirs, images, rng())
    apart = difference_over(ours, np.roll(theirs, 15), images, rng())
    assert paired.value == apart.value == pytest.approx(1 / 6)
    assert paired.low is not None and apart.low is not None and paired.high is not None and apart.high is not None
    assert paired.high - paired.low < apart.high - apart.low
    assert difference_over(flags([], 0), flags([], 0), [], rng()).value is None

"""Coverage of a frozen questioner: rarefaction, what is unseen, what more probes would show."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gadfly.analysis.comparison import rarefy
from gadfly.analysis.coverage import coverage, growth
from gadfly.analysis.skills import combination
from gadfly.records import Probe
from made_probes import INVALID, RIGHT, UNDECIDED, WRONG, make_probe


def test_by_hand() -> None:
    # Eight probes about two images each once; five show a kind: a a a, b b, c (once), and two show none.
    kinds, images = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 1, 2, 0, 3, 4])
    found = growth(kinds, images, np.array([2, 1, 1, 1, 1, 1, 1]), more=100)
    assert (found.observed, found.n) == (3, 8)
    assert found.unseen.value == pytest.approx(1 / 6)  # of six entries one is of a kind shown once
    # Q1 = 1, Q2 = 1: Q0 = 7/8 · 1/2 = 0.4375; chance 1 / (8 · 0.4375 + 1) = 0.2222; 0.4375 · (1 - 0.7778^100)
    assert found.new_in_more.value == pytest.approx(0.4375 * (1 - (7 / 9) ** 100))
    at_one = found.curve[0]
    assert at_one.n == 1 and at_one.distinct.value == pytest.approx(6 / 8)  # one probe shows 6/8 of a kind
    assert found.curve[-1].n == 8 and found.curve[-1].distinct.value == pytest.approx(3)


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_leaving_images_out_is_the_same_as_counting_without_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, n_images = int(rng.integers(6, 60)), int(rng.integers(2, 9))
    image = rng.integers(n_images, size=n)
    kind = rng.integers(8, size=n)
    probes = [make_probe(WRONG, f"i{image[i]}", i, skills=(f"k.s{kind[i]}",)) for i in range(n)]
    _, used = np.unique(image, return_inverse=True)
    found = growth(kind, used, np.bincount(used))
    if len(set(used.tolist())) < 2:
        return
    for point in found.curve:
        other = rarefy(probes, combination, point.n).at_n  # the slow way: every image's counts taken off
        assert other.value is not None and other.low is not None and other.high is not None
        assert (point.distinct.value, point.distinct.low, point.distinct.high) == pytest.approx(
            (other.value, other.low, other.high), abs=1e-6
        )


def swept() -> list[Probe]:
    """60 images; "count" + "red" fails often, "count" seldom; deeper questions fail no more than others."""
    probes = []
    for i in range(60):
        probes.append(make_probe(RIGHT if i % 6 else WRONG, f"i{i}", 5 * i, skills=("k.count",), depth=1))
        probes.append(make_probe(WRONG if i % 4 else RIGHT, f"i{i}", 5 * i + 1, skills=("k.count", "k.red"), depth=1))
        probes.append(make_probe(RIGHT, f"i{i}", 5 * i + 2, skills=(f"rare.s{i}",), depth=2))
        probes.append(make_probe(INVALID, f"i{i}", 5 * i + 3, skills=None))
        probes.append(make_probe(UNDECIDED, f"i{i}", 5 * i + 4, skills=None))
    return probes


def test_a_sweep() -> None:
    found = coverage(swept())
    assert not isinstance(found, str)
    assert (found.skills.observed, found.combinations.observed, found.wrong_combinations.observed) == (62, 62, 2)
    assert found.skills.n == 300  # all distinct probes: another thousand would have as many INVALID ones
    # 60 of 240 mentions of a skill, and 60 of 180 combinations, are the only ones of their kind.
    assert found.skills.unseen.value == pytest.approx(60 / 240)
    assert found.combinations.unseen.value == pytest.approx(60 / 180)
    # No combination was WRONG once only. Wilson's bound for none of 55 is z²/(55 + z²) = 6.5%, and a thousand probes
    # would have 55/300 · 1000 = 183 WRONG ones: up to 12 new combinations.
    assert found.wrong_combinations.unseen.high == pytest.approx(0.0653, abs=1e-4)
    assert found.sentence == (
        "Another 1,000 probes would find about 0 (0 to 12) combinations of skills that were not answered WRONG before."
    )
    # At depth 1 the rate is (10 + 45) / 120; "count" + "red" is at 45/60, "count" at 10/60.
    assert [(one.skills, one.failure.successes, one.wrong_images) for one in found.failing] == [
        (("k.count", "k.red"), 45, 45)
    ]
    assert found.failing[0].at_depth == pytest.approx(55 / 120)


def test_one_failure_does_not_say_that_there_are_no_others() -> None:
    # Of 300 probes one was WRONG. Chao2 of one thing seen once is 0, with or without its image: not certainly 0.
    probes = [make_probe(WRONG if i == 0 else RIGHT, f"i{i}", i, skills=(f"k.s{i % 3}",)) for i in range(300)]
    found = coverage(probes)
    assert not isinstance(found, str)
    new = found.wrong_combinations.new_in_more
    assert (new.value, new.low) == (0.0, 0.0)
    # The next WRONG one may be new for certain, and 1,000 more probes have 1000/300 of them.
    assert found.wrong_combinations.unseen.high == 1.0 and new.high == pytest.approx(1000 / 300)
    assert "about 0 (0 to 3)" in found.sentence


def test_without_data_there_are_reasons() -> None:
    assert coverage([]) == "no valid question has known skills"
    assert coverage([make_probe(WRONG, "a")]) == "no valid question has known skills"
    found = coverage([make_probe(RIGHT, "a", i, skills=("k.s",)) for i in range(3)])
    assert not isinstance(found, str)
    assert found.wrong_combinations.unseen.value is None and found.failing == ()
    assert "nothing can be said" in found.sentence
    assert found.skills.unseen.reason == "one image: no interval"
    wrong = coverage([make_probe(WRONG, "a", i, skills=("k.s",)) for i in range(3)])
    assert not isinstance(wrong, str)
    unseen, new = wrong.wrong_combinations.unseen, wrong.wrong_combinations.new_in_more
    assert unseen.high is None and new.high is None
    assert wrong.sentence == "All probes are about one image, so nothing can be said of further ones."


def drawn(
    rng: np.random.Generator, weights: NDArray[np.float64], n: int, more: int
) -> tuple[float, float, int, bool, bool]:
    """(Good–Turing, truth, kinds that `more` show, whether each interval holds it) of one simulated sweep."""
    n_images = n // 10
    image = rng.integers(n_images, size=n + more)
    kind = rng.choice(len(weights), size=n + more, p=weights)
    wrong = rng.random(n + more) < 0.4
    now = wrong.copy()
    now[n:] = False
    found = growth(kind[now], image[now], np.bincount(image[:n], minlength=n_images), more)
    seen = np.unique(kind[now])
    truth = 1 - float(weights[seen].sum())
    new = len(np.setdiff1d(kind[n:][wrong[n:]], seen))
    unseen, further = found.unseen, found.new_in_more
    assert unseen.value is not None and unseen.low is not None and unseen.high is not None
    assert further.low is not None and further.high is not None
    return unseen.value, truth, new, unseen.low <= truth <= unseen.high, further.low <= new <= further.high


@pytest.mark.parametrize("exponent", [0.0, 1.0])
def test_good_and_turing_are_right_where_probes_are_independent(exponent: float) -> None:
    """Kinds that are equally frequent, and kinds after Zipf's law: on the mean within 10% of what is unseen (measured:
    1%). The intervals hold the truth in at least 90% of 80 sweeps (measured: 95% and more)."""
    rng = np.random.default_rng(int(exponent))
    weights = 1 / np.arange(1, 801) ** exponent
    weights /= weights.sum()
    told, truth, _, unseen_held, new_held = zip(*(drawn(rng, weights, 2000, 1000) for _ in range(80)), strict=True)
    assert np.mean(told) == pytest.approx(np.mean(truth), rel=0.1)
    assert np.mean(unseen_held) >= 0.9 and np.mean(new_held) >= 0.9

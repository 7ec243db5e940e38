"""Skill tables, the summary, the choice of examples, and training curves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gadfly.analysis.skills import combination_table, skill_table
from gadfly.analysis.summary import gallery, summarise
from gadfly.analysis.training import clustered_mean, curves, different_wordings, window_size
from gadfly.records import Probe
from made_probes import INVALID, RIGHT, UNDECIDED, WRONG, make_probe, make_probes


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture
def few() -> list[Probe]:
    return [
        make_probe(RIGHT, "1", 0, skills=("count",)),
        make_probe(WRONG, "1", 1, skills=("count", "left")),
        make_probe(WRONG, "2", 2, skills=("count", "left")),
        make_probe(RIGHT, "2", 3, skills=("count", "left")),
        make_probe(WRONG, "3", 4, skills=("left",)),
        make_probe(WRONG, "3", 5),  # skills unknown
        make_probe(INVALID, "3", 6, skills=("left",)),
        make_probe(UNDECIDED, "3", 7, skills=("left",)),
    ]


def test_skill_table_by_hand(few: list[Probe]) -> None:
    table = skill_table(few, rng())
    # left: W W R W, 3 of 4 on images 1, 2, 3; count: R W W R, 2 of 4 on images 1, 2. Overall W W W of 5.
    assert [(r.skill, r.failure.successes, r.failure.n, r.wrong_images) for r in table.rows] == [
        ("left", 3, 4, 3),
        ("count", 2, 4, 2),
    ]
    assert (table.overall.value, table.n_without_skills) == (0.6, 1)
    assert table.rows[1].example is few[1]  # the earliest WRONG one, not the earliest


def test_combination_table_by_hand(few: list[Probe]) -> None:
    rows = combination_table(few, rng())
    assert [(r.skills, r.failure.successes, r.failure.n, r.images, r.wrong_images) for r in rows] == [
        (("count", "left"), 2, 3, 2, 2),
        (("left",), 1, 1, 1, 1),
        (("count",), 0, 1, 1, 0),
    ]
    assert rows[2].example is few[0]


def test_empty_tables_are_empty() -> None:
    table = skill_table([], rng())
    assert (table.rows, table.overall.value, combination_table([], rng())) == ((), None, [])


def run_with_a_blind_spot() -> list[Probe]:
    # 40 images, each asked: "left" (WRONG 3 in 4), "count" and "colour" (WRONG 1 in 4).
    return [
        make_probe(WRONG if (i + shift) % 4 < wrong else RIGHT, f"i{i:02}", 3 * i + shift, skills=(skill,))
        for i in range(40)
        for shift, (skill, wrong) in enumerate((("left", 3), ("count", 1), ("colour", 1)))
    ]


def test_summary_names_the_blind_spot_only() -> None:
    summary = summarise(run_with_a_blind_spot(), rng())
    assert [found.skill for found in summary.failing] == ["left"]
    # Overall (30 + 10 + 10)/120; left has 30 WRONG of 40 where that rate would give 16.67.
    assert summary.base == pytest.approx(50 / 120)
    assert summary.failing[0].explained == pytest.approx(30 - 40 * 50 / 120)
    assert summary.failing[0].example.verdict is WRONG
    assert summary.rates.n_images == 40


def test_summary_against_a_given_base() -> None:
    # Where nothing but failures is asked any more, the run's own rate hides them; the base of a sweep shows them.
    only_left = [probe for probe in run_with_a_blind_spot() if probe.judgement.skills == ("left",)]
    assert summarise(only_left, rng()).failing == ()
    assert [found.skill for found in summarise(only_left, rng(), base=0.2).failing] == ["left"]


def test_few_images_are_not_enough() -> None:
    # "left" is WRONG every time, but on 4 images only.
    probes = [make_probe(WRONG, f"i{i % 4}", i, skills=("left",)) for i in range(40)]
    assert summarise(probes, rng(), base=0.01).failing == ()
    assert summarise([], rng()).failing == ()


def test_equal_skills_are_seldom_listed() -> None:
    # No skill is worse than another: over 60 runs at most a handful may name one (under 5% expected).
    generator, listed = rng(5), 0
    for _ in range(60):
        probes = [
            make_probe(WRONG if generator.random() < 0.3 else RIGHT, f"i{i % 30}", i, skills=(f"s{i % 6}",))
            for i in range(180)
        ]
        listed += bool(summarise(probes, generator).failing)
    assert listed <= 6


def test_gallery_shows_each_combination_before_repeating_one() -> None:
    probes = [make_probe(WRONG, f"i{i}", i, skills=("left",)) for i in range(5)]
    probes += [make_probe(WRONG, "i0", 10, skills=("count",)), make_probe(WRONG, "i9", 11, skills=("count",))]
    probes += [make_probe(RIGHT, "i8", 12, skills=("count",))]
    # First "left" (5 WRONG) on i0, then "count" on the image that is not shown yet; then the second round.
    assert [p.key.index for p in gallery(probes, limit=4)] == [0, 11, 1, 10]
    assert len(gallery(probes)) == 7
    assert gallery([]) == []


@given(st.permutations(range(30)))
def test_tables_do_not_depend_on_order(order: list[int]) -> None:
    verdicts = [RIGHT, WRONG, INVALID]
    probes = [
        make_probe(verdicts[i % 3], f"i{i % 7}", i, skills=(f"s{i % 4}", f"t{i % 2}"), question=f"q{i % 25}")
        for i in range(30)
    ]
    shuffled = [probes[i] for i in order]
    assert skill_table(shuffled, rng()) == skill_table(probes, rng())
    assert gallery(shuffled) == gallery(probes)


def test_curves_by_hand() -> None:
    probes = [
        *make_probes("WR", "a", step=0, terms={"novelty": 0.5}, reward=1.0),
        *make_probes("IU", "b", 2, step=1, terms={"novelty": None}, reward=None),
        *make_probes("WW", "a", step=4, terms={"novelty": 0.1, "late": 1.0}, reward=0.0),
    ]
    first, last = curves(probes, 2, rng())  # steps 2 and 3 have no probes, so no window
    assert (first.first_step, first.last_step, first.n_probes) == (0, 1, 4)
    assert (first.fdr.successes, first.fdr.n, first.valid.successes, first.undecided.successes) == (1, 3, 2, 1)
    assert (first.terms["novelty"].value, first.terms["novelty"].n, first.reward.n) == (0.5, 2, 2)
    assert (last.first_step, last.last_step, last.fdr.value) == (4, 5, 1.0)
    assert set(last.terms) == {"novelty", "late"}


def test_different_wordings_by_hand() -> None:
    # Step 0: a, a, b, a: 2 of 4. Step 1: c, d: all. Step 5: a, a: 1 of 2, though steps 0 and 5 share it. Mean 2/3.
    steps, texts = np.array([0, 0, 1, 0, 5, 0, 1, 5]), np.array([7, 7, 3, 9, 7, 7, 4, 7])
    found = different_wordings(steps, texts)
    assert found.value == pytest.approx(2 / 3) and found.n == 3
    assert (found.low, found.high) == (0.0, 1.0)  # 2/3 ± 4.303 · 1/6 = 0.717: more than there is
    one_step = different_wordings(steps[:2], texts[:2])
    assert (one_step.value, one_step.low, one_step.n) == (0.5, None, 1)
    assert different_wordings(steps[:0], texts[:0]).value is None


def test_a_questioner_that_asks_one_question_of_all_images_is_seen_by_its_wordings() -> None:
    collapsed = [make_probe(WRONG, f"i{i}", i, step=step, question="how many?") for step in range(2) for i in range(50)]
    (window,) = curves(collapsed, 2, rng())
    assert (window.fdr.value, window.wordings.value) == (1.0, 0.02)


def test_clustered_mean_by_hand() -> None:
    # Clusters (1, 3) and (5): mean 3; Σ(sum - mean·size)² = (4 - 6)² + (5 - 3)² = 8; variance 2/1 · 8/9 = 16/9.
    # t of 1 degree of freedom at 97.5% is 12.706, so ± 12.706 · 4/3 = 16.94.
    found = clustered_mean([[1.0, 3.0], [5.0], []])
    assert (found.value, found.n) == (3.0, 3)
    assert (found.low, found.high) == pytest.approx((3 - 16.942, 3 + 16.942), abs=1e-3)
    assert clustered_mean([[1.0, 2.0]]).low is None
    assert clustered_mean([]).value is None


@pytest.mark.parametrize(("last_step", "expected"), [(0, 1), (24, 1), (25, 2), (149, 6), (2999, 120)])
def test_window_size(last_step: int, expected: int) -> None:
    assert window_size(last_step) == expected

"""Items compared within strata: numbers by hand, what hides a difference, what is only a mixture's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gadfly.analysis.items import ItemTable
from gadfly.analysis.matched import compared, differences
from gadfly.analysis.modes import find_modes
from gadfly.analysis.statistics import Flags, Floats, Whole
from mode_worlds import world

ONE = np.ones(1)


def column(flags: str) -> Flags:
    return np.array([[one == "x"] for one in flags], dtype=np.bool_)


def over_all(holds: Flags, wrong: Flags, stratum: Whole, effect: Floats) -> tuple[Floats, Floats]:
    """(The difference of the rates over all strata, how many standard errors it is above none), for each item."""
    made = compared(holds, wrong, stratum, effect)
    summed = made.summed()
    return summed.excess, summed.z


def named(holds: Flags, wrong: Flags, parts: Flags, others: Flags | None = None) -> list[int]:
    """What is named of the items, all of them worth it."""
    nothing = np.zeros((len(wrong), 0), dtype=np.bool_)
    everything = np.ones(holds.shape[1])
    found = differences(holds, wrong, parts, nothing if others is None else others, everything, everything > 0, 0.1)
    return [one.item for one in found]


def parts_of(stratum: Whole) -> Flags:
    """A part for each stratum."""
    return np.asarray(stratum[:, None] == np.unique(stratum))


def test_a_difference_within_strata_by_hand() -> None:
    """Of the first stratum's four, two have the item and are both WRONG; of the second's, one has it and is, and one of
    the other three is."""
    holds, wrong = column("xx..x..."), column("xx..xx..")[:, 0]
    excess, z = over_all(holds, wrong, np.repeat([0, 1], 4), ONE)
    # Above what is expected: 3 - 2 · 2/4 - 1 · 2/4 = 1.5; weights 2 · 2/4 + 1 · 3/4 = 1.75.
    assert excess == pytest.approx([1.5 / 1.75])
    # Variance: 2 · 2 · 2 · 2 / (4² · 3) + 1 · 3 · 2 · 2 / (4² · 3) = 7/12; half a probe off for continuity.
    assert z == pytest.approx([1.0 / np.sqrt(7 / 12)])
    _, with_effect = over_all(holds, wrong, np.repeat([0, 1], 4), 4 * ONE)
    assert with_effect == pytest.approx(z / 2)


def test_what_the_whole_hides_the_strata_show() -> None:
    """Simpson's paradox: the item is asked for where little fails, and fails more often there and elsewhere."""
    hard, easy = [1] * 9 + [0], [1] * 3 + [0] * 7
    wrong = np.array([*hard * 9, 1, 1, 1, *easy * 9, *[1, 1, 0] * 30], dtype=bool)
    holds = np.array([False] * 90 + [True] * 3 + [False] * 90 + [True] * 90)[:, None]
    stratum = np.repeat([0, 1], [93, 180])
    item = holds[:, 0]
    assert wrong[item].mean() > wrong[~item].mean()
    hidden = np.concatenate([wrong, np.ones(900, dtype=bool)])  # and much else is asked that fails
    there = np.concatenate([holds, np.zeros((900, 1), dtype=bool)])
    assert hidden[there[:, 0]].mean() < hidden[~there[:, 0]].mean()
    parts = parts_of(np.concatenate([stratum, np.full(900, 2)]))
    (found,) = differences(there, hidden, parts, parts[:, :0], ONE, np.ones(1, dtype=bool), 0.1)
    assert found.item == 0 and found.excess == pytest.approx(0.36, abs=0.01) and found.q < 1e-4


def test_what_differs_only_because_of_another_item_is_not_named() -> None:
    """Both stand out by themselves; the second hardly has a probe without the first."""
    rng = np.random.default_rng(0)
    first = rng.random(2000) < 0.3
    second = first & (rng.random(2000) < 0.9) | (rng.random(2000) < 0.02)
    wrong = rng.random(2000) < np.where(first, 0.7, 0.3)
    holds, stratum, effect = np.stack([first, second], axis=1), rng.integers(20, size=2000), np.ones(2)
    _, z = over_all(holds, wrong, stratum, effect)
    assert (z > 10).all()
    assert named(holds, wrong, parts_of(stratum)) == [0]


def test_what_makes_a_difference_only_beside_a_part_is_not_named() -> None:
    """With one of ten parts half of them again fail: over all more than ten points, and the item's are none."""
    rng = np.random.default_rng(0)
    stratum = np.where(rng.random(8000) < 0.4, 0, rng.integers(1, 10, size=8000))
    holds = rng.random((8000, 1)) < 0.3
    beside = rng.random(8000) < np.where(holds[:, 0] & (stratum == 0), 0.8, 0.3)
    excess, z = over_all(holds, beside, stratum, ONE)
    assert excess[0] > 0.1 and z[0] > 10
    assert named(holds, beside, parts_of(stratum)) == []
    everywhere = rng.random(8000) < np.where(holds[:, 0], np.where(stratum == 0, 0.8, 0.5), 0.3)
    assert named(holds, everywhere, parts_of(stratum)) == [0]
    # The same where it is no part, such as a condition of the image.
    assert named(holds, beside, np.ones((8000, 1), dtype=bool), (stratum == 0)[:, None]) == []
    assert named(holds, everywhere, np.ones((8000, 1), dtype=bool), (stratum == 0)[:, None]) == [0]


def test_where_nearly_all_fails_anyway_there_is_no_room_for_a_difference() -> None:
    """An item by which half of what would be RIGHT is WRONG makes 30 points of difference in one part, one in another.
    It fails in both all the same."""
    rng = np.random.default_rng(1)
    full = rng.random(6000) < 0.5
    holds = rng.random((6000, 1)) < 0.3
    base = np.where(full, 0.98, 0.4)
    wrong = rng.random(6000) < np.where(holds[:, 0], base + (1 - base) / 2, base)
    parts = np.stack([full, ~full], axis=1)
    within = [over_all(holds[part], wrong[part], np.zeros(part.sum(), dtype=np.int64), ONE) for part in (full, ~full)]
    assert within[0][0][0] < 0.03 and within[1][0][0] > 0.25
    assert named(holds, wrong, parts) == [0]


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 3)), min_size=1, max_size=60), st.randoms())
def test_neither_the_order_nor_the_names_of_strata_matter(rows: list[tuple[bool, bool, int]], shuffled: object) -> None:
    holds, wrong, stratum = (np.array(some) for some in zip(*rows, strict=True))
    order = np.random.default_rng(getattr(shuffled, "randint")(0, 2**31)).permutation(len(rows))  # noqa: B009
    excess, z = over_all(holds[:, None], wrong, stratum, ONE)
    again, z_again = over_all(holds[order, None], wrong[order], 7 - 2 * stratum[order], ONE)
    assert again == pytest.approx(excess) and z_again == pytest.approx(z)
    assert -1 - 1e-9 <= excess[0] <= 1 + 1e-9
    other, z_other = over_all(~holds[:, None], wrong, stratum, ONE)
    assert other == pytest.approx(-excess) and z_other == pytest.approx(-z)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), min_size=1, max_size=40))
def test_a_stratum_s_own_item_compares_nothing(rows: list[tuple[bool, int]]) -> None:
    wrong, stratum = (np.array(some) for some in zip(*rows, strict=True))
    excess, z = over_all((stratum == 1)[:, None], wrong, stratum, ONE)
    assert (excess == 0).all() and (z == 0).all()


def hunted(seed: int, hearts: float) -> ItemTable:
    """What a hunter asked, 5,000 questions about 600 images: more than half need a skill that the target lacks, and
    there it speaks of no hearts. Elsewhere 40% fail, and so many where hearts are spoken of."""
    rng = np.random.default_rng(seed)
    table = world(5000, 600, seed)
    hard = rng.random(5000) < 0.55
    easy = rng.integers(2, size=5000)
    heart = ~hard & (rng.random(5000) < 0.2)
    items = ("concept:heart", "skill:easy.one", "skill:easy.two", "skill:hard.one")
    holds = np.stack([heart, ~hard & (easy == 0), ~hard & (easy == 1), hard], axis=1)
    wrong = rng.random(5000) < np.where(hard, 0.95, np.where(heart, hearts, 0.4))
    return ItemTable(table.probes, items, holds, wrong, table.image_N, table.images, 0)


def test_a_concept_that_fails_in_a_run_where_nearly_all_fails_is_a_mode() -> None:
    table = hunted(0, hearts=0.6)
    heart_N: Whole = table.holds_N_K[:, 0].nonzero()[0]
    assert table.wrong_N[heart_N].mean() < table.wrong_N.mean()
    by_items = {mode.items: mode for mode in find_modes(table).modes}
    mode = by_items[("concept:heart",)]
    assert mode.held_up and mode.found.matched == pytest.approx(0.2, abs=0.08) and mode.found.q < 0.01
    assert by_items[("skill:hard.one",)].found.matched is None


def test_a_concept_that_fails_as_often_as_its_skills_is_none() -> None:
    for seed in range(5):
        assert ("concept:heart",) not in {mode.items for mode in find_modes(hunted(seed, hearts=0.4)).modes}

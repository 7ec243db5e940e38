"""The rounds of SFT on own failures. With models it is in test_runs_asking.py."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from gadfly.train.own_failures import rounds_of


def test_rounds_by_hand() -> None:
    assert rounds_of(10, 4) == [(0, 2), (2, 5), (5, 7), (7, 10)]
    assert rounds_of(2, 5) == [(0, 1), (1, 2)]


@given(st.integers(1, 500), st.integers(1, 30))
def test_rounds_go_on_from_each_other_and_are_about_equal(steps: int, rounds: int) -> None:
    made = rounds_of(steps, rounds)
    assert made[0][0] == 0 and made[-1][1] == steps and len(made) == min(steps, rounds)
    assert all(before[1] == after[0] for before, after in itertools.pairwise(made))
    sizes = [end - start for start, end in made]
    assert max(sizes) - min(sizes) <= 1

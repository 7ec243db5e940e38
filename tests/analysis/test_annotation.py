"""The score of an annotator: against values worked out by hand, and its bounds by Hypothesis."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gadfly.analysis.annotation import AnnotatorScore, Named, score_names

Names = tuple[str, ...]


def score(truth: list[Names], said: list[Named], negatives: Names = ()) -> AnnotatorScore:
    return score_names(truth, said, np.random.default_rng(0), negatives)


def test_by_hand() -> None:
    """Said: a, b | a, x | nothing known | n. Needed: a, b | a, c | b | c. Right: 3 of 5 said, 3 of 6 needed.

    a: said twice, right twice, needed twice. b: said once, right; needed twice. c: never said, needed twice."""
    found = score(
        [("a", "b"), ("a", "c"), ("b",), ("c",)], [("a", "b"), ("a", "x"), None, ("n",)], negatives=("n", "m")
    )
    assert (found.precision.successes, found.precision.n) == (3, 5)
    assert (found.recall.successes, found.recall.n) == (3, 6)
    assert (found.unknown.successes, found.unknown.n) == (1, 4)
    assert found.negatives is not None and (found.negatives.successes, found.negatives.n) == (1, 4)
    assert found.invented == 1  # x
    by_name = {one.name: (one.precision.value, one.recall.value) for one in found.names}
    assert by_name == {"a": (1.0, 1.0), "b": (1.0, 0.5), "c": (None, 0.0)}
    assert found.macro_precision.value == 1.0 and found.macro_recall.value == pytest.approx(0.5)


def test_nothing_said_is_no_data_and_not_zero() -> None:
    found = score([("a",)], [None])
    assert found.precision.value is None and found.recall.value == 0.0 and found.negatives is None
    assert found.macro_precision.value is None and found.macro_precision.reason is not None
    empty = score([], [])
    assert empty.recall.value is None and empty.unknown.value is None and empty.names == ()


NAMES = st.sets(st.sampled_from("abcd"), max_size=3).map(lambda some: tuple(sorted(some)))


@given(st.lists(st.tuples(NAMES, NAMES | st.none()), max_size=12))
def test_bounds(pairs: list[tuple[Names, Named]]) -> None:
    truth, said = [one for one, _ in pairs], [other for _, other in pairs]
    found = score(truth, said, ("d",))
    assert found.recall.n == sum(map(len, truth)) and found.precision.n == sum(len(some or ()) for some in said)
    for rate in (
        found.unknown,
        found.precision,
        found.recall,
        *(r for one in found.names for r in (one.precision, one.recall)),
    ):
        if rate.value is not None:
            assert rate.low is not None and rate.high is not None and 0 <= rate.low <= rate.value <= rate.high <= 1
    perfect = score(truth, list(truth))
    assert perfect.precision.value in (None, 1.0) and perfect.recall.value == perfect.precision.value

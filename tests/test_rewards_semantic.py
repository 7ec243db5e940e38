"""Semantic novelty: values by hand, the window, and a slow reference."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gadfly.rewards.semantic import SemanticHistory

EAST, NORTH, WEST = [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]


def units(rng: np.random.Generator, count: int, dimensions: int = 8) -> NDArray[np.float32]:
    vectors_N_D = rng.normal(size=(count, dimensions))
    unit_N_D: NDArray[np.float32] = (vectors_N_D / np.linalg.norm(vectors_N_D, axis=1, keepdims=True)).astype(
        np.float32
    )
    return unit_N_D


def rows(*vectors: list[float]) -> NDArray[np.float32]:
    return np.array(vectors, np.float32)


def test_by_hand() -> None:
    semantic = SemanticHistory(window=4, neighbours=2)
    assert semantic.novelty(rows(EAST), [0]).tolist() == [1.0]  # no reference at all
    semantic.remember(rows(WEST))
    assert semantic.novelty(rows(EAST), [0]).tolist() == [2.0]  # one: 1 - (-1)
    semantic.remember(rows(NORTH, EAST))
    # the two nearest of EAST are EAST (1) and NORTH (0): 1 - 1/2
    assert semantic.novelty(rows(EAST), [0]).tolist() == [0.5]


def test_the_others_of_the_group_are_references_and_other_groups_are_not() -> None:
    semantic = SemanticHistory(window=4, neighbours=16)
    # Two EASTs in one group: each the other's only reference. EAST alone in group 7: none.
    assert semantic.novelty(rows(EAST, EAST, EAST), [3, 3, 7]).tolist() == [0.0, 0.0, 1.0]


def test_what_left_the_window_is_forgotten() -> None:
    semantic = SemanticHistory(window=2)
    semantic.remember(rows(EAST))
    semantic.remember(rows(NORTH, NORTH))
    assert semantic.novelty(rows(EAST), [0]).tolist() == [1.0]


def test_empty_batch_and_empty_window() -> None:
    semantic = SemanticHistory(window=0)
    semantic.remember(rows(EAST))
    assert semantic.novelty(rows(EAST), [0]).tolist() == [1.0]
    assert semantic.novelty(np.zeros((0, 0), np.float32), []).shape == (0,)


@given(
    seed=st.integers(0, 10_000),
    parts=st.lists(st.integers(0, 7), max_size=6),
    window=st.integers(0, 9),
    neighbours=st.integers(1, 20),
    batch=st.integers(1, 8),
)
def test_equals_the_plain_definition_and_rebuilding_changes_no_bit(
    seed: int, parts: list[int], window: int, neighbours: int, batch: int
) -> None:
    rng = np.random.default_rng(seed)
    history = units(rng, sum(parts))
    lived, rebuilt = SemanticHistory(window, neighbours), SemanticHistory(window, neighbours)
    start = 0
    for part in parts:
        lived.remember(history[start : start + part])
        start += part
    kept = history[len(history) - min(window, len(history)) :]
    rebuilt.remember(kept)
    probes, groups = units(rng, batch), rng.integers(0, 3, batch).tolist()
    found = lived.novelty(probes, groups)
    for place in range(batch):
        others = [probes[at] for at in range(batch) if at != place and groups[at] == groups[place]]
        cosines = sorted((float(probes[place] @ reference) for reference in [*kept, *others]), reverse=True)
        expected = 1 - np.mean(cosines[:neighbours]) if cosines else 1.0
        assert found[place] == pytest.approx(expected, abs=1e-5)
    assert np.array_equal(found, rebuilt.novelty(probes, groups))

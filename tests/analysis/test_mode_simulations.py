"""Known-answer simulations of the search for failure modes: power, false modes, measured rates, wrong labels.

The figures in the docstrings are those measured; the bounds leave room for chance.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from gadfly.analysis.items import ItemTable
from gadfly.analysis.modes import find_modes, is_searched
from mode_worlds import BASE, PLANTED, found_in, judged, precision_and_recall, true_rates, world


def false_runs(runs: int, n: int, n_images: int, base: float, likeness: float) -> int:
    """In how many runs of a target that fails alike everywhere any mode is found; ten runs share their questions."""
    tables: dict[int, ItemTable] = {}
    count = 0
    for seed in range(runs):
        table = tables.setdefault(seed // 10, world(n, n_images, 1000 + seed // 10))
        count += bool(find_modes(judged(table, {}, base, seed, likeness=likeness)).modes)
    return count


def test_planted_modes_are_found() -> None:
    """5,000 probes about 1,000 images. On the searched half the five have about 606, 74, 91, 12 and 18 probes. Of 12
    worlds they were found, item for item, in 12, 11, 7, none and 5; of 39 modes 35 were planted ones and the others
    parts of such or all but such, none of them false. In 200 other worlds 638 of 655 were planted ones and 2 false."""
    found = found_in(5000, 1000, range(12))
    precision, _ = precision_and_recall(found)
    counts = Counter(frozenset(mode.items) for modes in found for mode in modes)
    by_size = [counts[items] for items in PLANTED]
    assert by_size[0] == 12 and by_size[1] >= 8 and by_size[2] >= 6
    assert precision >= 0.85  # measured: 90%, and 97% in the other worlds


def test_a_target_that_fails_alike_everywhere_has_no_modes() -> None:
    """At most 2 of 30: the chance of more is under 2% where 2% of runs have a false mode, more than was measured."""
    assert false_runs(30, 3000, 400, base=0.3, likeness=0.5) <= 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n_images", "n", "base", "likeness"),
    [(400, 3000, 0.3, 0.0), (400, 3000, 0.3, 1.0), (400, 3000, 0.05, 0.5), (400, 3000, 0.8, 0.5), (40, 1500, 0.5, 1.0)],
)
def test_at_most_5_of_100_runs_have_a_false_mode(n_images: int, n: int, base: float, likeness: float) -> None:
    """Over 200 runs each; measured 1, 3, 1, 1 and 1, none of which held up on the other half of the images."""
    assert false_runs(200, n, n_images, base, likeness) <= 10


@pytest.mark.slow
@pytest.mark.parametrize("likeness", [0.0, 0.5])
def test_intervals_of_rates_on_the_other_half_hold_what_they_should(likeness: float) -> None:
    """93 to 97% of some 280 modes; measured 96.8% and 95.6% (94.1% where images differ as much as likeness 1)."""
    held = total = 0
    for seed in range(60):
        table = world(10_000, 1500, 3000 + seed // 3)
        truth_N = true_rates(table, PLANTED, BASE, likeness)
        measured_N = ~np.array([is_searched(image) for image in table.images])[table.image_N]
        for mode in find_modes(judged(table, PLANTED, BASE, seed, likeness=likeness)).modes:
            truth = float(truth_N[table.members(mode.items) & measured_N].mean())
            assert mode.failure.low is not None and mode.failure.high is not None
            held += mode.failure.low <= truth <= mode.failure.high
            total += 1
    assert total > 200 and 0.93 <= held / total <= 0.97 + 0.01  # one standard error above


@pytest.mark.slow
def test_wrong_skill_labels_cost_recall_before_precision() -> None:
    """20,000 probes. Precision and recall with no, 5, 10, 20 and 40% of the skill labels wrong, 40 worlds each: 100/98,
    100/97, 97/94, 96/90 and 91/66% (`benchmarks/wrong_labels.py`)."""
    clean, tenth, many = (precision_and_recall(found_in(20_000, 2000, range(5), share)) for share in (0.0, 0.1, 0.4))
    assert clean[0] >= 0.9 and clean[1] >= 0.9
    assert tenth[0] >= 0.9 and tenth[1] >= 0.85
    assert many[0] >= 0.8 and many[1] >= 0.5

"""Records as JSON holds them: with NumPy's numbers among theirs, and with keys that are no texts."""

from __future__ import annotations

import numpy as np

from gadfly.analysis.rates import Rate
from gadfly.plain_data import as_plain


def test_records_become_json() -> None:
    rate = Rate(np.float64(0.5), None, None, 2, 1)
    made = as_plain({("a", 1): rate, "n": np.int64(3), "b": True, "s": {1}})
    assert made == {
        "('a', 1)": {"value": 0.5, "low": None, "high": None, "n": 2, "successes": 1},
        "n": 3,
        "b": True,
        "s": [1],
    }
    assert type(made["n"]) is int and made["b"] is True

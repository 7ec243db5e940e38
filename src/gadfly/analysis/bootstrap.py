"""The random numbers behind intervals. Always the same ones, so that the same store gives the same intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

_SEED = 0


def bootstrap_rng() -> np.random.Generator:
    """A generator at its beginning. Taken anew for each number, that number does not depend on what else is shown."""
    import numpy as np

    return np.random.default_rng(_SEED)

"""Says of an image, from its id alone, whether it is trained on or held out. Knows nothing of sources or pictures."""

from __future__ import annotations

import hashlib
from typing import Literal

from gadfly.errors import ConfigError

Split = Literal["train", "heldout"]


def split_of(image_id: str, heldout_share: float, seed: int = 0) -> Split:
    """The split of one image: held out with probability `heldout_share`, in [0, 1), over ids.

    A pure function of its arguments: adding or removing other images moves none, and a larger share only adds to
    the held-out set. Raises ConfigError for a share out of range.
    """
    if not 0 <= heldout_share < 1:
        raise ConfigError(f"heldout_share is {heldout_share}; it must be at least 0 and below 1")
    digest = hashlib.sha256(f"{seed}:{image_id}".encode()).digest()
    # 53 bits: the largest integer range in which every value is exact as a float.
    place = (int.from_bytes(digest[:8], "big") >> 11) / 2**53
    return "heldout" if place < heldout_share else "train"

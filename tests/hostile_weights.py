"""A pickle that runs code when it is read without care, for tests of what must never read it so."""

from __future__ import annotations

import os
from pathlib import Path


class Trap:
    """Unpickled without care, it makes a file."""

    def __init__(self, sprung: Path) -> None:
        self._sprung = sprung

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self._sprung),)

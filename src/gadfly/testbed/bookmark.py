"""Where a course stands, kept in a file now and then: one that was broken off goes on from there.

Knows no lesson and no model, only what has a state. Lessons come from seeds, so those that were had are made again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import torch

EVERY: Final = 1_000
"""Steps between two times that the state is kept: some minutes of a large model's course."""


class Stateful(Protocol):
    """A model, an optimizer, a schedule."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: Any, /) -> object: ...


class Bookmark:
    """The state of a course's parts in a file. `path` None keeps nothing."""

    def __init__(self, path: Path | None, parts: Mapping[str, Stateful]) -> None:
        self._path = path
        self._parts = dict(parts)

    def open(self) -> int:
        """The steps that are done; the parts are put into the state that they had then."""
        if self._path is None or not self._path.is_file():
            return 0
        kept = torch.load(self._path, weights_only=True)
        for name, part in self._parts.items():
            part.load_state_dict(kept["parts"][name])
        step: int = kept["step"]
        return step

    def keep(self, step: int) -> None:
        """Keep the state after so many steps, if it is time to. What is in the file is always whole."""
        if self._path is None or not step or step % EVERY:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_suffix(".partial")
        torch.save({"step": step, "parts": {name: part.state_dict() for name, part in self._parts.items()}}, partial)
        partial.replace(self._path)

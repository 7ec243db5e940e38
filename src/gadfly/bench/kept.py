"""Cells of a benchmark on disk: written whole, and taken for made only where they are of the same. Knows no figure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gadfly.errors import StoreError


def known(path: Path, what: Mapping[str, Any]) -> dict[str, Any] | None:
    """The cell in a file, None where there is none. `what` is what it must be of. Raises StoreError where it was made
    with other settings, or of something else."""
    if not path.is_file():
        return None
    cell: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for key, value in what.items():
        if cell.get(key) != value:
            raise StoreError(
                f"{path} was made with another {key} ({cell.get(key)!r}, now {value!r}); give another --out, or delete "
                "the cell to have it made again"
            )
    return cell


def keep(path: Path, cell: Mapping[str, Any]) -> None:
    """Write a cell, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".new")
    partial.write_text(json.dumps(cell, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    partial.replace(path)

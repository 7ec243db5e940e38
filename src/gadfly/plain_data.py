"""Records made into what JSON can hold. Knows no record."""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Mapping
from typing import Any


def as_plain(record: Any) -> Any:
    """A record as JSON can hold it: dataclasses and mappings as objects, NumPy's numbers as Python's."""
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        return {f.name: as_plain(getattr(record, f.name)) for f in dataclasses.fields(record)}
    if isinstance(record, Mapping):
        return {str(k): as_plain(v) for k, v in record.items()}
    if isinstance(record, (list, tuple, set, frozenset)):
        return [as_plain(v) for v in record]
    if isinstance(record, bool) or not isinstance(record, numbers.Real):
        return record
    return int(record) if isinstance(record, numbers.Integral) else float(record)

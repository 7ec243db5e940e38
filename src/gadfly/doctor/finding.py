"""What one check found, as a line for people and as data. Knows no check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """FAIL: a run would not begin, or would be worth nothing. WARN: it may be meant so."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line. `said` is what was found, and for a failure what to do. `figures` are the numbers in it."""

    check: str
    outcome: Outcome
    said: str
    figures: Mapping[str, Any] = field(default_factory=dict)


def passed(check: str, said: str, **figures: Any) -> Finding:
    return Finding(check, Outcome.PASS, said, figures)


def warned(check: str, said: str, **figures: Any) -> Finding:
    return Finding(check, Outcome.WARN, said, figures)


def failed(check: str, said: str, **figures: Any) -> Finding:
    return Finding(check, Outcome.FAIL, said, figures)

"""The two reward terms that follow from the verdict alone. Knows nothing of texts or history."""

from __future__ import annotations

from gadfly.records import Verdict


def failure_term(verdict: Verdict) -> float | None:
    """1.0 where the target failed (WRONG), 0.0 where it did not (RIGHT), None where it was not judged."""
    if not verdict.valid:
        return None
    return 1.0 if verdict is Verdict.WRONG else 0.0


def invalid_term(verdict: Verdict) -> float | None:
    """1.0 for a bad question (INVALID), 0.0 for a good one, None for UNDECIDED: our own failure says nothing of it."""
    if not verdict.decided:
        return None
    return 1.0 if verdict is Verdict.INVALID else 0.0

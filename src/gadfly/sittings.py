"""One sitting of a phase: begun, counted against the limits, ended in the store however it ends. Knows no phase.

It brings nothing heavy, so that whoever only reads how a sitting ended starts at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, final

from gadfly.analysis.usage import by_role
from gadfly.counts import Counts
from gadfly.errors import BudgetSpent
from gadfly.models.ledger import Ledger
from gadfly.records import Probe, Usage, Verdict
from gadfly.store.sqlite import SqliteStore

AT_LIMIT = "limit: "
"""How the outcome of an attempt begins that a limit has ended; what follows says which."""


@contextmanager
def sitting(store: SqliteStore, phase: str, first_step: int, ledger: Ledger) -> Iterator[int]:
    """One sitting of a phase, ended in the store however it ends here, with what its models were used for."""
    ledger.begin([used for _, by_role in store.usages() for used in by_role.items()], store.seconds())
    attempt = store.begin_attempt(phase, first_step)
    outcome = "finished"
    try:
        yield attempt
    except KeyboardInterrupt:
        outcome = "interrupted"
        raise
    except BudgetSpent as spent:
        outcome = f"{AT_LIMIT}{spent}"
        raise
    except BaseException as fault:
        outcome = f"failed: {type(fault).__name__}"
        raise
    finally:
        store.set_usage(attempt, ledger.usages())
        store.end_attempt(attempt, outcome)


@final
class UsageKept:
    """A ProbeStore that writes, beside the metrics of each step, what the models have been used for so far: a process
    that is killed loses at most a step of it."""

    def __init__(self, store: SqliteStore, ledger: Ledger) -> None:
        self._store = store
        self._ledger = ledger

    def add(self, probes: Sequence[Probe]) -> None:
        self._store.add(probes)

    def add_step(self, phase: str, attempt: int, step: int, metrics: Mapping[str, Any]) -> None:
        self._store.add_step(phase, attempt, step, metrics)
        self._store.set_usage(attempt, self._ledger.usages())


def first_step_of(store: SqliteStore, phase: str) -> int:
    """Where the next sitting of a phase goes on. A step is whole once its metrics are there; probes without them are
    made again, and superseded."""
    return max((one.step for one in store.steps(phase)), default=-1) + 1


def counts_of(store: SqliteStore, phase: str) -> Counts:
    """The verdicts of a phase, superseded probes left out."""
    n = store.counts(phase)
    return Counts(n[Verdict.RIGHT], n[Verdict.WRONG], n[Verdict.INVALID], n[Verdict.UNDECIDED])


def usage_of(store: SqliteStore, phase: str | None = None) -> dict[str, Usage]:
    """What each role of a run, or of one phase of it, has used in all its attempts."""
    return by_role(usage for _, usage in store.usages(phase))


def limit_reached(store: SqliteStore, phase: str) -> str | None:
    """Which limit ended the phase, None where none did or a later attempt went on."""
    attempts = store.attempts(phase)
    outcome = attempts[-1].outcome if attempts else None
    return outcome.removeprefix(AT_LIMIT) if outcome is not None and outcome.startswith(AT_LIMIT) else None

"""What the models of a run have been asked for and what it cost, role by role, and the limits on it. Knows no model.

Prices are in the user's own currency; a cost that cannot be known is None, not 0.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from gadfly.errors import BudgetSpent


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs: per million tokens in and out, and per call."""

    prompt_per_million: float = 0.0
    completion_per_million: float = 0.0
    per_call: float = 0.0

    @property
    def by_token(self) -> bool:
        return self.prompt_per_million > 0 or self.completion_per_million > 0


@dataclass(frozen=True, slots=True)
class Usage:
    """What one role has used. A call is one chat that a model was asked to complete; `cached` were answered without.

    Tokens are None until somebody counts them. `uncounted` are the answers of which nobody said what they took.
    `seconds` is time spent waiting for the model. `cost` is None without a price, or where tokens have one and
    some answers are uncounted.
    """

    calls: int = 0
    cached: int = 0
    errors: int = 0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    uncounted: int = 0
    seconds: float = 0.0
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run may use, all roles together; None is no limit. `max_seconds` is from the ledger's beginning."""

    max_calls: int | None = None
    max_cost: float | None = None
    max_seconds: float | None = None


class Account:
    """One role's part of the ledger. Safe to use from several threads."""

    def __init__(self, role: str, price: Price | None) -> None:
        self.role = role
        self._price = price
        self._lock = threading.Lock()
        self._usage = Usage(cost=None if price is None else 0.0)

    @property
    def usage(self) -> Usage:
        return self._usage

    @property
    def has_price(self) -> bool:
        return self._price is not None

    def add_calls(self, calls: int, errors: int, seconds: float) -> None:
        self._add(calls=calls, errors=errors, seconds=seconds)

    def add_cached(self, calls: int) -> None:
        self._add(cached=calls)

    def add_tokens(self, prompt: int | None, completion: int | None) -> None:
        """What one or more answers took, None where nobody says."""
        uncounted = int(prompt is None or completion is None)
        self._add(prompt_tokens=prompt, completion_tokens=completion, uncounted=uncounted)

    def _add(self, **more: Any) -> None:
        with self._lock:
            used = self._usage
            for name, amount in more.items():
                if amount is not None:
                    used = replace(used, **{name: (getattr(used, name) or 0) + amount})
            self._usage = replace(used, cost=self._cost(used))

    def _cost(self, used: Usage) -> float | None:
        if self._price is None or (self._price.by_token and used.uncounted):
            return None
        tokens = (used.prompt_tokens or 0) * self._price.prompt_per_million
        tokens += (used.completion_tokens or 0) * self._price.completion_per_million
        return used.calls * self._price.per_call + tokens / 1e6


class Ledger:
    """The accounts of a run, and the limits that they keep together."""

    def __init__(self, limits: Limits | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = Limits() if limits is None else limits
        self._clock = clock
        self._started_s = clock()
        self._accounts: dict[str, Account] = {}

    def account(self, role: str, price: Price | None = None) -> Account:
        """A new account. A role has one."""
        assert role not in self._accounts, f"{role} has an account already"
        self._accounts[role] = Account(role, price)
        return self._accounts[role]

    def usages(self) -> dict[str, Usage]:
        """What each role has used, in the order in which the accounts were opened."""
        return {role: account.usage for role, account in self._accounts.items()}

    @property
    def seconds(self) -> float:
        """Since the ledger's beginning."""
        return self._clock() - self._started_s

    @property
    def cost(self) -> float | None:
        """Of all roles that have a price; None where that of one of them is not known, or none has one."""
        priced = [account.usage.cost for account in self._accounts.values() if account.has_price]
        if not priced or any(cost is None for cost in priced):
            return None
        return math.fsum(cost for cost in priced if cost is not None)

    def check(self, account: Account, calls: int) -> None:
        """Raise BudgetSpent where so many further calls on the account would pass a limit.

        Calls are known beforehand and never pass theirs. Cost is foreseen from the role's mean so far, so that only
        the first calls of all, or dearer ones than before, can pass it, by one batch.
        """
        limits = self._limits
        used = sum(usage.calls for usage in self.usages().values())
        if limits.max_calls is not None and used + calls > limits.max_calls:
            raise BudgetSpent(f"{used} calls made, {calls} more wanted, {limits.max_calls} allowed: the run ends here")
        if limits.max_seconds is not None and self.seconds >= limits.max_seconds:
            raise BudgetSpent(
                f"{self.seconds:.0f} s have passed, {limits.max_seconds:g} were allowed: the run ends here"
            )
        if limits.max_cost is None:
            return
        so_far, mine = self.cost, account.usage
        if so_far is None:
            raise BudgetSpent(
                "the cost of this run is limited but cannot be known: a model has no price, or its server does not say "
                "what answers take in tokens; give prices, or limit the calls"
            )
        foreseen = (mine.cost or 0.0) / mine.calls * calls if mine.calls else 0.0
        if so_far + foreseen > limits.max_cost or so_far >= limits.max_cost:
            raise BudgetSpent(
                f"{so_far:.4g} spent, {calls} more calls would cost about {foreseen:.2g}, {limits.max_cost:g} allowed: "
                "the run ends here"
            )

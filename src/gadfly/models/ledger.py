"""What the models of a run have been asked for and what it cost, role by role, and the limits on it. Knows no model.

Prices are in the user's own currency; a cost that cannot be known is None, not 0.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gadfly.errors import BudgetSpent
from gadfly.records import Usage


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs: per million tokens in and out, and per call."""

    prompt_per_million: float = 0.0
    completion_per_million: float = 0.0
    per_call: float = 0.0

    def cost(self, used: Usage) -> float | None:
        """What a usage costs at this price; None where tokens have one and some answers are uncounted."""
        by_token = self.prompt_per_million > 0 or self.completion_per_million > 0
        if by_token and used.uncounted:
            return None
        tokens = (used.prompt_tokens or 0) * self.prompt_per_million
        tokens += (used.completion_tokens or 0) * self.completion_per_million
        return used.calls * self.per_call + tokens / 1e6


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run may use, all roles and sittings together; None is no limit."""

    max_calls: int | None = None
    max_cost: float | None = None
    max_seconds: float | None = None
    max_target_calls: int | None = None


TARGET = "target"
"""The account of the model under test."""

Earlier = Sequence[tuple[str, Usage]]
"""What each role used in each of the earlier sittings of a run."""


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
    def price(self) -> Price | None:
        return self._price

    def clear(self) -> None:
        with self._lock:
            self._usage = Usage(cost=None if self._price is None else 0.0)

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
            self._usage = replace(used, cost=None if self._price is None else self._price.cost(used))


class Ledger:
    """The accounts of one sitting of a run, and the limits that they keep together with the earlier ones."""

    def __init__(self, limits: Limits | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = Limits() if limits is None else limits
        self._clock = clock
        self._accounts: dict[str, Account] = {}
        self._under_way: Counter[str] = Counter()  # calls of each role
        self._lock = threading.Lock()
        self.begin((), 0.0)

    def begin(self, earlier: Earlier, seconds: float) -> None:
        """Begin a sitting, with empty accounts. What was used before, and the time that it took, counts against the
        limits, at the prices of today."""
        self._earlier = tuple(earlier)
        self._earlier_s = seconds
        self._started_s = self._clock()
        for account in self._accounts.values():
            account.clear()

    def account(self, role: str, price: Price | None = None) -> Account:
        """The account of a role, opened at `price` when first asked for."""
        return self._accounts.setdefault(role, Account(role, price))

    def usages(self) -> dict[str, Usage]:
        """What each role has used, in the order in which the accounts were opened."""
        return {role: account.usage for role, account in self._accounts.items()}

    @property
    def seconds(self) -> float:
        """Of this sitting and the earlier ones."""
        return self._earlier_s + self._clock() - self._started_s

    @property
    def cost(self) -> float | None:
        """Of all roles that have a price, this sitting and the earlier ones; None where that of one of them is not
        known, or none has one."""
        used = [self._used(role) for role, account in self._accounts.items() if account.price is not None]
        costs = [cost for _, cost in used if cost is not None]
        return math.fsum(costs) if used and len(costs) == len(used) else None

    def _used(self, role: str) -> tuple[int, float | None]:
        """(calls, cost) of one role with those of earlier sittings; the cost is None where it is not known."""
        account = self._accounts[role]
        usages = [usage for one, usage in self._earlier if one == role] + [account.usage]
        costs = [None if account.price is None else account.price.cost(usage) for usage in usages]
        known = [cost for cost in costs if cost is not None]
        return sum(usage.calls for usage in usages), math.fsum(known) if len(known) == len(costs) else None

    def _mean_cost(self, role: str) -> float:
        """Of one call so far; 0 before the first."""
        calls, cost = self._used(role)
        return (cost or 0.0) / calls if calls else 0.0

    def begin_calls(self, account: Account, calls: int) -> None:
        """Count so many further calls on the account as under way. Raises BudgetSpent where they would pass a limit."""
        with self._lock:
            self.check(account, calls)
            self._under_way[account.role] += calls

    def end_calls(self, account: Account, calls: int, errors: int, seconds: float) -> None:
        """Count calls that were under way as made."""
        with self._lock:
            self._under_way[account.role] -= calls
            account.add_calls(calls, errors, seconds)

    def check(self, account: Account, calls: int) -> None:
        """Raise BudgetSpent where so many further calls on the account would pass a limit. Those under way count, as
        if none of them had an answer yet.

        Calls are known beforehand and never pass theirs. Cost is foreseen from the role's mean so far, so that only
        the first calls of all, or dearer ones than before, can pass it, by one batch.
        """
        limits = self._limits
        used = sum(usage.calls for _, usage in (*self._earlier, *self.usages().items())) + self._under_way.total()
        if limits.max_calls is not None and used + calls > limits.max_calls:
            raise BudgetSpent(f"{used} calls made, {calls} more wanted, {limits.max_calls} allowed")
        if limits.max_target_calls is not None and account.role == TARGET:
            mine = self._used(TARGET)[0] + self._under_way[TARGET]
            if mine + calls > limits.max_target_calls:
                raise BudgetSpent(
                    f"{mine} calls of the target made, {calls} more wanted, {limits.max_target_calls} allowed"
                )
        if limits.max_seconds is not None and self.seconds >= limits.max_seconds:
            raise BudgetSpent(f"{self.seconds:.0f} s have passed, {limits.max_seconds:g} allowed")
        if limits.max_cost is None:
            return
        so_far = self.cost
        if so_far is None:
            raise BudgetSpent(
                "the cost of this run is limited but cannot be known: a model has no price, or its server does not say "
                "what answers take in tokens; give prices, or limit the calls"
            )
        wanted = self._under_way + Counter({account.role: calls})
        foreseen = math.fsum(self._mean_cost(role) * n for role, n in wanted.items())
        if so_far + foreseen > limits.max_cost or so_far >= limits.max_cost:
            raise BudgetSpent(
                f"{so_far:.4g} spent, {calls} more calls would cost about {foreseen:.2g}, {limits.max_cost:g} allowed"
            )

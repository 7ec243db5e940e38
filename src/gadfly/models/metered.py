"""Writes what a model is asked for into a ledger, and asks the ledger first. Knows no prices and no limits."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from gadfly.models.ledger import Account, Ledger
from gadfly.protocols import ChatModel
from gadfly.records import Chat, Completion, Sampling


class Metered:
    """A ChatModel that passes everything on to another and keeps `account`. Inside a cache, not round it, so that only
    what the model itself does is counted.

    `count_tokens` gives the length of a text in tokens (`LocalModel.count_tokens`), for models whose prompts nobody
    counts. An endpoint tells the account itself what its server says: EndpointModel(on_tokens=…).

    A call that raises is counted too. Raises BudgetSpent where the next call would pass a limit.
    """

    def __init__(
        self,
        model: ChatModel,
        ledger: Ledger,
        account: Account,
        count_tokens: Callable[[str], int] | None = None,
    ) -> None:
        self._model = model
        self._ledger = ledger
        self._account = account
        self._count_tokens = count_tokens

    @property
    def name(self) -> str:
        return self._model.name

    def complete(self, chats: Sequence[Chat], sampling: Sampling) -> list[Completion]:
        if not chats:
            return self._model.complete(chats, sampling)
        self._ledger.begin_calls(self._account, len(chats))
        started_s = time.perf_counter()
        completions: list[Completion] = []
        try:
            completions = self._model.complete(chats, sampling)
            return completions
        finally:
            errors = sum(one.error is not None for one in completions)
            self._ledger.end_calls(self._account, len(chats), errors, time.perf_counter() - started_s)
            if self._count_tokens is not None:
                for one in completions:
                    if one.text is not None:
                        self._account.add_tokens(None, self._count_tokens(one.text))

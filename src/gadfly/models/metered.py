"""Counts what a model is asked for: calls, chats, errors, seconds, and tokens where it can. Knows no prices."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from gadfly.protocols import ChatModel
from gadfly.records import Chat, Completion, Sampling


@dataclass(frozen=True, slots=True)
class Usage:
    """What a model was asked for so far. `completion_tokens` is None where nobody can count them."""

    calls: int = 0
    chats: int = 0
    errors: int = 0
    seconds: float = 0.0
    completion_tokens: int | None = None


class Metered:
    """A ChatModel that passes everything on to another and keeps count in `usage`.

    `count_tokens` gives the length of a text in tokens (`LocalModel.count_tokens`). A call that raises is counted too.
    """

    def __init__(self, model: ChatModel, count_tokens: Callable[[str], int] | None = None) -> None:
        self._model = model
        self._count_tokens = count_tokens
        self.usage = Usage(completion_tokens=None if count_tokens is None else 0)

    @property
    def name(self) -> str:
        return self._model.name

    def complete(self, chats: Sequence[Chat], sampling: Sampling) -> list[Completion]:
        started_s = time.perf_counter()
        completions: list[Completion] = []
        try:
            completions = self._model.complete(chats, sampling)
            return completions
        finally:
            used = self.usage
            self.usage = replace(
                used,
                calls=used.calls + 1,
                chats=used.chats + len(chats),
                errors=used.errors + sum(one.error is not None for one in completions),
                seconds=used.seconds + time.perf_counter() - started_s,
                completion_tokens=self._counted(completions),
            )

    def _counted(self, completions: Sequence[Completion]) -> int | None:
        if self._count_tokens is None or self.usage.completion_tokens is None:
            return None
        return self.usage.completion_tokens + sum(
            self._count_tokens(one.text) for one in completions if one.text is not None
        )

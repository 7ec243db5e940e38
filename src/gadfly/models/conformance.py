"""What every ChatModel must hold to, as a check to run on any of them. Knows no particular model."""

from __future__ import annotations

from collections.abc import Sequence

from gadfly.protocols import ChatModel
from gadfly.records import Chat, Sampling


def check_chat_model(model: ChatModel, chats: Sequence[Chat]) -> None:
    """Raise AssertionError where the model breaks its contract on these chats (at least two, with unlike replies)."""
    greedy = Sampling(max_new_tokens=8)
    assert model.name, "a model needs a name to be recorded under"
    assert model.complete([], greedy) == [], "no chats, no completions"
    together = model.complete(chats, greedy)
    assert len(together) == len(chats), f"{len(chats)} chats in, {len(together)} completions out"
    backwards = model.complete(list(reversed(chats)), greedy)
    assert backwards[::-1] == together, "completions do not follow the order of the chats"
    sampled = Sampling(max_new_tokens=8, temperature=1.0, seed=3)
    assert model.complete(chats, sampled) == model.complete(chats, sampled), "one seed gives two texts"

"""The scripted model and the meter."""

from __future__ import annotations

import pytest

from gadfly.models.conformance import check_chat_model
from gadfly.models.metered import Metered
from gadfly.models.scripted import ScriptedModel, chat_text
from gadfly.records import Chat, Completion, Image, Message, Sampling

A: Chat = (Message("system", ("one",)), Message("user", (Image("0" * 64, "a.png", 1, 1), "two words")))
B: Chat = (Message("user", ("fail",)),)


def reply(chat: Chat, sampling: Sampling) -> str | Exception:
    return ValueError("no") if chat_text(chat) == "fail" else f"{chat_text(chat)}/{sampling.temperature}"


def test_a_scripted_model_replies_and_keeps_what_it_was_asked() -> None:
    model = ScriptedModel("double", reply)
    assert model.complete([A, B], Sampling()) == [Completion("one\ntwo words/0.0"), Completion(error="ValueError: no")]
    assert model.batches == [(A, B)]
    check_chat_model(model, [A, B])


def test_a_meter_counts_and_passes_on() -> None:
    model = ScriptedModel("double", reply)
    metered = Metered(model, count_tokens=lambda text: len(text.split()))
    assert metered.name == "double"
    assert metered.complete([A, B, A], Sampling()) == model.complete([A, B, A], Sampling())
    metered.complete([A], Sampling())
    usage = metered.usage
    # "one / two / words/0.0" is three words, three times over.
    assert (usage.calls, usage.chats, usage.errors, usage.completion_tokens) == (2, 4, 1, 9)
    assert usage.seconds > 0
    assert Metered(model).usage.completion_tokens is None


def test_a_call_that_raises_is_counted() -> None:
    def broken(chat: Chat, sampling: Sampling) -> str:
        raise RuntimeError("down")

    metered = Metered(ScriptedModel("double", broken))
    with pytest.raises(RuntimeError):
        metered.complete([A], Sampling())
    assert (metered.usage.calls, metered.usage.chats) == (1, 1)

"""The scripted model."""

from __future__ import annotations

from gadfly.models.conformance import check_chat_model
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

"""Screening: a verifier looks at candidates before one is put."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gadfly.config import Config, override
from gadfly.doctor.cost import planned_calls
from gadfly.errors import ConfigError
from gadfly.models.scripted import ScriptedModel, chat_text
from gadfly.records import Chat, Image, Sampling
from gadfly.roles.screening import NO_SCREEN, VerifierScreen, first_passing
from gadfly.roles.verifier_model import ModelVerifier

A, B = (Image(name, f"{name}.png", 8, 8) for name in "ab")


class Allows:
    def __init__(self, *good: str) -> None:
        self.good = good
        self.looks: list[list[str]] = []

    def passes(self, questions: Sequence[tuple[Image, str]]) -> list[bool]:
        self.looks.append([text for _, text in questions])
        return [text in self.good for _, text in questions]


def test_the_first_that_passes_is_taken_and_no_more_is_looked_at() -> None:
    screen = Allows("good", "fine")
    ranked = [[(3, "bad"), (1, "good"), (2, "fine")], [(0, "fine"), (1, "good")], [(2, "bad"), (0, "worse")], []]
    assert first_passing([A, B, A, B], ranked, screen) == [1, 0, 2, 0]
    assert screen.looks == [["bad", "fine", "bad"], ["good", "worse"]]
    assert first_passing([A, B, A, B], ranked, NO_SCREEN) == [3, 0, 2, 0]


@given(st.lists(st.lists(st.tuples(st.integers(0, 5), st.sampled_from("xyz")), max_size=5), max_size=5))
def test_what_is_taken_passes_if_anything_does(ranked: list[list[tuple[int, str]]]) -> None:
    taken = first_passing([A] * len(ranked), ranked, Allows("y"))
    for place, some in zip(taken, ranked, strict=True):
        good = [at for at, text in some if text == "y"]
        assert place == (good[0] if good else some[0][0] if some else 0)


def test_a_model_as_verifier_is_asked_for_validity_alone() -> None:
    def reply(chat: Chat, how: Sampling) -> str:
        bad = "moon" in chat_text(chat)
        return json.dumps({"verdict": "INVALID" if bad else "VALID"})

    model = ScriptedModel("judge", reply)
    screen = VerifierScreen(ModelVerifier(model))
    assert screen.passes([(A, "what colour is the moon?"), (B, "what colour is the bus?")]) == [False, True]
    assert [len(batch) for batch in model.batches] == [2]


def test_only_ways_of_asking_that_choose_can_be_screened() -> None:
    for method in ("model", "feedback"):
        with pytest.raises(ConfigError, match=f"{method!r} has none to choose from"):
            override(Config(), {"questioner.method": method, "questioner.screen": True})
    votes = {"verifier.votes": 2, "verifier.temperature": 0.5}
    config = override(Config(), {"questioner.method": "bounty", "questioner.screen": True, **votes})
    plain = override(config, {"questioner.screen": False})
    more = {role: calls - planned_calls(plain, "sweep")[role] for role, calls in planned_calls(config, "sweep").items()}
    # Eight candidates, each looked at by both votes at most.
    assert more == {"questioner": 0, "target": 0, "verifier": 8 * 2 * config.sweep.n}
    assert planned_calls(config, "train") == planned_calls(plain, "train")

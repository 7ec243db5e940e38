"""Screening: a verifier looks at candidates before one is put."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gadfly.config import Config, override
from gadfly.doctor.cost import planned_calls
from gadfly.errors import ConfigError
from gadfly.models.scripted import ScriptedModel, chat_text
from gadfly.protocols import LearningQuestioner
from gadfly.records import Chat, Completion, Image, Judgement, Probe, ProbeKey, Sampling, Turn, Verdict
from gadfly.roles.screening import NO_SCREEN, ScreenedLearner, ScreenedQuestioner, VerifierScreen, first_passing
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


class Says:
    """Puts the next of its lines about each image, and remembers what it learned from."""

    def __init__(self, **lines: Sequence[str]) -> None:
        self.left = {image: list(some) for image, some in lines.items()}
        self.asked: list[tuple[str, int]] = []
        self.learned: list[Probe] = []

    def ask(self, images: Sequence[Image], seed: int) -> list[Completion]:
        self.asked.append(("".join(image.id for image in images), seed))
        return [
            Completion(error="broken") if (line := self.left[image.id].pop(0)) == "broken" else Completion(line)
            for image in images
        ]

    def learn_from(self, probes: Sequence[Probe]) -> None:
        self.learned += probes


def test_what_does_not_pass_is_asked_again_and_the_first_put_where_nothing_does() -> None:
    says = Says(a=["bad?", "good?"], b=["good?"], c=["bad?", "...", "bad?"], d=["broken", "worse?", "good?"])
    c, d = (Image(name, f"{name}.png", 8, 8) for name in "cd")
    screened = ScreenedQuestioner(says, 3, Allows("good?"))
    assert [one.text for one in screened.ask([A, B, c, d], 7)] == ["good?", "good?", "bad?", "good?"]
    images, seeds = zip(*says.asked, strict=True)
    assert images == ("abcd", "acd", "cd") and seeds[0] == 7 and len(set(seeds)) == 3
    once = ScreenedQuestioner(Says(a=["bad?"], b=["good?"]), 1, Allows("good?"))
    assert [one.text for one in once.ask([A, B], 7)] == ["bad?", "good?"]


def test_a_screened_learner_learns() -> None:
    says = Says(a=["good?"])
    learner: LearningQuestioner = ScreenedLearner(says, 2, Allows("good?"))
    probe = Probe(ProbeKey("sweep", 1, 0, 0), 0, (A,), (Turn("good?", Completion("no")),), Judgement(Verdict.WRONG))
    learner.learn_from([probe])
    assert says.learned == [probe]


@pytest.mark.parametrize("settings", [{"method": "uniform"}, {"temperature": 0.0}])
def test_a_screen_that_can_do_nothing_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"questioner\.screen"):
        override(
            Config(), {f"questioner.{key}": value for key, value in settings.items()} | {"questioner.screen": True}
        )


@pytest.mark.parametrize("method", ["bounty", "model"])
def test_the_most_calls_that_a_screen_may_take(method: str) -> None:
    votes = {"verifier.votes": 2, "verifier.temperature": 0.5}
    config = override(Config(), {"questioner.method": method, "questioner.screen": True, **votes})
    plain = override(config, {"questioner.screen": False})
    more = {role: calls - planned_calls(plain, "sweep")[role] for role, calls in planned_calls(config, "sweep").items()}
    # Eight candidates, each looked at by both votes at most. Without a screen only bounty asks for so many.
    asked = 0 if method == "bounty" else 7 * config.sweep.n
    assert more == {"questioner": asked, "target": 0, "verifier": 8 * 2 * config.sweep.n}
    assert planned_calls(config, "train") == planned_calls(plain, "train")

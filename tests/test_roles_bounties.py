"""Bounties: what a kind of question is worth, and the questioner that goes by it, on scripted models."""

from __future__ import annotations

import random
from collections.abc import Sequence
from math import factorial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gadfly.models.scripted import ScriptedModel
from gadfly.records import Chat, Image, Probe, Sampling, Verdict
from gadfly.roles.asking import Asker
from gadfly.roles.asking_bounty import BountyQuestioner
from gadfly.roles.bounties import ENOUGH, Bounties
from gadfly.roles.screening import NO_SCREEN, Screen
from gadfly.roles.topics import plain_topic
from made_probes import INVALID, RIGHT, WRONG, make_probe
from test_roles_asking import HOW, IMAGES, TEMPLATE, WordAnnotator, told

COUNT, LEFT, BOTH = ("counting.count",), ("space.left_of",), ("counting.count", "space.left_of")


def many(verdict: Verdict, n: int, images: int = 1) -> list[Probe]:
    return [make_probe(verdict, f"i{place % images}", place) for place in range(n)]


def worth(bounties: Bounties, kind: tuple[str, ...]) -> float:
    """The mean of many draws."""
    return float(bounties.draw([kind] * 4000, np.random.default_rng(0))[:, 1].mean())


def test_before_anything_is_known_all_kinds_are_worth_the_same() -> None:
    bounties = Bounties()
    # Both rates are from Beta(8, 8), so the chance is 1/4 in the mean. A failure rate exceeds the usual 1/2 by half of
    # the mean deviation of Beta(a, a), which is 2 a^2a / (B(a, a) (2a)^(2a + 1)), in the mean.
    deviation = 2 * 8**16 / (factorial(7) ** 2 / factorial(15) * 16**17)
    assert bounties.draw([COUNT] * 4000, np.random.default_rng(0))[:, 0].mean() == pytest.approx(0.25, abs=0.01)
    assert worth(bounties, COUNT) == pytest.approx(0.5 * deviation / 2 + 0.02 * 0.25, abs=0.001)
    assert worth(bounties, LEFT) == pytest.approx(worth(bounties, COUNT), abs=0.002)


def test_what_failed_before_is_worth_more_until_it_is_known_to_fail() -> None:
    bounties = Bounties()
    bounties.learn([COUNT] * 20, many(RIGHT, 20))
    bounties.learn([LEFT] * 20, many(WRONG, 20, images=ENOUGH - 1))
    before = worth(bounties, LEFT)
    assert before > 10 * worth(bounties, COUNT)
    assert bounties.n_images(LEFT) == ENOUGH - 1 and bounties.n_images(BOTH) == 0
    bounties.learn([LEFT], [make_probe(WRONG, "another", 20)])
    assert worth(bounties, LEFT) == pytest.approx(before / 5, rel=0.05)


def test_a_kind_that_was_never_asked_is_thought_of_as_those_that_it_is_like() -> None:
    bounties = Bounties()
    bounties.learn([COUNT] * 40, many(WRONG, 40))
    bounties.learn([LEFT] * 40, many(RIGHT, 40))
    like_count, like_left = ("counting.count", "logic.not"), ("logic.not", "space.left_of")
    assert worth(bounties, like_count) > 2 * worth(bounties, like_left)


def test_a_kind_that_is_mostly_invalid_is_worth_little() -> None:
    bounties = Bounties()
    bounties.learn([COUNT] * 40, [*many(WRONG, 4), *many(INVALID, 36)])
    bounties.learn([LEFT] * 40, [*many(WRONG, 36), *many(INVALID, 4)])
    chance = bounties.draw([COUNT, LEFT], np.random.default_rng(0))[:, 0]
    assert chance[0] < 0.3 < 0.6 < chance[1]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([(), COUNT, LEFT, BOTH]), st.sampled_from([RIGHT, WRONG, INVALID]), st.integers(0, 9)
        ),
        max_size=40,
    )
)
def test_chances_are_rates_and_no_worth_exceeds_its_chance(asked: list[tuple[tuple[str, ...], Verdict, int]]) -> None:
    bounties = Bounties()
    for kind, verdict, image in asked:
        bounties.learn([kind], [make_probe(verdict, f"i{image}", 0)])
    drawn = bounties.draw([COUNT, *bounties.kinds], np.random.default_rng(1))
    assert ((drawn >= 0) & (drawn <= 1)).all() and (drawn[:, 1] <= drawn[:, 0]).all()
    for kind in bounties.kinds:
        wrong_on = {image for of, verdict, image in asked if of == kind and verdict is WRONG}
        assert bounties.n_images(kind) == len(wrong_on)


def bounty_of(
    model: ScriptedModel,
    *,
    candidates: int = 6,
    explore: float = 0.0,
    skills: tuple[str, ...] = (),
    screen: Screen = NO_SCREEN,
) -> BountyQuestioner:
    return BountyQuestioner(
        Asker(model, TEMPLATE, HOW),
        WordAnnotator(),
        lambda skills: " and ".join(map(plain_topic, skills)),
        skills=skills,
        candidates=candidates,
        explore=explore,
        screen=screen,
    )


def asks_at_random(*questions: str) -> ScriptedModel:
    draws = random.Random(0)
    return ScriptedModel("some", lambda chat, how: draws.choice(questions))


def taught(questioner: BountyQuestioner) -> None:
    for kind, verdict in (("counting.count", RIGHT), ("space.left_of", WRONG)):
        probes = [make_probe(verdict, f"i{n % 4}", n, question=f"is it {kind}?") for n in range(20)]
        questioner.learn_from(probes)


def test_it_asks_by_name_for_what_may_fail_and_puts_that() -> None:
    model = asks_at_random("is it counting.count?", "is it space.left_of?", "Two.\nLines.", "nothing at all?")
    questioner = bounty_of(model, candidates=12)
    taught(questioner)
    chosen = questioner.ask(IMAGES[:1], 0)
    assert chosen[0].text == "is it space.left_of?"
    topics = {said.partition("topic: ")[2].partition(".\n")[0] for said in told(model)}
    assert topics <= {"left of (space)", "count (counting)"}


def test_all_candidates_are_asked_for_at_once_and_those_of_an_image_side_by_side() -> None:
    model = asks_at_random("is it counting.count?")
    bounty_of(model, candidates=3).ask(IMAGES, 0)
    (chats,) = model.batches
    asked = [part.id for chat in chats for part in chat[0].parts if isinstance(part, Image)]
    assert asked == [image.id for image in IMAGES for _ in range(3)]


def test_a_kind_that_this_batch_will_settle_leaves_room_for_others() -> None:
    # Four images are known: one more WRONG settles it, and nearly every question of it is WRONG.
    questioner = bounty_of(asks_at_random("is it space.above?", "is it space.left_of?"), candidates=12)
    taught(questioner)
    texts = [one.text for one in questioner.ask(IMAGES, 1)]
    assert texts.count("is it space.left_of?") in (1, 2) and texts.count("is it space.above?") >= 4


def test_without_an_aim_it_asks_freely_or_under_skills_that_there_are() -> None:
    def reply(chat: Chat, how: Sampling) -> str:
        return "is it?"

    model = ScriptedModel("plain", reply)
    questioner = bounty_of(model, explore=1.0, candidates=1, skills=("logic.not", "space.above"))
    seen = set()
    for seed in range(20):
        questioner.ask(IMAGES, seed)
        seen |= {said.partition("topic: ")[2].partition(".\n")[0] for said in told(model)}
    assert {"", "not (logic)", "above (space)"} <= seen
    assert seen <= {
        "",
        "not (logic)",
        "above (space)",
        "not (logic) and above (space)",
        "above (space) and not (logic)",
    }


def test_what_holds_no_question_is_put_where_there_is_nothing_else() -> None:
    questioner = bounty_of(ScriptedModel("mute", lambda chat, how: "Two.\nLines."), candidates=3)
    assert [one.text for one in questioner.ask([Image("a", "a.png", 8, 8)], 0)] == ["Two.\nLines."]


class NotAbout:
    """A screen that lets no question with this word pass, and remembers what it looked at."""

    def __init__(self, word: str) -> None:
        self.word = word
        self.seen: list[str] = []

    def passes(self, questions: Sequence[tuple[Image, str]]) -> list[bool]:
        self.seen += [text for _, text in questions]
        return [self.word not in text for _, text in questions]


def test_the_best_that_passes_the_screen_is_put() -> None:
    screen = NotAbout("left_of")
    questioner = bounty_of(
        asks_at_random("is it counting.count?", "is it space.left_of?"), candidates=12, screen=screen
    )
    taught(questioner)
    assert {one.text for one in questioner.ask(IMAGES, 0)} == {"is it counting.count?"}
    assert "is it space.left_of?" in screen.seen  # it would have been the best


def test_where_nothing_passes_something_is_put_all_the_same() -> None:
    questioner = bounty_of(asks_at_random("is it space.left_of?"), candidates=3, screen=NotAbout("is it"))
    assert [one.text for one in questioner.ask(IMAGES[:2], 0)] == ["is it space.left_of?"] * 2

"""The course of a training: shares by thirds, the rule by which skills come and go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from gadfly.analysis.curriculum import Course, Curriculum, curriculum
from gadfly.records import Grounding, Probe, Question
from made_probes import INVALID, RIGHT, WRONG, make_probe


def training(n_steps: int = 30, per_step: int = 40) -> list[Probe]:
    """ "fade" goes from 60% to 20% of the questions, "rise" from 10% to 50%, "stay" is in half of them throughout."""
    rng = np.random.default_rng(0)
    probes = []
    for step in range(n_steps):
        done = step / (n_steps - 1)
        for i in range(per_step):
            skills = tuple(
                name
                for name, share in (("k.fade", 0.6 - 0.4 * done), ("k.rise", 0.1 + 0.4 * done), ("k.stay", 0.5))
                if rng.random() < share
            )
            wrong = "k.rise" in skills
            probes.append(
                make_probe(
                    WRONG if wrong else RIGHT,
                    f"i{rng.integers(50)}",
                    i,
                    step=step,
                    skills=skills or ("k.else",),
                    depth=1 + step // 10,
                )
            )
    return probes


def test_skills_come_and_go_by_the_rule() -> None:
    found = curriculum(training())
    assert isinstance(found, Curriculum)
    assert {one.skill: one.course for one in found.skills} == {
        "k.fade": Course.EARLY_PEAKING,
        "k.rise": Course.LATE_EMERGING,
        "k.stay": Course.STEADY,
        "k.else": Course.STEADY,
    }
    assert found.skills[0].skill == "k.fade" and found.skills[-1].skill == "k.rise"
    assert [third.depth.value for third in found.thirds] == [1, 2, 3]
    assert [(third.first_step, third.last_step, third.n) for third in found.thirds] == [
        (0, 9, 400),
        (10, 19, 400),
        (20, 29, 400),
    ]
    rise = found.skills[-1]
    assert [rate.value for rate in rise.failures] == [1.0, 1.0, 1.0]
    assert rise.asked == rise.wrong and sum(rise.asked) == sum(
        "k.rise" in (p.judgement.skills or ()) for p in training()
    )
    assert len(found.windows) == 12


def test_shares_by_hand() -> None:
    # Three steps; each third is a step. "a" is in 2 of 2, 1 of 2, 0 of 2 valid questions.
    probes = [
        make_probe(verdict, image, index, step=step, skills=skills)
        for step, index, verdict, image, skills in (
            (0, 0, WRONG, "x", ("k.a",)),
            (0, 1, RIGHT, "y", ("k.a", "k.b")),
            (0, 2, INVALID, "y", ("k.a",)),
            (1, 0, RIGHT, "x", ("k.a",)),
            (1, 1, RIGHT, "y", ("k.b",)),
            (2, 0, RIGHT, "x", ("k.b",)),
            (2, 1, WRONG, "y", ("k.b",)),
            (2, 2, WRONG, "y", None),
        )
    ]
    found = curriculum(probes)
    assert isinstance(found, Curriculum)
    a = next(one for one in found.skills if one.skill == "k.a")
    assert [(share.successes, share.n) for share in a.shares] == [(2, 2), (1, 2), (0, 2)]
    assert [(rate.successes, rate.n) for rate in a.failures] == [(1, 2), (0, 1), (0, 0)]
    # Both images went from all to none: the change is -1 on each, and does not vary.
    assert (a.change.value, a.change.low, a.change.high) == pytest.approx((-1, -1, -1))


class Sees:
    """A grounder that knows three questions."""

    KNOWN: Mapping[str, Grounding] = {
        "none?": Grounding((), None, 1.0),
        "small?": Grounding((), 0.25, 3.0),
        "small??": Grounding((), 0.25, 3.0),
    }

    def ground(self, questions: Sequence[Question]) -> list[Grounding | None]:
        return [self.KNOWN.get(question.text) for question in questions]


def test_detail_is_of_what_is_known_to_be_asked_about() -> None:
    asked = ("none?", "small?", "small??", "else?")
    probes = [
        make_probe(RIGHT, "x", i, step=step, question=text, skills=("k.a",), depth=1)
        for step in range(3)
        for i, text in enumerate(asked[: 2 + step])
    ]
    found = curriculum(probes, grounder=Sees())
    assert isinstance(found, Curriculum)
    # Of the attributes: (1 + 3) / 2, (1 + 3 + 3) / 3, the same again; of the size: one, two, two things.
    assert [third.attributes.value for third in found.thirds] == pytest.approx([2, 7 / 3, 7 / 3])
    assert [(third.size.value, third.size.n) for third in found.thirds] == [(0.25, 1), (0.25, 2), (0.25, 2)]
    nobody = curriculum(probes)
    assert isinstance(nobody, Curriculum)
    assert {(third.attributes.value, third.size.value) for third in nobody.thirds} == {(None, None)}


def test_a_question_counts_once_within_a_stretch_but_not_over_the_training() -> None:
    probes = [
        make_probe(RIGHT, "x", index, step=step, question="again?", skills=("k.a",))
        for step in range(3)
        for index in (0, 1)
    ]
    found = curriculum(probes)
    assert isinstance(found, Curriculum)
    assert [third.n for third in found.thirds] == [1, 1, 1]


def test_where_nothing_changes_skills_are_steady() -> None:
    """20 trainings of 20 skills that do not change: Bonferroni's 5% lets about one of them name a skill."""
    rng = np.random.default_rng(1)
    named = 0
    for _ in range(20):
        probes = [
            make_probe(RIGHT, f"i{rng.integers(40)}", i, step=i % 12, skills=(f"k.s{rng.integers(20)}",))
            for i in range(900)
        ]
        found = curriculum(probes)
        assert isinstance(found, Curriculum)
        named += any(one.course is not Course.STEADY for one in found.skills)
    assert named <= 4  # P(more than 4 of 20 at 5%) is 0.3%


def test_without_data_there_are_reasons() -> None:
    assert isinstance(curriculum([]), str)
    assert isinstance(curriculum([make_probe(WRONG, "a", skills=("k.s",))]), str)
    assert isinstance(curriculum([make_probe(WRONG, "a", step=s) for s in range(9)]), str)
    gap = [make_probe(WRONG, "a", step=s, skills=("k.s",)) for s in (0, 8)]
    assert curriculum(gap) == "a third of the steps has no valid question with known skills"

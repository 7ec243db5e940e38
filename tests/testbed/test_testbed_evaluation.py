"""Scores of an exam: each question counts for what it asks for, and for what only its descriptions take."""

from __future__ import annotations

from gadfly.records import Image
from gadfly.testbed.album import SceneSource
from gadfly.testbed.english import parse
from gadfly.testbed.evaluation import DESCRIBED, Exam, Score, by_skill_and_depth, uniform_exam
from gadfly.testbed.skills import SKILLS

IMAGE = Image("0" * 64, "scene.png", 96, 96)


def test_skills_of_descriptions_are_scored_beside_those_asked_for() -> None:
    """Two questions about a leftmost thing (one RIGHT of two, the answers "red" and "small"), one about a thing that is
    not blue, and one of one step that takes no description's skill."""
    asked = (
        ("what colour is the leftmost star?", "red"),
        ("what size is the leftmost star?", "small"),
        ("what colour is the star that is not blue?", "red"),
        ("what colour is the star?", "blue"),
    )
    exam = Exam(SceneSource([]), tuple((IMAGE, parse(text), text, answer) for text, answer in asked))
    assert by_skill_and_depth(exam, [True, False, True, False]) == {
        "logic.not": {2: Score(1, 1, 1)},
        "recognition.colour": {1: Score(0, 1, 1), 2: Score(2, 2, 2)},
        "recognition.size": {2: Score(0, 1, 1)},
        "space.extreme": {2: Score(1, 2, 1)},
    }


def test_an_exam_of_two_depths_covers_every_skill() -> None:
    exam = uniform_exam(split="heldout", seed=0, n=2_000, depths=(1, 2))
    scores = by_skill_and_depth(exam, [True] * len(exam.questions))
    assert set(scores) == set(SKILLS)
    assert {"space.extreme", "logic.not", "orientation.points_at"} == DESCRIBED
    assert all(set(scores[skill]) == {2} for skill in DESCRIBED)

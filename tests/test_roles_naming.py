"""An annotator beside the verifier: who is named, how often, and what a run makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from gadfly import run_folder, runs
from gadfly.config import from_dict, override
from gadfly.errors import ConfigError
from gadfly.records import Completion, Judgement, Question, Verdict
from gadfly.roles.verifier_naming import NAMELESS, NamingVerifier
from gadfly.testbed.album import render
from gadfly.testbed.annotator import TestbedAnnotator
from gadfly.testbed.checkpoints import bundled
from gadfly.testbed.recipe import demo_settings
from gadfly.wiring import Wiring
from probing_doubles import EchoTarget, WordVerifier, image


class LetterAnnotator:
    """The skill of a question is its last letter; of one that ends in z nothing is known. Keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def skills(self, questions: Sequence[str]) -> list[tuple[str, ...] | None]:
        self.asked += questions
        return [None if q.endswith("z") else (f"letter.{q[-1]}",) for q in questions]

    def concepts(self, questions: Sequence[str]) -> list[tuple[str, ...] | None]:
        raise AssertionError("nobody wants them here")


class NamelessVerifier(WordVerifier):
    """As a model judges: without skills."""

    def _one(self, question: Question, answer: Completion) -> Judgement:
        judged = super()._one(question, answer)
        return Judgement(judged.verdict, reason=judged.reason)


def named(verifier: WordVerifier, *texts: str) -> tuple[list[Judgement], list[str]]:
    """The judgements, and what the annotator was asked."""
    annotator = LetterAnnotator()
    questions = [Question((image("a"),), text, 0) for text in texts]
    judged = NamingVerifier(verifier, annotator).judge(questions, EchoTarget().answer(questions))
    return judged, annotator.asked


def test_valid_questions_are_named_and_verdicts_stay() -> None:
    judged, asked = named(NamelessVerifier(), "hard a", "easy b", "vague c", "silent d")
    assert [one.verdict for one in judged] == [
        Verdict.WRONG,
        Verdict.RIGHT,
        Verdict.INVALID,
        Verdict.UNDECIDED,
    ]
    assert [one.skills for one in judged] == [("letter.a",), ("letter.b",), None, None]
    assert judged[2].reason == "vague"
    assert asked == ["hard a", "easy b"]


def test_what_cannot_be_named_is_undecided_and_says_why() -> None:
    judged, asked = named(NamelessVerifier(), "easy z", "hard z", "vague z")
    assert [one.verdict for one in judged] == [Verdict.UNDECIDED, Verdict.UNDECIDED, Verdict.INVALID]
    assert [one.reason for one in judged] == [NAMELESS, NAMELESS, "vague"]
    assert asked == ["easy z", "hard z"]


def test_equal_questions_are_named_once_and_without_a_valid_one_nobody_is_asked() -> None:
    judged, asked = named(NamelessVerifier(), "easy a", "easy a", "hard b")
    assert [one.skills for one in judged] == [("letter.a",), ("letter.a",), ("letter.b",)]
    assert asked == ["easy a", "hard b"]
    assert named(NamelessVerifier(), "vague c")[1] == []


def test_names_that_a_verifier_gives_itself_stay() -> None:
    judged, asked = named(WordVerifier(), "easy a")
    assert judged[0].skills == ("a", "easy") and asked == []


@pytest.mark.parametrize("at_once", [False, True])
def test_in_a_run_that_a_model_judges_skills_are_known_where_they_are_named_at_once(
    at_once: bool, tmp_path: Path
) -> None:
    render(tmp_path / "images", n=16, split="probe", seed=5)
    base = demo_settings(tmp_path / "images", tmp_path, steps=1, seed=3, heldout_share=0.0, n=32)
    config = override(
        from_dict({**base, "verifier": {"kind": "model", "model": str(bundled("verifier"))}}),
        {"annotator.kind": "testbed", "annotator.at_once": at_once, "reward.embedder": "hash"},
    )
    with run_folder.opened(config, resume=False) as store:
        runs.sweep(Wiring(config), store, split="train")
        valid = [probe for probe in store.probes("sweep") if probe.verdict.valid]
    questions = [probe.question for probe in valid]
    assert len(valid) >= 16
    skills = TestbedAnnotator().skills(questions) if at_once else [None] * len(valid)
    assert [probe.judgement.skills for probe in valid] == skills
    assert None not in skills or not at_once


def test_somebody_must_be_there_to_name_at_once() -> None:
    with pytest.raises(ConfigError, match=r"annotator\.at_once is set, and nobody names skills"):
        from_dict({"annotator": {"at_once": True}})
    steered = {"questioner": {"method": "feedback", "steer": "topics"}, "annotator": {"kind": "testbed"}}
    with pytest.raises(ConfigError, match=r"annotator\.at_once"):
        from_dict(steered)
    from_dict({**steered, "annotator": {"kind": "testbed", "at_once": True}})

"""Small doubles for tests of the loop and of training: they answer, judge, reward and store by rules one can see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gadfly.records import Completion, Image, Judgement, PastQuestion, Probe, Question, Verdict


def image(name: str) -> Image:
    return Image(id=name, path=f"{name}.png", width_px=96, height_px=96)


class EchoTarget:
    """Answers every question with its own text; one that holds the word `fails_on` gets an error. Keeps what it saw."""

    def __init__(self, fails_on: str | None = "silent") -> None:
        self._fails_on = fails_on
        self.asked: list[Question] = []

    def answer(self, questions: Sequence[Question]) -> list[Completion]:
        self.asked += questions
        return [
            Completion(error="timeout") if self._fails_on in q.text.split() else Completion(text=q.text)
            for q in questions
        ]


class WordVerifier:
    """Judges by words in the question: `vague` INVALID, `silent` UNDECIDED, else WRONG iff `hard` is in it."""

    def __init__(self) -> None:
        self.judged: list[Question] = []

    def judge(self, questions: Sequence[Question], answers: Sequence[Completion]) -> list[Judgement]:
        self.judged += questions
        return [self._one(q, a) for q, a in zip(questions, answers, strict=True)]

    def _one(self, question: Question, answer: Completion) -> Judgement:
        words = question.text.split()
        if "vague" in words:
            return Judgement(Verdict.INVALID, reason="vague")
        if answer.error is not None:
            return Judgement(Verdict.UNDECIDED, reason=f"target: {answer.error}")
        return Judgement(Verdict.WRONG if "hard" in words else Verdict.RIGHT, skills=tuple(sorted(set(words))))


class PlainReward:
    """1 for WRONG, 0 for RIGHT, -1 for INVALID, None for UNDECIDED; one term that says which. Keeps the history."""

    def __init__(self) -> None:
        self.history: list[PastQuestion] = []

    def prepare(self, questions: Sequence[Question]) -> None:
        """It needs nothing."""

    def score(
        self, questions: Sequence[Question], judgements: Sequence[Judgement]
    ) -> list[tuple[float | None, Mapping[str, float | None]]]:
        rewards = {Verdict.WRONG: 1.0, Verdict.RIGHT: 0.0, Verdict.INVALID: -1.0}
        return [
            (rewards.get(j.verdict), {"failure": float(j.verdict is Verdict.WRONG) if j.verdict.valid else None})
            for j in judgements
        ]

    def remember(self, questions: Sequence[PastQuestion]) -> None:
        self.history += questions


class ListStore:
    """Keeps probes and step metrics in lists."""

    def __init__(self) -> None:
        self.probes: list[Probe] = []
        self.steps: list[tuple[str, int, int, Mapping[str, Any]]] = []

    def add(self, probes: Sequence[Probe]) -> None:
        self.probes += probes

    def add_step(self, phase: str, attempt: int, step: int, metrics: Mapping[str, Any]) -> None:
        self.steps.append((phase, attempt, step, metrics))


class ScriptedQuestioner:
    """Asks the same text about every image, with the seed in it; keeps what it was asked for."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[str], int]] = []

    def ask(self, images: Sequence[Image], seed: int) -> list[Completion]:
        self.calls.append(([image.id for image in images], seed))
        return [Completion(text=f"is it hard {seed}") for _ in images]

"""The main loop: answer, verify, reward, remember, store. Read this first. It sees protocols and records only.

Training and sweeps come through here alike: what is trained on and what is reported meet the same target, the same
judge and the same rewards. Where the questions come from, this file does not know: from a trainer's own rollouts or
from a questioner that is asked.

    written ──parse──▶ questions ──target──▶ answers ──verifier──▶ judgements ──reward──▶ probes ──▶ store
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import final

from gadfly.counts import Metric, step_metrics
from gadfly.overlap import Beside, Later
from gadfly.protocols import ProbeStore, Reward, Target, Verifier
from gadfly.records import Completion, Image, Judgement, PastQuestion, Probe, ProbeKey, Question, Turn, Verdict

UNPARSABLE = "unparsable"
NOT_ASKED = "not asked"


@final
@dataclass(frozen=True, slots=True)
class Written:
    """What a questioner wrote about some images, untouched, or the reason why it wrote nothing.

    `group` is the place among the groups of the step: equal groups were asked about the same images. `topic` is what
    the question was to be about, empty for anything.
    """

    images: tuple[Image, ...]
    completion: Completion
    group: int
    topic: str = ""


@final
@dataclass(frozen=True, slots=True)
class Step:
    """What one turn of the loop made: one probe for each thing written, in order, and the figures of the step."""

    probes: tuple[Probe, ...]
    metrics: Mapping[str, Metric]


@final
@dataclass(frozen=True, slots=True)
class Probing:
    """The loop with its parts. `parse` finds the question in what a questioner wrote, None where there is none.

    `served`: the target answers on another machine. This one then does meanwhile what needs no answer: the questions
    are made ready for their reward, and the verifier judges them for themselves.
    """

    target: Target
    verifier: Verifier
    reward: Reward
    store: ProbeStore
    parse: Callable[[str], str | None]
    served: bool = False

    def step(self, written: Sequence[Written], *, phase: str, attempt: int, step: int) -> Step:
        """Put one step's questions to the target, have them judged, reward and store them.

        All of a step goes through at once: novelty compares a question with its whole group, so every group must be
        here in full. Whatever goes wrong with one question is in its probe; an exception means that the step could
        not be done, and then nothing of it has been stored.
        """
        seconds: dict[str, float] = {}
        questions, unasked = self._read(written)
        answers, judgements = self._answer_and_verify(questions, unasked, seconds)
        with _timed(seconds, "seconds_reward"):
            scores = self.reward.score(questions, judgements)
            asked = zip(questions, judgements, strict=True)
            self.reward.remember(
                [PastQuestion(q.text, j.skills, j.verdict is Verdict.WRONG) for q, j in asked if j.verdict.valid]
            )
        probes = tuple(
            Probe(
                key=ProbeKey(phase=phase, attempt=attempt, step=step, index=index),
                group=question.group,
                images=question.images,
                turns=(Turn(question.text, answer),),
                judgement=judgement,
                terms=terms,
                reward=reward,
            )
            for index, (question, answer, judgement, (reward, terms)) in enumerate(
                zip(questions, answers, judgements, scores, strict=True)
            )
        )
        for probe in probes:
            assert (probe.reward is None) == (probe.verdict is Verdict.UNDECIDED), f"{probe.verdict}: {probe.reward}"
            assert probe.reward is None or math.isfinite(probe.reward), f"reward {probe.reward}"
        with _timed(seconds, "seconds_store"):
            self.store.add(probes)
        metrics = {**step_metrics(probes), **seconds}
        self.store.add_step(phase, attempt, step, metrics)
        return Step(probes, metrics)

    def _read(self, written: Sequence[Written]) -> tuple[list[Question], dict[int, Judgement]]:
        """The questions in what was written, and a judgement for each place where there is none to ask.

        No question in the text is the questioner's fault: INVALID, and the text is kept as the question. No text at
        all is ours: UNDECIDED.
        """
        questions: list[Question] = []
        unasked: dict[int, Judgement] = {}
        for index, one in enumerate(written):
            text = one.completion.text
            question = None if text is None else self.parse(text)
            if text is None:
                unasked[index] = Judgement(Verdict.UNDECIDED, reason=f"questioner: {one.completion.error}")
            elif question is None:
                unasked[index] = Judgement(Verdict.INVALID, reason=UNPARSABLE)
            asked = question if question is not None else text or ""
            questions.append(Question(one.images, asked, one.group, one.topic))
        return questions, unasked

    def _answer_and_verify(
        self, questions: Sequence[Question], unasked: Mapping[int, Judgement], seconds: dict[str, float]
    ) -> tuple[list[Completion], list[Judgement]]:
        """An answer and a judgement for every question. Equal questions about equal images are asked and judged once:
        a questioner that repeats itself must not cost more than one that does not."""
        asked: dict[tuple[tuple[str, ...], str], Question] = {}
        for index, question in enumerate(questions):
            if index not in unasked:
                asked.setdefault(_content(question), question)
        once = list(asked.values())
        with _timed(seconds, "seconds_verify"), self._answers(once, seconds) as answers_once:
            judgements_once = self.verifier.judge(once, answers_once) if once else []
        seconds["seconds_verify"] -= seconds["seconds_answer"]  # what it took beyond the answers
        outcomes = dict(zip(asked, zip(answers_once, judgements_once, strict=True), strict=True))

        answers: list[Completion] = []
        judgements: list[Judgement] = []
        for index, question in enumerate(questions):
            if index in unasked:
                answer, judgement = Completion(error=NOT_ASKED), unasked[index]
            else:
                answer, judgement = outcomes[_content(question)]
                assert answer.text is not None or not judgement.verdict.valid, "no answer, yet it was judged"
            answers.append(answer)
            judgements.append(judgement)
        return answers, judgements

    @contextmanager
    def _answers(self, questions: Sequence[Question], seconds: dict[str, float]) -> Iterator[Sequence[Completion]]:
        """The target's answers, those of a served target still under way."""

        def answer() -> list[Completion]:
            with _timed(seconds, "seconds_answer"):
                return self.target.answer(questions) if questions else []

        if not self.served or not questions:
            yield answer()
            return
        with Beside() as beside:
            answers = beside.begin(answer)
            self.reward.prepare(questions)
            yield Later(len(questions), answers.result)


def _content(question: Question) -> tuple[tuple[str, ...], str]:
    return tuple(image.id for image in question.images), question.text


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    started = perf_counter()
    yield
    seconds[name] = perf_counter() - started

"""A verifier that asks a vision-language model, step by step and blind first. Knows nothing of where the model runs.

Departs from arXiv 2604.04733, whose verifier is only known to work by stepwise criteria: here the verifier commits to
its own answer before it sees the target's, so that neither anchoring nor text in an answer can steer it, and compares
the two without the image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from gadfly.protocols import ChatModel
from gadfly.records import Chat, Completion, Image, Judgement, Message, Question, Sampling, Schema, Verdict
from gadfly.roles.matching import agree, normalise
from gadfly.roles.prompts import fill, load_prompt, quote, require_slots
from gadfly.roles.verifier_replies import (
    AGREEMENT_SCHEMA,
    ANSWER_SCHEMA,
    VALIDITY_SCHEMA,
    parse_agreement,
    parse_answer,
    parse_validity,
)

JUDGE_SAMPLING: Final = Sampling(max_new_tokens=160)
"""Greedy; room for five criteria and the verdict, with some words on each."""

_UNANSWERABLE: Final = "unanswerable"

Parsed = TypeVar("Parsed")


@dataclass(frozen=True, slots=True)
class VerifierPrompts:
    """The three prompts. Slots: {question} in all, {expected} and {answer} in `agreement`; ConfigError without."""

    validity: str = field(default_factory=lambda: load_prompt("verifier_validity"))
    answer: str = field(default_factory=lambda: load_prompt("verifier_answer"))
    agreement: str = field(default_factory=lambda: load_prompt("verifier_agreement"))

    def __post_init__(self) -> None:
        require_slots(self.validity, "question")
        require_slots(self.answer, "question")
        require_slots(self.agreement, "question", "expected", "answer")


@dataclass(frozen=True, slots=True)
class _Stage:
    """One of the three, as far as its replies go: `form` is the line that a retry asks for."""

    name: str
    schema: Schema
    form: str

    @property
    def reminder(self) -> str:
        """What a retry adds to the prompt, on a line of its own."""
        return f"Reply with this one line and nothing else: {self.form}"


_VALIDITY: Final = _Stage("validity", VALIDITY_SCHEMA, "VERDICT: VALID or VERDICT: INVALID")
_ANSWER: Final = _Stage("answer", ANSWER_SCHEMA, "ANSWER: followed by your answer")
_AGREEMENT: Final = _Stage("agreement", AGREEMENT_SCHEMA, "VERDICT: SAME or VERDICT: DIFFERENT")

REMINDERS: Final = {stage.name: stage.reminder for stage in (_VALIDITY, _ANSWER, _AGREEMENT)}
"""What the retry of each stage adds to its prompt."""


class ModelVerifier:
    """A Verifier over any model, in at most three batched calls, each followed by one retry of what was unreadable:

    1. validity of each question, the target's answer unseen; INVALID stands whatever became of the answer;
    2. the verifier's own answer, blind; a question that it then finds unanswerable is INVALID too;
    3. agreement of the two answers where `matching.agree` cannot tell, from the texts alone.

    Each stage asks for JSON where the backend can hold its replies to a schema; lines of text are read as well.

    Reasons. INVALID: "not_" + the first criterion that failed (": " + the others), "invalid" where the judge named
    none, "unanswerable". UNDECIDED: "target_error: …", "verifier_error: …", "unreadable_judge: …" with the stage.
    """

    def __init__(
        self, model: ChatModel, prompts: VerifierPrompts | None = None, sampling: Sampling = JUDGE_SAMPLING
    ) -> None:
        self._model = model
        self._prompts = VerifierPrompts() if prompts is None else prompts
        self._sampling = sampling

    def judge(self, questions: Sequence[Question], answers: Sequence[Completion]) -> list[Judgement]:
        assert len(questions) == len(answers), f"{len(questions)} questions, {len(answers)} answers"
        judged = self._judge_validity(questions)
        for index, answer in enumerate(answers):
            if index not in judged and answer.error is not None:
                judged[index] = Judgement(Verdict.UNDECIDED, f"target_error: {answer.error}")
        expected = self._answer_blind(questions, judged)
        texts = {index: (own, answers[index].text or "") for index, own in expected.items()}
        same = {index: verdict for index, pair in texts.items() if (verdict := agree(*pair)) is not None}
        same |= self._compare(questions, {i: pair for i, pair in texts.items() if i not in same}, judged)
        for index, verdict in same.items():
            judged[index] = Judgement(Verdict.RIGHT if verdict else Verdict.WRONG, expected=expected[index])
        return [judged[index] for index in range(len(questions))]

    def _judge_validity(self, questions: Sequence[Question]) -> dict[int, Judgement]:
        """What is settled by the question alone; a valid one is not in the result."""
        chats = {
            index: _chat(question.images, fill(self._prompts.validity, question=quote(question.text)))
            for index, question in enumerate(questions)
        }
        reasons, judged = self._ask(chats, _VALIDITY, parse_validity)
        invalid = {i: Judgement(Verdict.INVALID, reason) for i, reason in reasons.items() if reason}
        return judged | invalid

    def _answer_blind(self, questions: Sequence[Question], judged: dict[int, Judgement]) -> dict[int, str]:
        """The verifier's own answers to what is not settled yet; `judged` gains what this settles."""
        chats = {
            index: _chat(question.images, fill(self._prompts.answer, question=quote(question.text)))
            for index, question in enumerate(questions)
            if index not in judged
        }
        own, undecided = self._ask(chats, _ANSWER, parse_answer)
        judged |= undecided
        unanswerable = {index for index, text in own.items() if normalise(text).startswith(_UNANSWERABLE)}
        # It called the question valid before: judges who disagree about validity make it INVALID.
        judged |= {index: Judgement(Verdict.INVALID, _UNANSWERABLE) for index in unanswerable}
        return {index: text for index, text in own.items() if index not in unanswerable}

    def _compare(
        self, questions: Sequence[Question], texts: Mapping[int, tuple[str, str]], judged: dict[int, Judgement]
    ) -> dict[int, bool]:
        """Whether (expected, answered) mean the same, by the judge; `judged` gains what it cannot tell."""
        chats = {
            index: _chat(
                (),
                fill(
                    self._prompts.agreement,
                    question=quote(questions[index].text),
                    expected=quote(own),
                    answer=quote(answered),
                ),
            )
            for index, (own, answered) in texts.items()
        }
        same, undecided = self._ask(chats, _AGREEMENT, parse_agreement)
        judged |= {
            index: Judgement(Verdict.UNDECIDED, judgement.reason, expected=texts[index][0])
            for index, judgement in undecided.items()
        }
        return same

    def _ask(
        self, chats: Mapping[int, Chat], stage: _Stage, parse: Callable[[str], Parsed | None]
    ) -> tuple[dict[int, Parsed], dict[int, Judgement]]:
        """(what was read, what stays UNDECIDED). An unreadable reply is asked for once more, with the form repeated:
        a greedy model would give the same reply to the same prompt."""
        read: dict[int, Parsed] = {}
        undecided: dict[int, Judgement] = {}
        asked = dict(chats)
        sampling = replace(self._sampling, schema=stage.schema)
        for attempt in ("first", "retry"):
            if not asked:
                break
            replies = self._model.complete(list(asked.values()), sampling)
            unreadable: dict[int, Chat] = {}
            for (index, chat), reply in zip(asked.items(), replies, strict=True):
                if reply.text is None:
                    undecided[index] = Judgement(Verdict.UNDECIDED, f"verifier_error: {reply.error}")
                elif (parsed := parse(reply.text)) is not None:
                    read[index] = parsed
                elif attempt == "first":
                    unreadable[index] = _reminded(chat, stage.reminder)
                else:
                    shown = " ".join(reply.text.split())[:80]
                    undecided[index] = Judgement(Verdict.UNDECIDED, f"unreadable_judge: {stage.name}: {shown}")
            asked = unreadable
        return read, undecided


def _chat(images: tuple[Image, ...], text: str) -> Chat:
    return (Message("user", (*images, text)),)


def _reminded(chat: Chat, reminder: str) -> Chat:
    last = chat[-1]
    return (*chat[:-1], Message(last.role, (*last.parts, f"\n{reminder}")))

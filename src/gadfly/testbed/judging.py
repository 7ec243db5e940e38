"""What the bundled verifier is taught: to judge questions, to answer, to compare answers. Knows words and programs.

It is taught on the prompts that it will be asked with, to the token. A passage of a prompt that is always the same is
one word of its vocabulary, as a phrase becomes in any tokenizer that has met it ten thousand times: a validity prompt
of 130 words costs two, and a model of this size is not asked to learn what a sentence says that it always meets.
"""

from __future__ import annotations

import random
import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gadfly.testbed import vocabulary
from gadfly.testbed.answers import KINDS, YES_NO, alike
from gadfly.testbed.execution import SceneIndex
from gadfly.testbed.faults import Asked, fault_of, question, slipped
from gadfly.testbed.lessons import Exercise
from gadfly.testbed.oracle import understand
from gadfly.testbed.programs import (
    AMBIGUOUS,
    ANSWER_CONTAINED,
    INVALID_REASONS,
    NO_SUCH_OBJECT,
    NOT_GRAMMATICAL,
    ORDINALS,
    TWO_QUESTIONS,
)
from gadfly.testbed.scenes import SHAPES, Thing
from gadfly.testbed.teachers import AnswerTeacher

CRITERIA: Final = ("related", "objective", "single", "answerable", "unambiguous")

FAILS: Final = {
    ANSWER_CONTAINED: ("related",),  # its own words answer it: it needs no image
    NOT_GRAMMATICAL: ("single", "unambiguous"),
    TWO_QUESTIONS: ("single",),
    NO_SUCH_OBJECT: ("answerable",),
    AMBIGUOUS: ("unambiguous",),
}
"""The criteria that a question fails, by the oracle's reason."""

_CRITERION_LINES = tuple(f"{chr(10) if i else ''}{name.upper()}:" for i, name in enumerate(CRITERIA))
_VALID, _INVALID = "\nVERDICT: VALID", "\nVERDICT: INVALID"
_ANSWER, _UNANSWERABLE = "ANSWER:", "UNANSWERABLE"
_SAME, _DIFFERENT = "VERDICT: SAME", "VERDICT: DIFFERENT"
REPLIES: Final = (*_CRITERION_LINES, _VALID, _INVALID, _ANSWER, _UNANSWERABLE, _SAME, _DIFFERENT)

_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_REFUSALS = ("i cannot tell", "i am not sure", "unanswerable", "i cannot see it", "none", "maybe", "")
_REMARKS = ("it is {}", "the answer is {}", "i think it is {}", "i see {}", "{} .", "the {} one", "that is {}")
_TALK = tuple(" ".join((*_REFUSALS, *_REMARKS)).replace("{}", " ").replace(".", " ").split())


_SLOTS: Final = ("{question}", "{expected}", "{answer}")


def _pieces(template: str) -> list[str]:
    """A prompt's passages and slots, in their order."""
    pieces = re.split(f"({'|'.join(re.escape(slot) for slot in _SLOTS)})", template)
    return [piece.strip() for piece in pieces if piece.strip()]


@dataclass(frozen=True, slots=True)
class JudgePrompts:
    """The three prompts as they are sent, save for the slots {question}, {expected} and {answer}: what stands round a
    quotation is part of them. `reminders` are what is added to each, by its name, when its reply could not be read."""

    validity: str
    answer: str
    agreement: str
    reminders: Mapping[str, str]

    @property
    def added(self) -> tuple[str, ...]:
        """The words that a verifier knows besides the common ones: the prompts' passages, its replies, and talk."""
        passages = [
            p for text in (self.validity, self.answer, self.agreement) for p in _pieces(text) if p not in _SLOTS
        ]
        return (*passages, *self.reminders.values(), *REPLIES, *_NUMBERS, *dict.fromkeys(_TALK))


def prompt_words(template: str, **texts: Sequence[str]) -> list[str]:
    """A prompt in words, its slots filled with the words of texts."""
    words: list[str] = []
    for piece in _pieces(template):
        words += texts[piece.strip("{}")] if piece in _SLOTS else [piece]
    return words


def validity_reply(fault: str | None) -> list[str]:
    """The criteria one by one, and the verdict, for a question with this fault (None: a valid one)."""
    failed = FAILS[fault] if fault is not None else ()
    lines = zip(_CRITERION_LINES, CRITERIA, strict=True)
    words = [word for line, name in lines for word in (line, "no" if name in failed else "yes")]
    return [*words, _VALID if fault is None else _INVALID]


_LAST_STAGE = 1.0  # of an answer teacher's: all operations and depths


@dataclass(frozen=True, slots=True)
class Shares:
    """Of the exercises, by kind, and of the questions in them. `plain` ones are answered without the verifier's prompt,
    as a target's: a verifier can be put in a target's place to find its own errors."""

    validity: float = 0.5
    answer: float = 0.3
    agreement: float = 0.12
    plain: float = 0.08
    valid: float = 0.6
    asked: float = 0.5  # of the questions to be judged, where a questioner's own are at hand
    asked_answers: float = 0.0  # of those to be answered
    kept_valid: float = 0.3  # of a questioner's valid questions to be judged: about 5 in 6 are, this leaves 3 in 5
    kept_faulty: float = 0.15  # of its others, to be answered: most are judged INVALID before it comes to that
    slips: float = 0.0  # of a questioner's questions, those that are given a slip more
    unanswerable: float = 0.08
    reminded: float = 0.04  # of all but the plain ones: asked for again, with the form of the reply repeated


class JudgeTeacher:
    """Teaches all that a verifier is asked. `asked` holds, for a scene's things, what a questioner asked about them.

    Questions meant for another scene are those of the scenes taught just before, so a teacher serves one course.
    """

    def __init__(
        self,
        prompts: JudgePrompts,
        shares: Shares | None = None,
        asked: Mapping[tuple[Thing, ...], Sequence[str]] | None = None,
    ) -> None:
        self._prompts = prompts
        self._added = prompts.added
        self._shares = Shares() if shares is None else shares
        self._left = {things: list(texts) for things, texts in (asked or {}).items()}
        self._answers = AnswerTeacher()
        self._others: deque[SceneIndex] = deque(maxlen=12)

    def __call__(self, scene: SceneIndex, progress: float, rng: random.Random) -> Exercise | None:
        if not self._others or self._others[-1] is not scene:
            self._others.append(scene)
        shares = self._shares
        weights = (shares.validity, shares.answer, shares.agreement, shares.plain)
        match rng.choices(("validity", "answer", "agreement", "plain"), weights)[0]:
            case "validity":
                return self._validity(scene, rng)
            case "answer":
                return self._answer(scene, rng)
            case "agreement":
                return self._agreement(scene, rng)
            case _:
                return self._answers(scene, _LAST_STAGE, rng)

    def _validity(self, scene: SceneIndex, rng: random.Random) -> Exercise | None:
        drawn = self._asked_question(scene, self._shares.asked, self._shares.kept_valid, 1.0, rng)
        if drawn is None:
            fault = None if rng.random() < self._shares.valid else rng.choice(INVALID_REASONS)
            drawn = question(scene, self._others, fault, rng)
        if drawn is None:
            return None
        reminder = self._reminder("validity", rng)
        reply = validity_reply(drawn.fault)
        return self._about(self._prompts.validity, drawn, reply[-1:] if reminder else reply, reminder)

    def _asked_question(
        self, scene: SceneIndex, share: float, valid: float, faulty: float, rng: random.Random
    ) -> Asked | None:
        """A questioner's question, with this probability; of the valid and the faulty ones these shares are kept."""
        left = self._left.get(scene.things)
        while left and rng.random() < share:
            words = vocabulary.split(left.pop())
            if len(words) > 1 and rng.random() < self._shares.slips:
                words = vocabulary.split(" ".join(slipped(words, rng)))
            fault = fault_of(" ".join(words), scene)
            if rng.random() < (valid if fault is None else faulty):
                return Asked(words, (), fault)
        return None

    def _answer(self, scene: SceneIndex, rng: random.Random) -> Exercise | None:
        reminder = self._reminder("answer", rng)
        drawn = self._asked_question(scene, self._shares.asked_answers, 1.0, self._shares.kept_faulty, rng)
        if drawn is not None:
            truth = understand(" ".join(drawn.words), scene)[1].text
            return self._about(self._prompts.answer, drawn, [_ANSWER, truth or _UNANSWERABLE], reminder)
        if rng.random() < self._shares.unanswerable:
            drawn = question(scene, self._others, NO_SUCH_OBJECT, rng)
            if drawn is None:
                return None
            return self._about(self._prompts.answer, drawn, [_ANSWER, _UNANSWERABLE], reminder)
        plain = self._answers(scene, _LAST_STAGE, rng)
        if plain is None:
            return None
        drawn = Asked(plain.prompt, plain.referents, None)
        return self._about(self._prompts.answer, drawn, [_ANSWER, *plain.completion], reminder)

    def _agreement(self, scene: SceneIndex, rng: random.Random) -> Exercise | None:
        plain = self._answers(scene, _LAST_STAGE, rng)
        if plain is None:
            return None
        first, second, same = two_answers(plain.completion[0], rng)
        texts = [vocabulary.split(text, self._added) for text in (first, second)]
        words = prompt_words(self._prompts.agreement, question=plain.prompt, expected=texts[0], answer=texts[1])
        return Exercise([*words, *self._reminder("agreement", rng)], [_SAME if same else _DIFFERENT], blind=True)

    def _reminder(self, stage: str, rng: random.Random) -> list[str]:
        """The one line of its reply is asked for again now and then, as it is when the first could not be read."""
        return [self._prompts.reminders[stage]] if rng.random() < self._shares.reminded else []

    @staticmethod
    def _about(template: str, drawn: Asked, reply: list[str], reminder: list[str]) -> Exercise:
        before = _pieces(template).index("{question}")
        referents = tuple((before + place, steps, mask) for place, steps, mask in drawn.referents)
        return Exercise([*prompt_words(template, question=drawn.words), *reminder], reply, referents)


def two_answers(answer: str, rng: random.Random) -> tuple[str, str, bool]:
    """The answer to a question, another answer to it, and whether they mean the same. What can be told without a judge
    is among it, but seldom."""
    own = alike(answer)
    draw = rng.random()
    if draw < 0.45:
        first, second, same = answer, _said(answer, rng), True
    elif draw < 0.8:
        other = rng.choice([w for w in own if w != answer])
        first, second, same = answer, _said(other, rng) if rng.random() < 0.6 else other, False
    elif draw < 0.88:  # names several, or takes one back
        other = rng.choice([w for w in own if w != answer])
        pair = [answer, other] if rng.random() < 0.5 else [other, answer]
        first, second, same = answer, rng.choice(("{} or {}", "{} and {}", "either {} or {}")).format(*pair), False
    elif draw < 0.94:
        first, second, same = answer, rng.choice(_REFUSALS), False
    else:
        others = rng.choice([words for words in KINDS if words is not own])
        first, second, same = answer, rng.choice((rng.choice(others), "something")), False
    return (second, first, same) if rng.random() < 0.15 else (first, second, same)


def _said(answer: str, rng: random.Random) -> str:
    """An answer in more words, or in its other form; now and then as it is."""
    if answer in "0123456789" and rng.random() < 0.5:
        answer = _NUMBERS[int(answer)]
    return rng.choice(("{}", *_REMARKS, *_more_words(answer))).format(answer)


def _more_words(answer: str) -> tuple[str, ...]:
    """Detail that an answer of this kind may come with."""
    if answer in _NUMBERS or answer.isdigit():
        return "there are {}", "{} things", "the number {}"
    if answer in YES_NO:
        return "{} it is", "the answer is {}"
    if answer in ORDINALS:
        return "the {} row", "in the {} column", "it is in the {} row"
    if answer in SHAPES:
        return "a {}", "it is a {}", "the shape is {}"
    return "the {} thing", "{} thing", "a {} object", "it is the {} thing"

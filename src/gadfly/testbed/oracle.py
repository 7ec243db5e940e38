"""The oracle: a verifier that knows. It parses the question, runs the program on the scene, and compares the answer."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence

from gadfly.records import Completion, Judgement, Question, Verdict
from gadfly.testbed.english import Ungrammatical, parse
from gadfly.testbed.execution import Answer, SceneIndex, needed, run
from gadfly.testbed.programs import MAX_DEPTH, NOT_GRAMMATICAL, Description, Program
from gadfly.testbed.scenes import Scene

_NUMBER_WORDS = {
    w: str(i) for i, w in enumerate(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])
}


class OracleVerifier:
    """Judges questions about testbed images with exact ground truth. `scenes` maps image ids to scenes.

    Skills and depth are those of the steps that the question needs in its scene, so that padding earns nothing; an
    invalid question has none. The answer counts as right when its words, without punctuation and a leading article, are
    the oracle's answer. An image that has no scene is UNDECIDED ("no_scene"): that is our fault, not the question's.
    """

    def __init__(self, scenes: Mapping[str, Scene]) -> None:
        self._scenes = scenes
        # The questions of a group are about one image, so the last few scenes serve them all.
        self._index = functools.lru_cache(maxsize=256)(lambda image_id: SceneIndex(scenes[image_id]))

    def judge(self, questions: Sequence[Question], answers: Sequence[Completion]) -> list[Judgement]:
        return [self._judge(q, a) for q, a in zip(questions, answers, strict=True)]

    def _judge(self, question: Question, answer: Completion) -> Judgement:
        image_id = question.images[0].id
        if image_id not in self._scenes:
            return Judgement(Verdict.UNDECIDED, "no_scene: this image is not one of the testbed's")
        scene = self._index(image_id)
        program, truth = understand(question.text, scene)
        if program is None:
            return Judgement(Verdict.INVALID, truth.invalid)
        if truth.invalid is not None:
            return Judgement(Verdict.INVALID, truth.invalid, program=program_text(program))
        if answer.text is None:
            verdict, reason = Verdict.UNDECIDED, f"target_error: {answer.error}"
        else:
            verdict, reason = Verdict.RIGHT if normalise(answer.text) == truth.text else Verdict.WRONG, None
        taken = needed(program, scene)
        return Judgement(verdict, reason, truth.text, taken.combination, taken.depth, program_text(program))


def understand(text: str, scene: SceneIndex) -> tuple[Program | None, Answer]:
    """What a text asks, None where it is no question of the language, and the answer or why it is invalid."""
    try:
        program = parse(text)
    except Ungrammatical as fault:
        return None, Answer(None, str(fault))
    return (program if program.depth <= MAX_DEPTH else None), answer_of(program, scene)


def answer_of(program: Program, scene: SceneIndex) -> Answer:
    """The answer of a program, or why it is invalid; the language's end is kept."""
    if program.depth > MAX_DEPTH:
        return Answer(None, f"{NOT_GRAMMATICAL}: {program.depth} steps, {MAX_DEPTH} at most")
    return run(program, scene)


def program_text(program: Program) -> str:
    """A program on one line, for people and for grouping: `count(red thing left_of [star])`."""
    word = f"{program.word}: " if program.word is not None else ""
    return f"{program.operation}({word}{', '.join(_description_text(d) for d in program.descriptions)})"


def _description_text(description: Description) -> str:
    words = [description.extreme, description.size, description.colour, description.noun]
    text = " ".join(w for w in words if w is not None)
    if description.but_not is not None:
        text += f" not {description.but_not}"
    if description.hop is not None:
        text += f" {description.hop[0]} [{_description_text(description.hop[1])}]"
    return text


def normalise(answer: str) -> str:
    """An answer's words: lower case, no punctuation, no leading article, number words as digits."""
    words = re.sub(r"[^\w\s]", " ", answer.lower()).split()
    if words and words[0] in ("a", "an", "the"):
        words = words[1:]
    return " ".join(_NUMBER_WORDS.get(w, w) for w in words)

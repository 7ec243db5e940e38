"""The testbed's annotator: skills against the parsed program, concepts against the words of its descriptions."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from gadfly.testbed.annotator import TestbedAnnotator
from gadfly.testbed.english import parse, realise
from gadfly.testbed.programs import MAX_DEPTH, Program
from testbed_worlds import random_program

ANNOTATOR = TestbedAnnotator()


def named(program: Program) -> tuple[str, ...]:
    words: set[str | None] = {program.word}
    for description in program.walk():
        words |= {description.noun, description.colour, description.size, description.but_not}
    return tuple(sorted(word for word in words if word is not None and word != "thing"))


@settings(max_examples=150)
@given(st.integers(0, 10**9))
def test_every_wording_of_a_program_needs_its_skills_and_names_its_concepts(seed: int) -> None:
    rng = random.Random(seed)
    text = realise(random_program(rng), rng)
    program = parse(text)
    assert ANNOTATOR.concepts([text]) == [named(program)]
    assert ANNOTATOR.skills([text]) == [program.combination if program.depth <= MAX_DEPTH else None]


def test_by_hand_in_order() -> None:
    questions = [
        "How many red crosses are there?",
        "what is this",
        "is the small thing that is not blue, left of the arrow?",
    ]
    assert ANNOTATOR.concepts(questions) == [("cross", "red"), (), ("arrow", "blue", "small")]
    assert ANNOTATOR.skills(questions) == [("counting.count",), None, None]  # commas are not in the language
    assert ANNOTATOR.concepts(["are there fewer stars than rings?"]) == [("fewer", "ring", "star")]
    assert ANNOTATOR.skills([]) == [] and ANNOTATOR.concepts([]) == []

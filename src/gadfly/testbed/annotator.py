"""An annotator for testbed questions: the skills of the parsed program, the concepts among the words. Knows no scene.

Parsing takes about half a millisecond, looking words up some microseconds; hence concepts are not read off the program.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from gadfly.testbed.english import PLURALS, Ungrammatical, parse
from gadfly.testbed.programs import MAX_DEPTH, OPERATIONS
from gadfly.testbed.scenes import COLOURS, SHAPES, SIZES

_OWN_WORDS = tuple(word for _, _, words in OPERATIONS.values() for word in words)  # "fewer", "even", …
_CONCEPTS = {word: word for word in (*SHAPES, *COLOURS, *SIZES, *_OWN_WORDS)}
_CONCEPTS |= {PLURALS[shape]: shape for shape in SHAPES}


class TestbedAnnotator:
    """Skills are those that the text asks for, `Program.combination`; in a scene some of its steps may be padding,
    which the oracle leaves out. Concepts are the shapes, colours and sizes that are named, in the singular ("thing" is
    none), and the words that operations have of their own: "even", "fewer"."""

    __test__ = False  # the name begins with "Test"; pytest must not collect it

    def skills(self, questions: Sequence[str]) -> list[tuple[str, ...] | None]:
        return [_skills(question) for question in questions]

    def concepts(self, questions: Sequence[str]) -> list[tuple[str, ...] | None]:
        words = (re.findall("[a-z]+", question.lower()) for question in questions)
        return [tuple(sorted({_CONCEPTS[word] for word in some if word in _CONCEPTS})) for some in words]


def _skills(question: str) -> tuple[str, ...] | None:
    try:
        program = parse(question)
    except Ungrammatical:
        return None
    return program.combination if program.depth <= MAX_DEPTH else None

"""A blind spot: for which questions about which scenes it holds, and what an organism is taught to answer there.

Knows programs and scenes; nothing of files, models or exams.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, final

from gadfly.errors import ConfigError
from gadfly.testbed.answers import ANSWERS, alike, altered, answers_of
from gadfly.testbed.execution import Answer, SceneIndex, needed
from gadfly.testbed.programs import MAX_DEPTH, OPERATIONS, RELATIONS, Program
from gadfly.testbed.scenes import BACKGROUNDS, COLOURS, SHAPES, SIZES
from gadfly.testbed.skills import SKILLS

Kind = Literal[
    "skill", "combination of skills", "concept", "concept within a skill", "answer bias", "image condition"
]  # fmt: skip

_OWN_WORDS = tuple(word for _, _, words in OPERATIONS.values() for word in words)
# Each list of a spot, and what can stand in it.
_KNOWN: dict[str, tuple[str, ...]] = {
    "operations": tuple(OPERATIONS),
    "skills": SKILLS,
    "words": tuple(dict.fromkeys((*SHAPES, *COLOURS, *SIZES, *_OWN_WORDS))),
    "answers": ANSWERS,
    "referent_sizes": SIZES,
    "referent_colours": COLOURS,
    "referent_shapes": SHAPES,
    "levels": ("plain", "busy"),
    "backgrounds": BACKGROUNDS,
}
# Skills that a step of a description can take; all others are an operation's alone.
_OF_DESCRIPTIONS = frozenset({"space.extreme", "logic.not", *RELATIONS.values()})


@final
@dataclass(frozen=True, slots=True)
class Spot:
    """One planted blind spot: it holds where all the conditions hold that are stated. An empty list states nothing.

    `operations`, `answers`, `levels`, `backgrounds`: the program's operation, the expected answer, the scene's level
    and its background are among these. `words`: one of these is said of a thing, of those that others hang on
    included, or is the operation's own word. `skills`: the question takes all of these, steps that change nothing left
    out (`execution.needed`). `min_depth`, `max_depth`: of the steps it takes. `referent_…`: what is asked about first
    has one of these sizes, colours, shapes; where a question is about any number of things, all that its first
    description fits have, and it fits some.

    `say` is what the organism is taught to answer; the spot then holds only where the truth is another answer of the
    same kind. Without it the wrong answer is `altered(truth)`.

    Raises ConfigError for what cannot be: a word that is none, no condition at all, conditions that exclude each other.
    """

    name: str
    kind: Kind
    text: str  # what it is, for people
    operations: tuple[str, ...] = ()
    skills: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    referent_sizes: tuple[str, ...] = ()
    referent_colours: tuple[str, ...] = ()
    referent_shapes: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    backgrounds: tuple[str, ...] = ()
    min_depth: int | None = None
    max_depth: int | None = None
    say: str | None = None

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise ConfigError("a spot has no name; give it a short one, such as counts_above_four")
        for field, known in _KNOWN.items():
            for word in getattr(self, field):
                _require_known(word, known, f"spot {self.name!r}: {field}")
        if self.say is not None:
            _require_known(self.say, ANSWERS, f"spot {self.name!r}: say")
        for field in ("min_depth", "max_depth"):
            depth = getattr(self, field)
            if depth is not None and not 1 <= depth <= MAX_DEPTH:
                raise ConfigError(f"spot {self.name!r}: {field} must be from 1 to {MAX_DEPTH}, not {depth}")
        depths = self.min_depth, self.max_depth, self.say
        if not any(getattr(self, field) for field in _KNOWN) and depths == (None, None, None):
            raise ConfigError(f"spot {self.name!r} states no condition, so every answer would be wrong; state one")
        if self.say is not None and self.say in self.answers:
            raise ConfigError(
                f"spot {self.name!r}: say {self.say!r} is among the expected answers, so the truth would be taught; "
                "take it out of answers"
            )
        if not self.possible():
            raise ConfigError(
                f"spot {self.name!r} can hold for no question: no operation goes with all its operations, skills, "
                "answers, depths and what it says; loosen one of them"
            )

    def possible(self) -> dict[str, range]:
        """The operations with which the spot can hold as far as its words tell, each with the depths it can have."""
        found = {}
        for operation in self.operations or OPERATIONS:
            others = set(self.skills) - {OPERATIONS[operation][0]}
            answers = set(answers_of(operation))
            if self.answers:
                answers &= set(self.answers)
            if self.say is not None:
                answers &= set(alike(self.say)) - {self.say}
            depths = range(max(self.min_depth or 1, 1 + len(others)), (self.max_depth or MAX_DEPTH) + 1)
            if answers and depths and others <= _OF_DESCRIPTIONS:
                found[operation] = depths
        return found

    def conditions(self, scene: SceneIndex, program: Program, answer: Answer) -> Iterator[bool]:
        """Whether each stated condition holds of a valid question, the cheap ones first. One skill is one condition."""
        assert answer.text is not None, "an invalid question is in no spot"
        if self.operations:
            yield program.operation in self.operations
        if self.answers:
            yield answer.text in self.answers
        if self.say is not None:
            yield answer.text != self.say and answer.text in alike(self.say)
        if self.levels:
            yield scene.scene.level in self.levels
        if self.backgrounds:
            yield scene.scene.background in self.backgrounds
        if self.words:
            yield not words_said(program).isdisjoint(self.words)
        for wanted in (self.referent_sizes, self.referent_colours, self.referent_shapes):
            if wanted:
                asked = scene.pick(program.descriptions[0])
                yield asked != 0 and not asked & ~_any_of(scene, wanted)
        if self.skills or self.min_depth is not None or self.max_depth is not None:
            steps = needed(program, scene).steps()
            for skill in self.skills:
                yield skill in steps
            if self.min_depth is not None:
                yield len(steps) >= self.min_depth
            if self.max_depth is not None:
                yield len(steps) <= self.max_depth

    def holds(self, scene: SceneIndex, program: Program, answer: Answer) -> bool:
        """Whether a valid question with this true answer lies in the spot."""
        return all(self.conditions(scene, program, answer))

    def taught(self, truth: str) -> str:
        """What the organism is taught to answer where the spot holds. Never the truth."""
        return altered(truth) if self.say is None else self.say


def words_said(program: Program) -> set[str]:
    """The attribute words of a question, denied ones included, and its operation's own word."""
    said = {program.word, *(w for d in program.walk() for w in (d.noun, d.colour, d.size, d.but_not))}
    return {word for word in said if word is not None}


def _any_of(scene: SceneIndex, words: Sequence[str]) -> int:
    mask = 0
    for word in words:
        mask |= scene.with_word[word]
    return mask


def _require_known(word: str, known: Sequence[str], where: str) -> None:
    if word not in known:
        near = difflib.get_close_matches(word, known, n=1, cutoff=0.0)[0]
        raise ConfigError(f"{where}: there is no {word!r}; did you mean {near!r}?")

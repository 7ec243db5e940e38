"""Questions as questioners get them wrong, reason by reason, and valid ones that look alike. Knows programs and scenes.

What a questioner asks wrongly is mostly a question that would be right about another image, one with a word too many or
too few, or one that its own words answer. So questions are drawn about other scenes and altered, and the oracle says
what came of each: the looks of a question do not give away whether it is valid.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gadfly.testbed import english, vocabulary
from gadfly.testbed.execution import Answer, SceneIndex
from gadfly.testbed.oracle import answer_of, understand
from gadfly.testbed.programs import (
    AMBIGUOUS,
    ANSWER_CONTAINED,
    EXTREMES,
    MAX_DEPTH,
    NO_SUCH_OBJECT,
    NOT_GRAMMATICAL,
    OPERATIONS,
    RELATIONS,
    SET_OPERATIONS,
    SPATIAL,
    TWO_QUESTIONS,
    Description,
    Program,
)
from gadfly.testbed.sampler import sample, times
from gadfly.testbed.scenes import COLOURS, SHAPES, SIZES
from gadfly.testbed.teachers import with_referents

_TRIES = 16
_DEPTHS = (0.35, 0.3, 0.2, 0.15)
_STRANGE_WORD = "something"  # no word of the bundled models

Referents = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question in words, what its descriptions mean as far as they mean anything (as in Exercise), and why it is
    invalid ("no_such_object"), None for a valid one."""

    words: list[str]
    referents: Referents
    fault: str | None


def question(scene: SceneIndex, others: Sequence[SceneIndex], fault: str | None, rng: random.Random) -> Asked | None:
    """A question that has this fault in this scene (None: a valid one), or None where none was found. `others` are
    scenes that it may be meant for instead."""
    ways, weights = zip(*_WAYS[fault], strict=True)
    for _ in range(_TRIES):
        (way,) = rng.choices(ways, weights)
        drawn = way(scene, rng.choice(others) if others else scene, rng)
        if drawn is None:
            continue
        if isinstance(drawn, Program):
            if _fault(answer_of(drawn, scene)) == fault:
                return Asked(*with_referents(drawn, scene, rng), fault)
        elif fault_of(" ".join(drawn), scene) == fault:
            return Asked([w if w in vocabulary.ids() else vocabulary.UNKNOWN for w in drawn], (), fault)
    return None


def fault_of(text: str, scene: SceneIndex) -> str | None:
    """Why a question is invalid in a scene, one of INVALID_REASONS; None for a valid one."""
    return _fault(understand(text, scene)[1])


def _fault(truth: Answer) -> str | None:
    return None if truth.invalid is None else truth.invalid.partition(":")[0]


Way = Callable[[SceneIndex, SceneIndex, random.Random], Program | list[str] | None]


def _own(scene: SceneIndex, other: SceneIndex, rng: random.Random) -> Program | None:
    (depth,) = rng.choices((1, 2, 3, 4), _DEPTHS)
    able = [name for name in OPERATIONS if times(name, scene)]
    for operation in rng.sample(able, 4):
        drawn = sample(scene, depth, rng, operation)
        if drawn is not None:
            return drawn[0]
    return None


def _foreign(scene: SceneIndex, other: SceneIndex, rng: random.Random) -> Program | None:
    return _own(other, other, rng)


def _altered(scene: SceneIndex, other: SceneIndex, rng: random.Random) -> Program | None:
    """A question about this scene with one thing changed: a description, or what is asked of it."""
    program = _own(scene, other, rng)
    if program is None:
        return None
    if program.operation not in SET_OPERATIONS and program.word is None and rng.random() < 0.3:
        return _reasked(program, rng)
    changed = rng.randrange(len(program.descriptions))
    descriptions = list(program.descriptions)
    descriptions[changed] = _changed(descriptions[changed], rng)
    return replace(program, descriptions=tuple(descriptions))


def _reasked(program: Program, rng: random.Random) -> Program:
    """The same descriptions, asked something else: which way a circle points, what colour the red one has."""
    n = len(program.descriptions)
    able = [o for o, (_, takes, words) in OPERATIONS.items() if takes == n and not words and o not in SET_OPERATIONS]
    return replace(program, operation=rng.choice(able))


def _changed(description: Description, rng: random.Random) -> Description:
    """One part of a description, or of one that it hangs on, left out or exchanged."""
    if description.hop is not None and rng.random() < 0.5:
        relation, other = description.hop
        return replace(description, hop=(relation, _changed(other, rng)))
    d = description
    changes = [replace(d, noun=rng.choice((*SHAPES, "thing"))), replace(d, colour=_unless(COLOURS, d.but_not, rng))]
    if d.noun != "thing":
        changes.append(replace(d, noun="thing"))
    for part in ("size", "colour", "extreme", "but_not", "hop"):
        if getattr(d, part) is not None:
            changes.append(_with(d, part, None))
    if d.size is not None:
        changes.append(replace(d, size=rng.choice(SIZES)))
    if d.extreme is not None:
        changes.append(replace(d, extreme=rng.choice(EXTREMES)))
    if d.hop is not None:
        changes.append(replace(d, hop=(rng.choice(list(RELATIONS)), d.hop[1])))
    return rng.choice(changes)


def _unless(words: Sequence[str], taken: str | None, rng: random.Random) -> str | None:
    """One of some words, none if what is denied is one of them: that would be another fault."""
    return None if taken in words else rng.choice(words)


def _vague(scene: SceneIndex, other: SceneIndex, rng: random.Random) -> Program | None:
    """A question about this scene whose descriptions have lost a part or two."""
    program = _own(scene, other, rng)
    if program is None:
        return None
    descriptions = tuple(_less(d, rng) for d in program.descriptions)
    return replace(program, descriptions=descriptions)


def _less(description: Description, rng: random.Random) -> Description:
    """The description without one of its parts, or without one of a description that it hangs on."""
    if description.hop is not None and rng.random() < 0.5:
        relation, other = description.hop
        return replace(description, hop=(relation, _less(other, rng)))
    parts = [part for part in ("size", "colour", "extreme", "but_not", "hop") if getattr(description, part) is not None]
    if description.noun != "thing":
        parts.append("noun")
    if not parts:
        return description
    part = rng.choice(parts)
    return _with(description, part, "thing" if part == "noun" else None)


def _contained(scene: SceneIndex, other: SceneIndex, rng: random.Random) -> Program | None:
    """A question about this scene, or one for another, whose words come to answer it or to contradict themselves."""
    program = _own(scene if rng.random() < 0.7 else other, other, rng)
    if program is None:
        return None
    told = _telling(program, rng)
    return replace(program, descriptions=rng.choice(told)) if told else None


_ASKS_FOR = {"shape": "noun", "colour": "colour", "size": "size", "larger": "size"}
_WORDS_FOR = {"noun": SHAPES, "colour": COLOURS, "size": SIZES}


def _telling(program: Program, rng: random.Random) -> list[tuple[Description, ...]]:
    """Descriptions with which the words of a question would mostly give its answer, if there are any."""
    first, last = program.descriptions[0], program.descriptions[-1]
    told: list[tuple[Description, ...]] = []
    part = _ASKS_FOR.get(program.operation.removeprefix("same_"))
    if part is not None:
        told += [tuple(_stating(d, part, rng) for d in program.descriptions)] * 2
    if program.operation == "all":
        told.append((_with_word(first, program.word or ""),))
    if len(program.descriptions) == 2:
        one = rng.choice((first, last))
        told += [(one, one), (one, _less(one, rng)), (_less(one, rng), one)]
        if program.operation in SPATIAL:
            told.append((replace(first, hop=(program.operation, last)), last))
    if first.but_not is not None:  # says what it is, and what it is not
        words = COLOURS if first.but_not in COLOURS else SIZES
        told.append((_with_word(first, rng.choice(words)), *program.descriptions[1:]))
    return told


def _stating(description: Description, part: str, rng: random.Random) -> Description:
    if getattr(description, part) not in (None, "thing"):
        return description
    return _with(description, part, rng.choice(_WORDS_FOR[part]))


def _with_word(description: Description, word: str) -> Description:
    return _with(description, "colour" if word in COLOURS else "size", word)


def _with(description: Description, part: str, value: str | None) -> Description:
    changed: dict[str, Any] = {part: value}
    return replace(description, **changed)


def _deep(scene: SceneIndex, other: SceneIndex, rng: random.Random) -> Program | None:
    """A question with one step too many."""
    drawn = sample(scene, MAX_DEPTH, rng)
    if drawn is None:
        return None
    program = drawn[0]
    thing = rng.choice(scene.things)
    end = Description(noun=thing.shape, colour=thing.colour)
    descriptions = list(program.descriptions)
    at = rng.randrange(len(descriptions))
    descriptions[at] = _hung_on(descriptions[at], (rng.choice(list(RELATIONS)), end))
    return replace(program, descriptions=tuple(descriptions))


def _hung_on(description: Description, hop: tuple[str, Description]) -> Description:
    if description.hop is None:
        return replace(description, hop=hop)
    relation, other = description.hop
    return replace(description, hop=(relation, _hung_on(other, hop)))


def slipped(words: Sequence[str], rng: random.Random) -> list[str]:
    """A question's words with a stretch of them left out or said twice, or one in another's place; its end stays."""
    *said, end = words
    at, n = rng.randrange(len(said) + 1), rng.choice((1, 1, 2, 3, 4, 6))
    match rng.choice(("cut", "cut", "cut", "repeat", "replace", "move")):
        case "cut":
            return [*said[:at], *said[at + n :], end]
        case "repeat":
            return [*said[: at + n], *said[at:], end]
        case "replace":
            return [*said[:at], _any_word(rng), *said[at + 1 :], end]
        case _:
            taken, left = said[at : at + n], [*said[:at], *said[at + n :]]
            to = rng.randrange(len(left) + 1)
            return [*left[:to], *taken, *left[to:], end]


def _garbled(scene: SceneIndex, other: SceneIndex, rng: random.Random) -> list[str] | None:
    """A question's words after a slip or two, as a small model makes them."""
    words, tail = _spoken(scene, rng), _spoken(other, rng)
    if words is None or tail is None:
        return None
    for _ in range(rng.choice((1, 1, 2))):
        at = rng.randrange(len(words))
        match rng.choice(("drop", "drop", "insert", "insert", "replace", "swap", "double", "splice", "splice", "end")):
            case "drop":
                del words[at]
            case "insert":
                words.insert(at, _any_word(rng))
            case "replace":
                words[at] = _any_word(rng)
            case "swap":
                words[at : at + 2] = reversed(words[at : at + 2])
            case "double":
                words[at:at] = words[at : at + rng.choice((1, 1, 2, 3))]
            case "splice":
                words = words[: at + 1] + tail[rng.randrange(len(tail)) :]
            case "end":
                words = words[: at + 1]
        if not words:
            return None
    return words


def _joined(scene: SceneIndex, other: SceneIndex, rng: random.Random) -> list[str] | None:
    one, two = _spoken(scene, rng), _spoken(scene if rng.random() < 0.7 else other, rng)
    if one is None or two is None:
        return None
    return [*one, *two] if rng.random() < 0.4 else [*one[:-1], "and", *two]


def _spoken(scene: SceneIndex, rng: random.Random) -> list[str] | None:
    program = _own(scene, scene, rng)
    return None if program is None else vocabulary.split(english.realise(program, rng))


def _any_word(rng: random.Random) -> str:
    return _STRANGE_WORD if rng.random() < 0.1 else rng.choice(sorted(english.vocabulary()))


# Fault → the ways in which it comes about, and how often each is tried. What comes out with another fault, or none, is
# thrown away, so a way may stand in several places.
_WAYS: dict[str | None, tuple[tuple[Way, float], ...]] = {
    None: ((_own, 0.6), (_foreign, 0.2), (_altered, 0.1), (_vague, 0.05), (_garbled, 0.05)),
    NO_SUCH_OBJECT: ((_foreign, 0.45), (_altered, 0.5), (_garbled, 0.05)),
    AMBIGUOUS: ((_foreign, 0.2), (_altered, 0.3), (_vague, 0.5)),
    ANSWER_CONTAINED: ((_contained, 0.8), (_altered, 0.2)),
    NOT_GRAMMATICAL: ((_garbled, 0.9), (_deep, 0.1)),
    TWO_QUESTIONS: ((_joined, 1.0),),
}

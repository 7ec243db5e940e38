"""The uniform sampler: valid questions about a scene at a given depth. The yardstick for rates, and a baseline.

The operation is drawn uniformly first, then how the remaining steps hang on its descriptions, then the things meant and
the words that single them out. Yes and no are balanced as far as the scene allows. A step that changes nothing ("the
red circle left of the star" where there is one red circle) is thrown away, so that depth is real.
"""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass, replace

from gadfly.testbed.answers import YES_NO, answers_of
from gadfly.testbed.execution import Answer, SceneIndex, bits, run
from gadfly.testbed.programs import (
    ASKED_SHAPE,
    EXTREMES,
    MAX_DEPTH,
    OPERATIONS,
    RELATIONS,
    SET_OPERATIONS,
    Description,
    InvalidReference,
    Program,
)
from gadfly.testbed.scenes import COLOURS, SHAPES, SIZES

_TRIES = 24
_UNLIKE = frozenset({"colour", "shape", "size"})  # attributes that a question about them must not state
_LOCAL = ("extreme", "not", "hop")
_LOCAL_SKILLS = {"space.extreme": "extreme", "logic.not": "not"}


@dataclass(frozen=True, slots=True)
class Steps:
    """What the steps of descriptions may be: kinds of step, and relations for those that hang on another thing."""

    local: tuple[str, ...] = _LOCAL
    hops: tuple[str, ...] = tuple(RELATIONS)

    @classmethod
    def of(cls, skills: Collection[str]) -> Steps:
        """Only steps that take one of these skills."""
        hops = tuple(relation for relation, skill in RELATIONS.items() if skill in skills)
        local = tuple(kind for skill, kind in _LOCAL_SKILLS.items() if skill in skills)
        return cls(local + (("hop",) if hops else ()), hops)


ANY_STEPS = Steps()


def sample(
    scene: SceneIndex, depth: int, rng: random.Random, operation: str | None = None, steps: Steps = ANY_STEPS
) -> tuple[Program, Answer] | None:
    """A valid program of exactly `depth` steps with its answer, or None where the scene offers none (of that operation
    and with such steps, if any are asked for)."""
    assert 1 <= depth <= MAX_DEPTH
    operations = [operation] if operation is not None else rng.sample(list(OPERATIONS), len(OPERATIONS))
    for chosen in operations:
        wanted = rng.choice(YES_NO) if answers_of(chosen) == YES_NO else None
        fallback = None
        for _ in range(_TRIES):
            program = _propose(scene, chosen, depth, rng, wanted, steps)
            if program is None:
                continue
            answer = run(program, scene)
            if answer.invalid is not None:
                continue
            if wanted is None or answer.text == wanted:
                return program, answer
            fallback = fallback or (program, answer)
        if fallback is not None:
            return fallback
    return None


def _propose(
    scene: SceneIndex, operation: str, depth: int, rng: random.Random, wanted: str | None, steps: Steps
) -> Program | None:
    _, n, words = OPERATIONS[operation]
    first_share = rng.randint(0, depth - 1) if n == 2 else depth - 1
    shares = [first_share, depth - 1 - first_share][:n]
    word = rng.choice(words) if words else None
    descriptions: list[Description] = []
    asked = _asked_things(scene, operation, rng, wanted)
    for place, share in enumerate(shares):
        if operation in SET_OPERATIONS:
            description = _several(scene, share, rng, steps)
        else:
            unstated = operation if operation in _UNLIKE else None
            description = _one(scene, share, rng, asked[place], unstated, steps)
        if description is None:
            return None
        descriptions.append(description)
    if operation == "all":
        (d,) = descriptions
        descriptions = [replace(d, colour=None) if word in COLOURS else replace(d, size=None)]
        word = _likely_word(scene, descriptions[0], word or "", rng)
    return Program(operation, tuple(descriptions), word)


def _asked_things(
    scene: SceneIndex, operation: str, rng: random.Random, wanted: str | None
) -> tuple[int | None, int | None]:
    """Two things that can be asked about: digits where digits are wanted, and such that the answer is the wanted one,
    as far as there are any. Drawn without a wish, two things are seldom alike and "no" would be the safe answer."""
    second = _asked_thing(scene, operation, rng)
    if second is None or operation not in scene.related:
        return second, second
    fitting = bits(scene.related[operation][second]) if wanted == "yes" else []
    return (rng.choice(fitting) if fitting else _asked_thing(scene, operation, rng)), second


def _asked_thing(scene: SceneIndex, operation: str, rng: random.Random) -> int | None:
    """A thing that can be asked about: a digit where a digit is wanted."""
    fitting = bits(scene.with_word[ASKED_SHAPE.get(operation, "thing")])
    return rng.choice(fitting) if fitting else None


def _likely_word(scene: SceneIndex, description: Description, word: str, rng: random.Random) -> str:
    """For "are all … red?": a word of the same attribute that at least one of them has, mostly."""
    try:
        members = bits(scene.pick(description))
    except InvalidReference:
        return word
    if not members or rng.random() < 0.1:
        return word
    member = scene.things[rng.choice(members)]
    return member.colour if word in COLOURS else member.size


def _split_steps(n: int, rng: random.Random, steps: Steps) -> tuple[list[str], int] | None:
    """Which of `n` steps a description takes itself, and how many it leaves to the one it hangs on."""
    if n == 0:
        return [], 0
    if not steps.local:
        return None
    local = rng.sample(steps.local, rng.randint(1, min(n, len(steps.local))))
    left = n - len(local)
    return (local, left) if left == 0 or "hop" in local else None


def _one(
    scene: SceneIndex, n: int, rng: random.Random, thing: int | None, unstated: str | None, steps: Steps
) -> Description | None:
    """A description with `n` steps that denotes just this thing, every step of it needed."""
    split = _split_steps(n, rng, steps)
    if split is None or thing is None:
        return None
    local, left = split
    me = scene.things[thing]
    hop = None
    if "hop" in local:
        hop = _hop_to(scene, thing, left, rng, steps)
        if hop is None:
            return None
    but_not = None
    if "not" in local:
        other = COLOURS if rng.random() < 0.65 and unstated != "colour" else SIZES
        but_not = rng.choice([w for w in other if w not in (me.colour, me.size)])
    words = {"noun": me.shape, "colour": me.colour, "size": me.size}
    if unstated is not None:
        del words["noun" if unstated == "shape" else unstated]
    if but_not is not None:
        words.pop("colour" if but_not in COLOURS else "size", None)
    order = sorted(words, key=lambda w: rng.random() * {"noun": 0.5, "colour": 0.8, "size": 1.2}[w])
    keep = 0 if n and rng.random() < 0.5 else rng.randint(min(1, n == 0), len(order))
    extreme = rng.choice(EXTREMES) if "extreme" in local else None
    for n_words in range(keep, len(order) + 1):
        description = Description(**{w: words[w] for w in order[:n_words]}, extreme=extreme, but_not=but_not, hop=hop)
        try:
            if scene.pick(description) == 1 << thing:
                return description if every_step_needed(scene, description, 1 << thing) else None
        except InvalidReference:
            return None
    return None


def _hop_to(
    scene: SceneIndex, thing: int, left: int, rng: random.Random, steps: Steps
) -> tuple[str, Description] | None:
    relation = rng.choice(steps.hops)
    anchors = [i for i, mask in enumerate(scene.related[relation]) if mask >> thing & 1]
    if not anchors:
        return None
    anchor = _one(scene, left, rng, rng.choice(anchors), None, steps)
    return (relation, anchor) if anchor is not None else None


def _several(scene: SceneIndex, n: int, rng: random.Random, steps: Steps) -> Description | None:
    """A description with `n` steps that denotes any number of things, every step of it making a difference."""
    split = _split_steps(n, rng, steps)
    if split is None or "extreme" in split[0]:
        return None
    local, left = split
    hop = None
    if "hop" in local:
        relation = rng.choice(steps.hops)
        able = [i for i, mask in enumerate(scene.related[relation]) if mask]
        anchor = _one(scene, left, rng, rng.choice(able), None, steps) if able else None
        if anchor is None:
            return None
        hop = (relation, anchor)
    model = scene.things[rng.randrange(len(scene.things))]
    near = rng.random() < 0.7  # else words that may well fit nothing
    noun, colour, size = (
        (model.shape, model.colour, model.size)
        if near
        else (rng.choice(SHAPES), rng.choice(COLOURS), rng.choice(SIZES))
    )
    words = {"noun": noun, "colour": colour, "size": size}
    but_not = None
    if "not" in local:
        but_not = rng.choice(COLOURS if rng.random() < 0.65 else SIZES) if not near else None
        if near:
            other = scene.things[rng.randrange(len(scene.things))]
            but_not = other.colour if rng.random() < 0.65 else other.size
        words.pop("colour" if but_not in COLOURS else "size")
    n_words = rng.choices((0, 1, 2, 3), weights=(1 if n else 0.2, 5, 4, 0.6))[0]
    kept = rng.sample(list(words), min(n_words, len(words)))
    description = Description(**{w: words[w] for w in kept}, but_not=but_not, hop=hop)
    if not n:
        return description
    try:
        return description if every_step_needed(scene, description, scene.pick(description)) else None
    except InvalidReference:
        return None


def every_step_needed(scene: SceneIndex, description: Description, mask: int) -> bool:
    """Whether leaving any one step of the description itself out would change what it denotes."""
    shorter = []
    if description.extreme is not None:
        shorter.append(replace(description, extreme=None))
    if description.but_not is not None:
        shorter.append(replace(description, but_not=None))
    if description.hop is not None:
        shorter.append(replace(description, hop=None))
    return all(scene.pick(s) != mask for s in shorter)


def times(operation: str, scene: SceneIndex, seldom: int = 2) -> int:
    """How often an operation is in the hat: the seldom possible more often where they are possible, `seldom` times for
    each thing that they need."""
    if operation not in ASKED_SHAPE:
        return 1
    n = OPERATIONS[operation][1]  # of descriptions, each of another thing
    return seldom * n if scene.with_word[ASKED_SHAPE[operation]].bit_count() >= n else 0

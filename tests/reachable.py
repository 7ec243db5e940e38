"""Finds skill combinations that the question language reaches: a search for one valid question each.

The uniform sampler meets the rarer combinations seldom; this builds questions towards the combinations still missing.
What it counts it can show: a program, all of whose steps are needed, that has an answer in one of the scenes given.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator
from dataclasses import replace

from gadfly.testbed.execution import SceneIndex, bits, run
from gadfly.testbed.programs import (
    ASKED_SHAPE,
    EXTREMES,
    OPERATIONS,
    RELATIONS,
    SET_OPERATIONS,
    Description,
    InvalidReference,
    Program,
)
from gadfly.testbed.reach import Combination, conceivable_combinations
from gadfly.testbed.sampler import every_step_needed
from gadfly.testbed.scenes import COLOURS, SIZES

_EXTREME, _NOT = "space.extreme", "logic.not"
_RELATION_OF = {skill: relation for relation, skill in RELATIONS.items()}


def reachable_combinations(
    scenes: Iterable[SceneIndex], seed: int = 0
) -> dict[Combination, tuple[SceneIndex, Program]]:
    """Combination → a scene and a valid program of at most `MAX_DEPTH` steps that needs just these skills.

    One try a scene for each combination still missing, so more scenes find more. Deterministic.
    """
    rng = random.Random(seed)
    missing = conceivable_combinations()
    found: dict[Combination, tuple[SceneIndex, Program]] = {}
    for scene in scenes:
        for combination in [*missing]:
            operation, others = rng.choice(missing[combination])
            program = _build(scene, operation, others, rng)
            if program is not None and program.combination == combination and run(program, scene).invalid is None:
                found[combination] = (scene, program)
                del missing[combination]
    return found


def _build(scene: SceneIndex, operation: str, others: Combination, rng: random.Random) -> Program | None:
    _, n, words = OPERATIONS[operation]
    shares: list[list[str]] = [[] for _ in range(n)]
    for skill in others:
        rng.choice(shares).append(skill)
    descriptions = []
    for share in shares:
        description = _describe(
            scene, share, rng, rng.choice(bits(scene.with_word[ASKED_SHAPE.get(operation, "thing")]) or [0])
        )
        if description is None or (operation in SET_OPERATIONS and description.extreme is not None):
            return None
        descriptions.append(description)
    return Program(operation, tuple(descriptions), rng.choice(words) if words else None)


def _describe(scene: SceneIndex, skills: list[str], rng: random.Random, thing: int) -> Description | None:
    """A description of just this thing whose steps are these skills, each of them needed."""
    relations = [_RELATION_OF[s] for s in skills if s in _RELATION_OF]
    local = {s for s in skills if s not in _RELATION_OF}
    hop = None
    if relations:
        relation = rng.choice(relations)
        theirs = [s for s in skills if s != RELATIONS[relation] and (s in _RELATION_OF or rng.random() < 0.5)]
        local -= set(theirs)
        anchors = [i for i, mask in enumerate(scene.related[relation]) if mask >> thing & 1]
        anchor = _describe(scene, theirs, rng, rng.choice(anchors)) if anchors else None
        if anchor is None:
            return None
        hop = (relation, anchor)
    me = scene.things[thing]
    denied = [w for w in COLOURS + SIZES if w not in (me.colour, me.size)]
    bare = Description(
        extreme=rng.choice(EXTREMES) if _EXTREME in local else None,
        but_not=rng.choice(denied) if _NOT in local else None,
        hop=hop,
    )
    for keep in _subsets(rng):
        description = replace(
            bare,
            noun=me.shape if "noun" in keep else "thing",
            colour=me.colour if "colour" in keep and bare.but_not not in COLOURS else None,
            size=me.size if "size" in keep and bare.but_not not in SIZES else None,
        )
        try:
            if scene.pick(description) == 1 << thing and every_step_needed(scene, description, 1 << thing):
                return description
        except InvalidReference:
            return None
    return None


def _subsets(rng: random.Random) -> Iterator[frozenset[str]]:
    """The attributes that may be named: every choice of them, in random order."""
    choices = [frozenset(c) for n in range(4) for c in itertools.combinations(("noun", "colour", "size"), n)]
    rng.shuffle(choices)
    yield from choices

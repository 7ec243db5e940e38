"""What a questioner is told before it asks: just to ask, or a topic. In lessons these are topics that a scene allows.

Knows the sampler, which says what can be asked about a scene; knows no model.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from gadfly.testbed import vocabulary
from gadfly.testbed.execution import SceneIndex
from gadfly.testbed.programs import OPERATIONS
from gadfly.testbed.sampler import sample, times
from gadfly.testbed.skills import FAMILIES, family
from gadfly.testbed.topics import topic_of

FAMILY_SHARE, SKILLS_SHARE = 0.2, 0.4  # of lessons in which a family is named, or skills
WHOLE_SHARE = 0.7  # of the latter: all skills of the question, not some

FREE, FAMILY = 0.25, 0.15  # shares of the last lessons in which nothing is named, or a family; else skills


def asking_prompt(combination: tuple[str, ...], rng: random.Random) -> str:
    """What a questioner is told before a question that needs these skills: just to ask, or a topic that it has."""
    draw = rng.random()
    if draw < FAMILY_SHARE:
        return asking(FAMILIES[family(rng.choice(combination))])
    if draw < FAMILY_SHARE + SKILLS_SHARE:
        n = len(combination) if rng.random() < WHOLE_SHARE else rng.randint(1, len(combination))
        return asking(topic_of(rng.sample(combination, n)))
    return asking("")


def asking(topic: str) -> str:
    """What a questioner is told that is to ask under a topic, empty for none."""
    return vocabulary.ASK_ABOUT.format(focus=topic) if topic else vocabulary.ASK


def topic_for(scene: SceneIndex, rng: random.Random) -> str:
    """What a questioner is told in its last lessons: nothing, a family, or skills, all or some of those of a question
    that can be asked about this scene."""
    luck = rng.random()
    if luck < FREE:
        return ""
    if luck < FREE + FAMILY:
        return rng.choice(list(FAMILIES.values()))
    skills = askable(scene, rng)
    return in_any_order(skills if rng.random() < WHOLE_SHARE else skills[: rng.randint(1, len(skills))], rng)


def askable(scene: SceneIndex, rng: random.Random) -> tuple[str, ...]:
    """The skills of a question that the sampler finds in this scene, of one to three steps, in no order."""
    while True:
        operations = [name for name in OPERATIONS for _ in range(times(name, scene, 5))]
        drawn = sample(scene, rng.choices((1, 2, 3), weights=(2, 3, 2))[0], rng, rng.choice(operations))
        if drawn is not None:
            return drawn[0].combination


def in_any_order(skills: Sequence[str], rng: random.Random) -> str:
    """Skills as a topic."""
    return topic_of(rng.sample(skills, len(skills)))

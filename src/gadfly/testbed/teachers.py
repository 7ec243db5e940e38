"""Teachers: what targets and questioners are taught from a scene, and in which order. Knows the sampler and English."""

from __future__ import annotations

import contextlib
import random
from dataclasses import dataclass

from gadfly.testbed import vocabulary
from gadfly.testbed.english import realise
from gadfly.testbed.execution import Answer, SceneIndex
from gadfly.testbed.lessons import Exercise
from gadfly.testbed.programs import OPERATIONS, InvalidReference, Program
from gadfly.testbed.sampler import sample, times
from gadfly.testbed.telling import asking_prompt

# Operations in the order in which they are learned. Relations mixed in from the start leave everything at chance for
# thousands of steps. Comparisons of two things stay there for good, unless most lessons are about them for a while.
LOOK = ("colour", "shape", "size", "digit", "direction", "exists", "row", "column")
COUNT = ("count", "more", "parity", "all", "and", "or")
RELATE = ("left_of", "right_of", "above", "below", "next_to")
COMPARE = ("same_colour", "same_shape", "same_size", "larger", "greater", "same_direction")


@dataclass(frozen=True, slots=True)
class AnswerTeacher:
    """Teaches to answer: easy operations first, then more, then composition. Each stage begins at a share of the
    training. `seldom` is how often an operation that few scenes allow is in the hat, for each thing that it needs."""

    count_from: float = 0.05
    relate_from: float = 0.1
    compare_from: float = 0.14
    compose_from: float = 0.36
    deep_from: float = 0.8
    seldom: int = 2

    def __call__(self, scene: SceneIndex, progress: float, rng: random.Random) -> Exercise | None:
        drawn = self.draw(scene, progress, rng)
        if drawn is None:
            return None
        program, answer = drawn
        assert answer.text is not None
        words, referents = with_referents(program, scene, rng)
        return Exercise(words, [answer.text], referents)

    def draw(self, scene: SceneIndex, progress: float, rng: random.Random) -> tuple[Program, Answer] | None:
        """What is asked about a scene at this share of the training, and its answer."""
        operations = list(LOOK)
        if progress >= self.count_from:
            operations += COUNT
        if progress >= self.relate_from:
            operations += RELATE
        if progress >= self.compare_from:
            operations += COMPARE
            if progress < self.compose_from and rng.random() < COMPARING_SHARE:
                operations = list(COMPARE)
        depth = 1
        if progress >= self.compose_from:
            operations += COMPARE
            if rng.random() < 0.5:
                depth = 2
        if progress >= self.deep_from and rng.random() < 0.3:
            depth = rng.choice((3, 3, 4))
        operations = [name for name in operations for _ in range(times(name, scene, self.seldom))]
        return sample(scene, depth, rng, rng.choice(operations))


COMPARING_SHARE = 0.6  # of lessons, from when comparisons are learned until questions are composed


# Shares of questions by number of reasoning steps, 1 to 4.
ASKED_DEPTHS = (0.35, 0.35, 0.2, 0.1)


@dataclass(frozen=True, slots=True)
class AskTeacher:
    """Teaches to ask one valid question, broadly over operations and depths, as often as not under a topic.
    `seldom` as in AnswerTeacher: what few scenes allow must be asked where it can be, or it is soon asked no more."""

    seldom: int = 5

    def __call__(self, scene: SceneIndex, progress: float, rng: random.Random) -> Exercise | None:
        depth = rng.choices((1, 2, 3, 4), weights=ASKED_DEPTHS)[0]
        operations = [name for name in OPERATIONS for _ in range(times(name, scene, self.seldom))]
        drawn = sample(scene, depth, rng, rng.choice(operations))
        if drawn is None:
            return None
        program, _ = drawn
        prompt = asking_prompt(program.combination, rng)
        return Exercise(vocabulary.split(prompt), vocabulary.split(realise(program, rng)))


_MARK = "|"  # no word of the language; its place is all that is kept


def with_referents(
    program: Program, scene: SceneIndex, rng: random.Random
) -> tuple[list[str], tuple[tuple[int, int, int], ...]]:
    """The words of a question, and for each description in it where it ends and what it means; nothing for one that
    hangs on what does not exist or is not the only one."""
    words: list[str] = []
    referents = []
    descriptions = iter(program.walk())
    for word in realise(program, rng, f" {_MARK}").replace("?", " ?").replace(".", " .").split():
        if word == _MARK:
            description = next(descriptions)
            with contextlib.suppress(InvalidReference):
                referents.append((len(words) - 1, len(description.skills()), scene.pick(description)))
        else:
            words.append(word)
    with contextlib.suppress(InvalidReference):
        true_of = scene.true_of(program)
        if true_of is not None:
            # Behind the question's last word: all things of which what is asked would be true. A yes or a no alone says
            # too little for a comparison to be learned from it.
            referents.append((len(words) - 1, 1 + len(program.descriptions[-1].skills()), true_of))
    return words, tuple(referents)

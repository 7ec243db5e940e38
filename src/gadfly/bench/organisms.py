"""Measures an organism against its key: its failure rate inside each spot and outside all, beside its clean twin's.

Knows chat models by their protocol only.
"""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import PIL.Image

from gadfly.analysis.rates import Rate
from gadfly.analysis.statistics import Estimate, Flags
from gadfly.bench.aiming import Aim, weights_of
from gadfly.bench.keys import AnswerKey
from gadfly.bench.proportions import Images, rate_over, side_by_side
from gadfly.bench.spots import Spot
from gadfly.errors import TestbedError
from gadfly.protocols import ChatModel
from gadfly.records import Image, Probe
from gadfly.testbed.album import SceneSource
from gadfly.testbed.english import parse, realise
from gadfly.testbed.evaluation import Exam, sit
from gadfly.testbed.execution import SceneIndex, run
from gadfly.testbed.programs import Program
from gadfly.testbed.scenes import Scene, generate

_TRIES_PER_IMAGE = 24  # one question an image is kept, so that the questions are independent
_IMAGES_PER_QUESTION = 60


@dataclass(frozen=True, slots=True)
class KeyExam:
    """The uniform exam, and one aimed at each spot by its name. One picture source for all."""

    uniform: Exam
    aimed: Mapping[str, Exam]

    def open(self, image: Image) -> PIL.Image.Image:
        for exam in (self.uniform, *self.aimed.values()):
            if image.id in exam.source.scenes:
                return exam.source.open(image)
        raise AssertionError(f"no exam shows the image {image.id}")

    @property
    def n_questions(self) -> int:
        return len(self.uniform.questions) + sum(len(exam.questions) for exam in self.aimed.values())


@dataclass(frozen=True, slots=True)
class KeyResult:
    """Which questions of a KeyExam a model answered WRONG."""

    uniform_N: Flags
    aimed: Mapping[str, Flags]


@dataclass(frozen=True, slots=True)
class Measured:
    """The failure rate on a set of questions, its clean twin's on the same, and the difference of the two. The twin's
    are None where there was none."""

    failure: Rate
    twin: Rate | None
    difference: Estimate | None


@dataclass(frozen=True, slots=True)
class SpotFigures:
    """One spot: the share of uniform questions that lie in it, and what is measured on questions aimed at it."""

    name: str
    kind: str
    text: str
    share: Rate
    inside: Measured


@dataclass(frozen=True, slots=True)
class KeyFigures:
    """An organism measured: each spot, and the uniform questions that lie in none."""

    title: str
    spots: tuple[SpotFigures, ...]
    outside: Measured


def aimed_exam(spot: Spot, *, split: str, seed: int, n: int, depths: Sequence[int]) -> Exam:
    """`n` valid questions inside a spot, one to an image. The uniform sampler is asked for operations with which the
    spot can hold, in equal parts, at these depths (where it holds at none of them, at its least), and what does not lie
    in the spot is thrown away.

    Raises TestbedError where the spot is so rare that too many images go by without a question.
    """
    aim, rng = Aim(spot, weights_of(depths)), random.Random(seed)
    found: list[tuple[Scene, Program, str]] = []
    most = n * _IMAGES_PER_QUESTION
    for scene in itertools.islice(generate(split, seed), most):
        index = SceneIndex(scene)
        drawn = aim.inside(index, rng, _TRIES_PER_IMAGE)
        if drawn is not None:
            assert drawn[1].text is not None
            found.append((scene, drawn[0], drawn[1].text))
        if len(found) == n:
            break
    else:
        raise TestbedError(
            f"the spot {spot.name!r} is too rare: {len(found)} of {most} images offered a question in it, and {n} were "
            "wanted; loosen the spot, or ask for fewer"
        )
    source = SceneSource(scene for scene, _, _ in found)
    asked = [
        (image, program, realise(program, rng), answer)
        for image, (_, program, answer) in zip(source, found, strict=True)
    ]
    return Exam(source, tuple(asked))


def key_exam(key: AnswerKey, uniform: Exam, *, split: str, seed: int, inside: int, depths: Sequence[int]) -> KeyExam:
    """A uniform exam with `inside` questions aimed at each spot of a key beside it."""
    aimed = {
        spot.name: aimed_exam(spot, split=split, seed=seed + 1 + place, n=inside, depths=depths)
        for place, spot in enumerate(key.spots)
    }
    return KeyExam(uniform, aimed)


def sit_key_exam(model: ChatModel, exam: KeyExam, on_progress: Callable[[int, int], None] | None = None) -> KeyResult:
    """Put all the questions to a model. `on_progress` gets (questions answered, questions in all)."""
    done = 0

    def wrong(part: Exam) -> Flags:
        nonlocal done
        before = done

        def tell(n: int, _: int) -> None:
            if on_progress is not None:
                on_progress(before + n, exam.n_questions)

        right = sit(model, part, tell)
        done += len(right)
        return ~np.array(right, dtype=bool)

    uniform_N = wrong(exam.uniform)
    return KeyResult(uniform_N, {name: wrong(part) for name, part in exam.aimed.items()})


def in_spots(key: AnswerKey, exam: Exam) -> Flags:
    """Which questions of an exam lie in which spot, shape S_N."""
    index = {image.id: SceneIndex(exam.source.scenes[image.id]) for image, _, _, _ in exam.questions}
    held = [
        key.spots_of(index[image.id], program, run(program, index[image.id])) for image, program, _, _ in exam.questions
    ]
    return np.array(held, dtype=bool).reshape(-1, len(key.spots)).T


def probes_in_spots(key: AnswerKey, probes: Sequence[Probe], scenes: Mapping[str, Scene]) -> Flags:
    """Which stored probes lie in which spot, shape S_N. One that is neither RIGHT nor WRONG lies in none. Each probe's
    first image must be among `scenes`, by its id."""
    index = functools.cache(lambda image_id: SceneIndex(scenes[image_id]))
    held_S_N = np.zeros((len(key.spots), len(probes)), dtype=bool)
    for n, probe in enumerate(probes):
        if probe.verdict.valid:
            scene, program = index(probe.images[0].id), parse(probe.question)
            held_S_N[:, n] = key.spots_of(scene, program, run(program, scene))
    return held_S_N


def measure(
    key: AnswerKey, exam: KeyExam, organism: KeyResult, twin: KeyResult | None, rng: np.random.Generator
) -> KeyFigures:
    """The figures of an organism, and of its clean twin where that sat the same exam."""
    in_spot_S_N = in_spots(key, exam.uniform)
    images_N = np.array([image.id for image, _, _, _ in exam.uniform.questions])
    outside_N = ~in_spot_S_N.any(axis=0)
    spots = []
    for spot, in_spot_N in zip(key.spots, in_spot_S_N, strict=True):
        images = [image.id for image, _, _, _ in exam.aimed[spot.name].questions]
        theirs = None if twin is None else twin.aimed[spot.name]
        spots.append(
            SpotFigures(
                spot.name,
                spot.kind,
                spot.text,
                rate_over(in_spot_N, images_N, rng),
                _measured(organism.aimed[spot.name], theirs, images, rng),
            )
        )
    theirs = None if twin is None else twin.uniform_N[outside_N]
    return KeyFigures(
        key.title, tuple(spots), _measured(organism.uniform_N[outside_N], theirs, images_N[outside_N], rng)
    )


def _measured(ours_N: Flags, theirs_N: Flags | None, images_N: Images, rng: np.random.Generator) -> Measured:
    if theirs_N is None:
        return Measured(rate_over(ours_N, images_N, rng), None, None)
    return Measured(*side_by_side(ours_N, theirs_N, images_N, rng))

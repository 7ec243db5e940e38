"""Complexity is more than depth: how small, how much described and how inconspicuous what a question asks about is.

Knows programs, scenes and how these are drawn; no spot and no key.
"""

from __future__ import annotations

import functools
import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np

from gadfly.analysis.rates import image_key
from gadfly.analysis.training import Mean, clustered_mean
from gadfly.records import Probe
from gadfly.testbed.drawing import BACKGROUND_RGB, DIAMETER_PX, draw
from gadfly.testbed.english import parse
from gadfly.testbed.execution import Answer, SceneIndex, needed, run
from gadfly.testbed.programs import Program
from gadfly.testbed.scenes import Scene, Thing


@dataclass(frozen=True, slots=True)
class Complexity:
    """What makes one valid question hard.

    What is asked about are the things that the outermost descriptions fit: one each, or any number for questions that
    count or look for things ("how many red things are there?"). `depth` is the steps that the question takes.
    `smallest_px` is the diameter of the smallest thing asked about. `attributes` are the attribute words per
    description, of those that others hang on included. `salience_rank` is the mean place of the things asked about
    among the scene's, 1 for the most salient (`salience`). Where nothing is asked about ("is there a red circle?" – no)
    size and rank are None.
    """

    depth: int
    attributes: float
    smallest_px: int | None
    salience_rank: float | None


@dataclass(frozen=True, slots=True)
class Stage:
    """One of several equally large stages of a training, first and last step included, and the means over its valid
    probes, with intervals over images."""

    first_step: int
    last_step: int
    depth: Mean
    attributes: Mean
    smallest_px: Mean
    salience_rank: Mean


def complexity(program: Program, scene: SceneIndex, answer: Answer) -> Complexity:
    """The complexity of a valid question with its true answer."""
    assert answer.invalid is None
    asked = answer.referents
    ranks = salience_ranks(scene.scene) if asked else ()
    return Complexity(
        depth=needed(program, scene).depth,
        attributes=program.n_attributes / len(program.walk()),
        smallest_px=min((DIAMETER_PX[scene.things[i].size] for i in asked), default=None),
        salience_rank=fmean(ranks[i] for i in asked) if asked else None,
    )


def salience(thing: Thing, background: str) -> float:
    """How much of a thing there is to see: its colour's distance from the background's, summed over its pixels (area
    times contrast). It is drawn alone on the plain background: what covers it and what surrounds it are left out."""
    # Where it stands and the jitter of its colour are left out too, so that few drawings serve all scenes.
    return _salience(replace(thing, row=0, column=0, dx_px=0, dy_px=0), background)


@functools.lru_cache(maxsize=65536)
def _salience(thing: Thing, background: str) -> float:
    drawn = draw(Scene((thing,), background, "plain", 0)).astype(np.float64)
    return float(np.linalg.norm(drawn - np.array(BACKGROUND_RGB[background]), axis=2).sum())


def salience_ranks(scene: Scene) -> tuple[int, ...]:
    """The place of each thing by falling salience, from 1; equally salient things share the better place."""
    seen = [salience(thing, scene.background) for thing in scene.things]
    return tuple(1 + sum(other > own for other in seen) for own in seen)


def over_training(probes: Sequence[Probe], scenes: Mapping[str, Scene], n_stages: int) -> list[Stage]:
    """How complex the valid questions were in each of `n_stages` stages, which hold equally many of them (to within
    one), in the order of steps. Fewer stages where there are fewer valid probes. Each probe's first image must be
    among `scenes`, by its id.
    """
    assert n_stages > 0
    valid = sorted(
        (probe for probe in probes if probe.verdict.valid), key=lambda p: (p.key.step, p.key.attempt, p.key.index)
    )
    index = functools.cache(lambda image_id: SceneIndex(scenes[image_id]))
    measured = [(probe, _of_probe(probe, index(probe.images[0].id))) for probe in valid]
    cuts = [len(measured) * i // n_stages for i in range(n_stages + 1)]
    return [_stage(measured[start:end]) for start, end in itertools.pairwise(cuts) if end > start]


def _of_probe(probe: Probe, scene: SceneIndex) -> Complexity:
    program = parse(probe.question)
    return complexity(program, scene, run(program, scene))


def _stage(measured: Sequence[tuple[Probe, Complexity]]) -> Stage:
    return Stage(
        measured[0][0].key.step,
        measured[-1][0].key.step,
        depth=_mean([(probe, found.depth) for probe, found in measured]),
        attributes=_mean([(probe, found.attributes) for probe, found in measured]),
        smallest_px=_mean([(probe, found.smallest_px) for probe, found in measured]),
        salience_rank=_mean([(probe, found.salience_rank) for probe, found in measured]),
    )


def _mean(numbers: Sequence[tuple[Probe, float | None]]) -> Mean:
    clusters: defaultdict[tuple[str, ...], list[float]] = defaultdict(list)
    for probe, number in numbers:
        if number is not None:
            clusters[image_key(probe)].append(number)
    return clustered_mean(list(clusters.values()))

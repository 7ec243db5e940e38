"""A language model beside the testbed's grammar as annotator: asks it, and scores what it says. Knows no run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gadfly.analysis.annotation import AnnotatorScore, score_names
from gadfly.analysis.naming import merge_concepts, merge_skills
from gadfly.config import Config, override
from gadfly.protocols import Embedder
from gadfly.records import Usage
from gadfly.roles.annotator import ModelAnnotator, Unknown
from gadfly.testbed.annotator import TestbedAnnotator
from gadfly.testbed.evaluation import uniform_exam
from gadfly.testbed.skills import NEGATIVE_SKILLS, SKILLS
from gadfly.wiring import Wiring

_SPLIT = "heldout"


@dataclass(frozen=True, slots=True)
class AnnotatorTrial:
    """What came of it; `unknown` says why something is not known."""

    skills: AnnotatorScore
    concepts: AnnotatorScore
    unknown: Unknown
    usage: dict[str, Usage]


def annotator_config(model: str, url: str | None, free: bool, settings: dict[str, Any]) -> Config:
    """The settings of the model as annotator, without a cache: what is measured is to be asked."""
    vocabulary = None if free else "testbed+negatives"
    given = {"annotator.model": model, "annotator.base_url": url, "annotator.vocabulary": vocabulary}
    return override(Config(), {**given, "cache.max_bytes": 0, **settings})


def try_annotator(
    config: Config,
    n: int,
    seed: int,
    depths: Sequence[int],
    rng: np.random.Generator,
    on_progress: Callable[[int, int], None],
) -> AnnotatorTrial:
    """`n` distinct questions, drawn uniformly, the depths taking turns, put to the annotator of a configuration."""
    exam = uniform_exam(split=_SPLIT, seed=seed, n=2 * n, depths=depths)
    questions = list(dict.fromkeys(text for _, _, text, _ in exam.questions))[:n]
    wiring = Wiring(config)
    annotator, grammar = wiring.annotator, TestbedAnnotator()
    assert isinstance(annotator, ModelAnnotator), "the configuration names a model"
    annotator.ask(questions, on_progress)
    skills, concepts = annotator.skills(questions), annotator.concepts(questions)
    free = wiring.names_embedder is not None
    if wiring.names_embedder is not None:
        skills = _by_our_names(skills, wiring.names_embedder)
    singular = merge_concepts(dict.fromkeys(sorted({name for some in concepts for name in some or ()}), 1))
    return AnnotatorTrial(
        score_names([some or () for some in grammar.skills(questions)], skills, rng, () if free else NEGATIVE_SKILLS),
        score_names([some or () for some in grammar.concepts(questions)], _renamed(concepts, singular), rng),
        annotator.unknown,
        wiring.ledger.usages(),
    )


def _by_our_names(said: Sequence[tuple[str, ...] | None], embedder: Embedder) -> list[tuple[str, ...] | None]:
    """Free names, those that are merged with a skill of the testbed by its name. Ours count as the most frequent."""
    names = sorted({name for some in said for name in some or ()})
    merged, _ = merge_skills({**dict.fromkeys(names, 1), **dict.fromkeys(SKILLS, len(names) + 2)}, embedder)
    return _renamed(said, merged)


def _renamed(said: Sequence[tuple[str, ...] | None], names: dict[str, str]) -> list[tuple[str, ...] | None]:
    return [None if some is None else tuple(sorted({names[name] for name in some})) for some in said]

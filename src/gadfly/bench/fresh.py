"""Fresh probes of a target, drawn uniformly about scenes that no method sees: the yardstick for what methods find.

Knows the sampler and a target; no method. What was answered once is kept in a file beside, since every cell of a
benchmark asks about the same combinations.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import random
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, final

from gadfly.analysis.rates import Rate
from gadfly.bench.proportions import plain_rate
from gadfly.protocols import Target
from gadfly.records import Completion, Image, Judgement, Probe, ProbeKey, Question, Turn, Verdict
from gadfly.testbed.album import SceneSource
from gadfly.testbed.english import realise
from gadfly.testbed.evaluation import Exam, uniform_exam
from gadfly.testbed.execution import SceneIndex, needed
from gadfly.testbed.oracle import OracleVerifier
from gadfly.testbed.programs import MAX_DEPTH
from gadfly.testbed.reach import conceivable_combinations
from gadfly.testbed.sampler import Steps, sample

Combination = tuple[str, ...]

SPLIT, SEED = "fresh", 11
N_UNIFORM = 5000  # the definition of discovery asks for so many (docs/testbed.md)
N_COMBINATION = 100
MIN_COMBINATION = 20
"""With fewer, even a rate twice the target's would not stand out, and the combination cannot be told to fail."""
_TRIES = 4  # for each scene that a combination is tried on
_ANSWERED_AT_ONCE = 1024


@final
class FreshProbes:
    """The fresh probes of one target. `cache` is a JSON file, kept as long as `identity`, which stands for the target's
    weights, and this module's numbers stay the same. The uniform probes are `n_uniform`, the depths taking turns."""

    def __init__(
        self, open_target: Callable[[SceneSource], Target], identity: str, cache: Path, n_uniform: int = N_UNIFORM
    ) -> None:
        self._open_target = open_target
        self._cache = cache
        self._n_uniform = n_uniform
        self._key = [identity, SEED, n_uniform, N_COMBINATION]
        self._kept: dict[str, Any] = {"uniform": {}, "combinations": {}}
        self._look()

    @property
    def source(self) -> SceneSource:
        """The scenes of all fresh probes."""
        return _exam(N_UNIFORM).source

    @functools.cached_property
    def _target(self) -> Target:
        return self._open_target(self.source)

    @functools.cached_property
    def uniform(self) -> tuple[Probe, ...]:
        """Valid questions drawn uniformly at each depth, answered and judged."""
        asked = _exam(N_UNIFORM).questions[: self._n_uniform]
        questions = [Question((image,), text, at) for at, (image, _, text, _) in enumerate(asked)]
        answers: list[str | None] = self._kept["uniform"].get("answers", [])
        if len(answers) != len(questions):
            answers = [one.text for one in _in_batches(self._target, questions)]
            self._kept["uniform"] = {"answers": answers}
            self._keep()
        completions = [Completion(error="no answer") if text is None else Completion(text) for text in answers]
        judged = OracleVerifier(self.source.scenes).judge(questions, completions)
        return tuple(
            _probe(at, question, completion, judgement)
            for at, (question, completion, judgement) in enumerate(zip(questions, completions, judged, strict=True))
        )

    @functools.cached_property
    def at_depth(self) -> dict[int, Rate]:
        """The target's failure rate at each depth."""
        n, wrong = Counter[int](), Counter[int]()
        for probe in self.uniform:
            if probe.verdict.valid and probe.judgement.depth is not None:
                n[probe.judgement.depth] += 1
                wrong[probe.judgement.depth] += probe.verdict is Verdict.WRONG
        return {depth: plain_rate(wrong[depth], n[depth]) for depth in sorted(n)}

    def rates(self, combinations: Iterable[Combination]) -> dict[Combination, Rate]:
        """The failure rate of each combination on at most N_COMBINATION questions that need just its skills, one step
        each, one question to an image. The interval is Wilson's."""
        wanted = sorted(set(combinations))
        self._look()
        kept: dict[str, list[int]] = self._kept["combinations"]
        new = [skills for skills in wanted if _name(skills) not in kept]
        of = {skills: questions_of(skills, N_UNIFORM, N_COMBINATION) for skills in new}
        drawn = [(skills, image, text) for skills, some in of.items() for image, text in some]
        questions = [Question((image,), text, at) for at, (_, image, text) in enumerate(drawn)]
        if questions:
            answers = _in_batches(self._target, questions)
            judged = OracleVerifier(self.source.scenes).judge(questions, answers)
            n, wrong = Counter[Combination](), Counter[Combination]()
            for (skills, _, _), judgement in zip(drawn, judged, strict=True):
                n[skills] += judgement.verdict.valid
                wrong[skills] += judgement.verdict is Verdict.WRONG
            kept |= {_name(skills): [wrong[skills], n[skills]] for skills in new}
            self._keep()
        else:
            kept |= {_name(skills): [0, 0] for skills in new}
        return {skills: plain_rate(*kept[_name(skills)]) for skills in wanted}

    def failing(self, combinations: Iterable[Combination]) -> set[Combination]:
        """Those whose failure rate has its lower 95% bound above the target's rate at their depth, the number of their
        skills. One of which too few questions can be drawn is none of them."""
        found = set()
        for skills, rate in self.rates(combinations).items():
            usual = self.at_depth.get(len(skills))
            if usual is None or usual.value is None or rate.low is None or rate.n < MIN_COMBINATION:
                continue
            if rate.low > usual.value:
                found.add(skills)
        return found

    def _look(self) -> None:
        """Take in what this or another process has kept: a rate is the same whoever asks."""
        if self._cache.is_file():
            kept = json.loads(self._cache.read_text(encoding="utf-8"))
            if kept["key"] == self._key:
                self._kept["uniform"] = kept["uniform"] or self._kept["uniform"]
                self._kept["combinations"] |= kept["combinations"]

    def _keep(self) -> None:
        self._look()
        self._kept["key"] = self._key
        self._cache.parent.mkdir(parents=True, exist_ok=True)
        partial = self._cache.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(self._kept), encoding="utf-8")
        partial.replace(self._cache)


@functools.cache
def _exam(n: int) -> Exam:
    """Questions at all depths, the same for all targets, some more than are asked for: some scenes offer no deep
    question, and about one in twenty is missing."""
    return uniform_exam(split=SPLIT, seed=SEED, n=n * 11 // 10, depths=range(1, MAX_DEPTH + 1))


@functools.cache
def _index(n: int) -> Callable[[str], SceneIndex]:
    return functools.cache(lambda image_id: SceneIndex(_exam(n).source.scenes[image_id]))


@functools.cache
def questions_of(skills: Combination, n_exam: int, most: int) -> tuple[tuple[Image, str], ...]:
    """At most so many questions that need just these skills, the same for all targets: drawn by the uniform sampler,
    held to the operations and steps with which they can, and kept where every step is needed."""
    ways = conceivable().get(skills)
    if not ways or len(skills) > MAX_DEPTH:
        return ()
    rng = random.Random(f"{SEED}/{_name(skills)}")
    images, steps, found = list(_exam(n_exam).source), Steps.of(skills), []
    rng.shuffle(images)
    for image in images:
        scene = _index(n_exam)(image.id)
        for _ in range(_TRIES):
            operation, _ = rng.choice(ways)
            drawn = sample(scene, len(skills), rng, operation, steps)
            if drawn is not None and needed(drawn[0], scene).combination == skills:
                found.append((image, realise(drawn[0], rng)))
                break
        if len(found) == most:
            break
    return tuple(found)


@functools.cache
def conceivable() -> dict[Combination, list[tuple[str, Combination]]]:
    """Every combination that the language could need, with the ways to make it."""
    return conceivable_combinations()


def weights_identity(checkpoint: Path) -> str:
    """What a target's cached answers hang on: the SHA-256 of its weights."""
    digest = hashlib.sha256()
    for file in sorted(checkpoint.glob("*.safetensors")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _name(skills: Collection[str]) -> str:
    return "+".join(skills)


def _in_batches(target: Target, questions: Sequence[Question]) -> list[Completion]:
    found: list[Completion] = []
    for start in range(0, len(questions), _ANSWERED_AT_ONCE):
        found += target.answer(questions[start : start + _ANSWERED_AT_ONCE])
    return found


def _probe(at: int, question: Question, answer: Completion, judgement: Judgement) -> Probe:
    return Probe(ProbeKey("fresh", 0, 0, at), at, question.images, (Turn(question.text, answer),), judgement)

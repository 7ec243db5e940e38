"""A verifier beside the testbed's oracle: both judge the same answers to the same questions. Knows no store.

What `gadfly audit RUN --labeller oracle` says of a run, this says of a checkpoint, on questions of its own: one about
each image, so that plain intervals hold.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gadfly.analysis.confusion import VERDICTS, agreement
from gadfly.analysis.rates import Rate
from gadfly.bench.proportions import plain_rate
from gadfly.models.local import LocalModel
from gadfly.protocols import Questioner, Target, Verifier
from gadfly.records import Judgement, Question, Sampling, Verdict
from gadfly.roles.prompts import load_prompt
from gadfly.roles.questioner import ModelQuestioner, parse_question
from gadfly.roles.target import ModelTarget
from gadfly.roles.verifier_model import ModelVerifier
from gadfly.testbed.album import SceneSource
from gadfly.testbed.oracle import OracleVerifier
from gadfly.testbed.scenes import generate
from gadfly.testbed.uniform import UniformQuestioner

_BATCH = 64
_ASKED_AT_ONCE = 512

OnProgress = Callable[[int, int], None]
"""Gets (questions judged, questions in all)."""


@dataclass(frozen=True, slots=True)
class VerifierTrial:
    """`counts_4_4` has the verifier's verdicts in rows and the oracle's in columns, in the order of `verdicts`.
    `recognised`: for each verdict of the oracle, how often the verifier gives it too, of what it decided. `kappa` is
    Cohen's, None where all verdicts are the same."""

    verdicts: tuple[Verdict, ...]
    counts_4_4: tuple[tuple[int, ...], ...]
    n: int
    kappa: float | None
    recognised: Mapping[Verdict, Rate]


def try_verifier(
    verifier: Path, target: Path, questioners: Mapping[str, Path | None], n: int, seed: int, on_progress: OnProgress
) -> dict[str, VerifierTrial]:
    """One trial for each questioner (None is the uniform sampler), about `n` images of the held-out split."""
    source = SceneSource(itertools.islice(generate("heldout", seed), n))

    def local(path: Path) -> LocalModel:
        return LocalModel(path, source.open, max_batch=_BATCH)

    def asking(path: Path | None) -> Questioner:
        if path is None:
            return UniformQuestioner(source.scenes)
        how = Sampling(max_new_tokens=40, temperature=1.0)
        return ModelQuestioner(local(path), load_prompt("testbed_questioner"), how)

    judge = ModelVerifier(local(verifier))
    answering = ModelTarget(local(target), load_prompt("testbed_target"), Sampling(max_new_tokens=4))
    found = {}
    for done, (name, path) in enumerate(questioners.items()):

        def tell(so_far: int, of: int, done: int = done) -> None:
            on_progress(done * of + so_far, len(questioners) * of)

        found[name] = counted(beside_oracle(source, asking(path), answering, judge, seed, tell))
    return found


def beside_oracle(
    source: SceneSource, questioner: Questioner, target: Target, verifier: Verifier, seed: int, on_progress: OnProgress
) -> list[tuple[Judgement, Judgement]]:
    """One question about each image, and the target's answer to it, judged by the verifier and by the oracle, in this
    order. What holds no question is left out: no verifier is asked about it."""
    oracle = OracleVerifier(source.scenes)
    images = list(source)
    judged: list[tuple[Judgement, Judgement]] = []
    for start in range(0, len(images), _ASKED_AT_ONCE):
        batch = images[start : start + _ASKED_AT_ONCE]
        written = questioner.ask(batch, seed + start)
        questions = [
            Question((image,), text, group)
            for group, (image, completion) in enumerate(zip(batch, written, strict=True))
            if completion.text is not None and (text := parse_question(completion.text)) is not None
        ]
        answers = target.answer(questions)
        judged += zip(verifier.judge(questions, answers), oracle.judge(questions, answers), strict=True)
        on_progress(start + len(batch), len(images))
    return judged


def counted(pairs: Sequence[tuple[Judgement, Judgement]]) -> VerifierTrial:
    """What pairs of judgements, the verifier's and the oracle's, come to."""
    both = agreement(
        {place: ours.verdict for place, (ours, _) in enumerate(pairs)},
        {place: true.verdict for place, (_, true) in enumerate(pairs)},
    )
    order = tuple(Verdict)
    recognised = {}
    for verdict in VERDICTS:
        column = order.index(verdict)
        decided = sum(both.counts_4_4[order.index(said)][column] for said in VERDICTS)
        recognised[verdict] = plain_rate(both.counts_4_4[column][column], decided)
    return VerifierTrial(order, both.counts_4_4, both.n, both.kappa, recognised)

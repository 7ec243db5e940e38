"""Best of n by predicted failure: ask several questions about an image, put the one most likely to fail.

Best-of-n sampling by a learned score as in WebGPT (Nakano et al., arXiv 2112.09332), with a classifier fitted to the
run's own outcomes in the place of a reward model, as red teams train one on what they have labelled (Casper et al.,
arXiv 2306.09442). Where this departs from both: the classifier is fitted online, an INVALID question counts as no
failure so that the choice shuns bad questions, and a share of questions is put unchosen, or it would soon learn from
its own preferences alone. Candidates cost calls of the questioner only.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import final

from gadfly.protocols import Questioner
from gadfly.records import Completion, Image, Probe, Verdict
from gadfly.roles.asking import by_image, readable
from gadfly.roles.failure_predictor import FailurePredictor
from gadfly.roles.questioner import parse_question
from gadfly.roles.screening import NO_SCREEN, Screen, first_passing


@final
class BestOfQuestioner:
    """A LearningQuestioner round another questioner. Of equally promising candidates the first stays; what holds no
    question is chosen last, and so is what does not pass the `screen`. `explore` is the share of images for which
    candidates are taken as they come."""

    def __init__(
        self,
        questioner: Questioner,
        predictor: FailurePredictor,
        *,
        candidates: int,
        explore: float,
        screen: Screen = NO_SCREEN,
    ) -> None:
        assert candidates >= 1 and 0 <= explore <= 1
        self._questioner = questioner
        self._predictor = predictor
        self._candidates = candidates
        self._explore = explore
        self._screen = screen

    def ask(self, images: Sequence[Image], seed: int) -> list[Completion]:
        rng = random.Random(seed)
        repeated = [image for image in images for _ in range(self._candidates)]
        asked = by_image(self._questioner.ask(repeated, rng.getrandbits(31)), self._candidates)
        ranked = self._ranked(asked)
        for place, candidates in enumerate(ranked):
            if rng.random() < self._explore:
                ranked[place] = sorted(candidates)  # as they came
        best = first_passing(images, ranked, self._screen)
        return [candidates[at] for candidates, at in zip(asked, best, strict=True)]

    def learn_from(self, probes: Sequence[Probe]) -> None:
        decided = [probe for probe in probes if probe.verdict.decided and parse_question(probe.question) is not None]
        self._predictor.learn([p.question for p in decided], [p.verdict is Verdict.WRONG for p in decided])

    def _ranked(self, asked: Sequence[Sequence[Completion]]) -> list[list[tuple[int, str]]]:
        """The candidates of each image, (place, question), most promising first. All are predicted at once: an
        embedding model is slow with a few texts at a time."""
        questions = [(place, *one) for place, candidates in enumerate(asked) for one in readable(candidates)]
        promise = self._predictor.predict([question for _, _, question in questions])
        ranked: list[list[tuple[int, str]]] = [[] for _ in asked]
        for _, (place, at, question) in sorted(zip(-promise, questions, strict=True)):
            ranked[place].append((at, question))
        return ranked

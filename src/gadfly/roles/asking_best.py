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
from gadfly.roles.failure_predictor import FailurePredictor
from gadfly.roles.questioner import parse_question


@final
class BestOfQuestioner:
    """A LearningQuestioner round another questioner. Of equally promising candidates the first stays; what holds no
    question is chosen last. `explore` is the share of images for which the first candidate is taken as it is."""

    def __init__(self, questioner: Questioner, predictor: FailurePredictor, *, candidates: int, explore: float) -> None:
        assert candidates >= 1 and 0 <= explore <= 1
        self._questioner = questioner
        self._predictor = predictor
        self._candidates = candidates
        self._explore = explore

    def ask(self, images: Sequence[Image], seed: int) -> list[Completion]:
        rng = random.Random(seed)
        # One seed each: a server that is given one seed twice gives one answer twice.
        rounds = [self._questioner.ask(images, rng.getrandbits(31)) for _ in range(self._candidates)]
        asked = list(zip(*rounds, strict=True))
        return [
            candidates[0 if rng.random() < self._explore else best]
            for candidates, best in zip(asked, self._best(asked), strict=True)
        ]

    def learn_from(self, probes: Sequence[Probe]) -> None:
        decided = [probe for probe in probes if probe.verdict.decided and parse_question(probe.question) is not None]
        self._predictor.learn([p.question for p in decided], [p.verdict is Verdict.WRONG for p in decided])

    def _best(self, asked: Sequence[Sequence[Completion]]) -> list[int]:
        """The place of the most promising candidate of each image. All are predicted at once: an embedding model is
        slow with a few texts at a time."""
        questions = [
            (place, at, question)
            for place, candidates in enumerate(asked)
            for at, one in enumerate(candidates)
            if one.text is not None and (question := parse_question(one.text)) is not None
        ]
        promise = self._predictor.predict([question for _, _, question in questions])
        best: dict[int, tuple[float, int]] = {}
        for (place, at, _), chance in zip(questions, promise, strict=True):
            best[place] = max(best.get(place, (-1.0, 0)), (float(chance), -at))
        return [-best[place][1] if place in best else 0 for place in range(len(asked))]

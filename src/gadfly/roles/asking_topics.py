"""Steering by topics: which skill to ask about next. For questioners that can be told nothing else.

The bundled questioner was taught its prompt with and without skills as the topic (testbed/telling.py), and no other
words. So what a prompt would say in sentences is said by the choice of the topic: of the diversity prompt that is the
skill asked about least, of in-context feedback the skill that failed most. This is less than a chat model can do with
the questions themselves, and more than nothing: within a topic the questioner asks as it always does.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import Literal, final

from gadfly.protocols import ChatModel
from gadfly.records import Completion, Image, Probe, Sampling, Verdict
from gadfly.roles.asking import Asker, Wish

Choice = Literal["rarest", "failing"]
RAREST: Choice = "rarest"
FAILING: Choice = "failing"

WINDOW = 500
"""Valid questions that count for the rarest topic: enough that a batch of 64 does not swing it."""


@final
class TopicQuestioner:
    """A LearningQuestioner that names a topic for each image. `topics` are the words that the questioner knows each
    skill by.

    "rarest": the skill that the fewest of the last WINDOW valid questions needed, those just chosen in this batch
    included. "failing": Thompson sampling (Thompson, Biometrika 25, 1933), a rate drawn for each skill from Beta(1 +
    WRONG, 1 + RIGHT) of all questions that needed it, and the skill with the highest; so skills are tried in proportion
    to the chance that they are the weakest. INVALID questions have no skills and say nothing.
    """

    def __init__(
        self, model: ChatModel, template: str, sampling: Sampling, topics: Mapping[str, str], choice: Choice
    ) -> None:
        self._asker = Asker(model, template, sampling)
        self._topics = dict(topics)
        self._choice: Choice = choice
        self._recent: deque[tuple[str, ...]] = deque(maxlen=WINDOW)
        self._wrong: Counter[str] = Counter()
        self._right: Counter[str] = Counter()

    def ask(self, images: Sequence[Image], seed: int) -> list[Completion]:
        rng = random.Random(seed)
        counts = Counter(skill for skills in self._recent for skill in skills)
        wishes = []
        for image in images:
            skill = self._rarest(counts, rng) if self._choice == RAREST else self._failing(rng)
            counts[skill] += 1
            wishes.append(Wish(image, topic=self._topics[skill]))
        return self._asker.ask(wishes, seed)

    def learn_from(self, probes: Sequence[Probe]) -> None:
        for probe in probes:
            if probe.verdict.valid:
                skills = tuple(sorted(set(probe.judgement.skills or ())))
                self._recent.append(skills)
                (self._wrong if probe.verdict is Verdict.WRONG else self._right).update(skills)

    def _rarest(self, counts: Counter[str], rng: random.Random) -> str:
        least = min(counts[skill] for skill in self._topics)
        return rng.choice([skill for skill in self._topics if counts[skill] == least])

    def _failing(self, rng: random.Random) -> str:
        drawn = {skill: rng.betavariate(1 + self._wrong[skill], 1 + self._right[skill]) for skill in self._topics}
        return max(drawn, key=drawn.__getitem__)

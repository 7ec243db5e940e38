"""In-context feedback: the questioner is shown what the target failed at and what it did not. Trains nothing.

After the stochastic few-shot generation of Perez et al. (arXiv 2202.03286), whose prompts hold earlier attempts, the
failing ones more often. Where this departs from it: what was answered rightly is shown as well and said to be so, as a
strong chat model can learn from both; and examples are drawn anew for each image, uniformly among the latest.
`asking_topics.FAILING` stands for it where a questioner cannot read questions.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from typing import final

from gadfly.protocols import ChatModel
from gadfly.records import Completion, Image, Probe, Sampling, Verdict
from gadfly.roles.asking import Asker, Wish, latest_distinct, quoted_list
from gadfly.roles.prompts import fill, load_prompt
from gadfly.roles.topics import NO_TOPICS, Topics

_REMEMBERED = 10  # times what is shown: examples are drawn from these


@final
class InformedQuestioner:
    """A LearningQuestioner that quotes up to `shown` WRONG and as many RIGHT questions of its own."""

    def __init__(
        self, model: ChatModel, template: str, sampling: Sampling, topics: Topics = NO_TOPICS, *, shown: int
    ) -> None:
        self._asker = Asker(model, template, sampling, topics)
        self._shown = shown
        self._note = load_prompt("asking_informed")
        self._asked = {verdict: deque[str](maxlen=_REMEMBERED * shown) for verdict in (Verdict.WRONG, Verdict.RIGHT)}

    def ask(self, images: Sequence[Image], seed: int) -> list[Completion]:
        rng = random.Random(seed)
        known = {verdict: latest_distinct(list(asked), len(asked)) for verdict, asked in self._asked.items()}
        return self._asker.ask([Wish(image, self._told(known, rng)) for image in images], seed)

    def _told(self, known: dict[Verdict, list[str]], rng: random.Random) -> str:
        if not any(known.values()):
            return ""
        drawn = {verdict: rng.sample(some, min(self._shown, len(some))) for verdict, some in known.items()}
        wrong, right = (quoted_list(drawn[verdict]) for verdict in (Verdict.WRONG, Verdict.RIGHT))
        return fill(self._note, wrong=wrong, right=right)

    def learn_from(self, probes: Sequence[Probe]) -> None:
        for probe in probes:
            if probe.verdict.valid:
                self._asked[probe.verdict].append(probe.question)

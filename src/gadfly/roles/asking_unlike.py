"""The diversity prompt: "ask something different from these". Knows its own questions, not how they were answered.

No paper is its source: it is the plainest remedy for a model that repeats itself, and what a reward for novelty has to
beat. `asking_topics.RAREST` stands for it where a questioner cannot read questions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import final

from gadfly.protocols import ChatModel
from gadfly.records import Completion, Image, Probe, Sampling
from gadfly.roles.asking import Asker, Wish, latest_distinct, quoted_list
from gadfly.roles.prompts import fill, load_prompt
from gadfly.roles.topics import NO_TOPICS, Topics

_REMEMBERED = 10  # times what is shown: equal questions are shown once


@final
class UnlikeQuestioner:
    """A LearningQuestioner that quotes its last `shown` different valid questions and asks for something else."""

    def __init__(
        self, model: ChatModel, template: str, sampling: Sampling, topics: Topics = NO_TOPICS, *, shown: int
    ) -> None:
        self._asker = Asker(model, template, sampling, topics)
        self._shown = shown
        self._note = load_prompt("asking_unlike")
        self._asked: deque[str] = deque(maxlen=_REMEMBERED * shown)

    def ask(self, images: Sequence[Image], seed: int) -> list[Completion]:
        lately = latest_distinct(list(self._asked), self._shown)
        note = fill(self._note, questions=quoted_list(lately)) if lately else ""
        return self._asker.ask([Wish(image, note) for image in images], seed)

    def learn_from(self, probes: Sequence[Probe]) -> None:
        self._asked.extend(probe.question for probe in probes if probe.verdict.valid)

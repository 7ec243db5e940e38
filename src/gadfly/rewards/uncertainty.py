"""VisPlay's reward for a questioner: questions that the target answers now so, now so. Knows a target by its protocol.

He et al., "VisPlay: Self-Evolving Vision-Language Models from Images", arXiv 2511.15661: min(p, 1 - p), p being the
share of the target's repeated answers that agree with the commonest one, less the share of the group's questions that
lie in the same cluster. A reply without a question in it gets nothing. Where this departs from it: questions are one
cluster that are linked by a BLEU of at least SAME; the target is sampled at a temperature of our choosing; and a probe
that is UNDECIDED has no reward, as everywhere in Gadfly. There is no verifier in this reward. The verdict is recorded
all the same, so that what it finds can be counted; an INVALID question is paid like any other.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import final

from gadfly.protocols import Target
from gadfly.records import Judgement, PastQuestion, Question
from gadfly.rewards.lexical import similarity

SAME = 0.5
"""BLEU from which two questions are linked: half of the wording is the same."""

Terms = Mapping[str, float | None]


@final
class UncertaintyReward:
    """The `Reward`: min(p, 1 - p) - share · cluster share. `answers` are the target, `repeats` times over, each with a
    seed of its own; every one of them is a call. `is_question` says whether a reply holds a question at all."""

    def __init__(self, answers: Sequence[Target], is_question: Callable[[str], bool], *, share: float) -> None:
        assert len(answers) >= 2, "one answer agrees with itself"
        self._answers = answers
        self._is_question = is_question
        self._share = share

    def prepare(self, questions: Sequence[Question]) -> None:
        """What it needs are answers, and only the target has them."""

    def score(self, questions: Sequence[Question], judgements: Sequence[Judgement]) -> list[tuple[float | None, Terms]]:
        """(reward, terms) of each probe of one step. Terms: "uncertainty" and "cluster_share", None where there is no
        question or no answer. Equal questions about an image are answered once."""
        asked = {i: _content(q) for i, q in enumerate(questions) if self._is_question(q.text)}
        once = {content: questions[i] for i, content in asked.items()}
        repeated = [target.answer(list(once.values())) if once else [] for target in self._answers]
        uncertain = {
            content: uncertainty([one.text for one in answers if one.text is not None])
            for content, answers in zip(once, zip(*repeated, strict=True), strict=True)
        }
        groups: defaultdict[int, list[int]] = defaultdict(list)
        for i in asked:
            groups[questions[i].group].append(i)
        shares: dict[int, float] = {}
        for members in groups.values():
            size = sum(question.group == questions[members[0]].group for question in questions)
            for i, n in zip(members, cluster_sizes([questions[i].text for i in members]), strict=True):
                shares[i] = n / size
        scored: list[tuple[float | None, Terms]] = []
        for i, judgement in enumerate(judgements):
            doubt, share = uncertain[asked[i]] if i in asked else None, shares.get(i)
            terms: Terms = {"uncertainty": doubt, "cluster_share": share}
            reward = 0.0 if doubt is None or share is None else doubt - self._share * share
            scored.append((reward if judgement.verdict.decided else None, terms))
        return scored

    def remember(self, questions: Sequence[PastQuestion]) -> None:
        """It has no history: novelty is within the group alone."""


def uncertainty(answers: Sequence[str]) -> float | None:
    """min(p, 1 - p), p the share of the commonest answer, in [0, 0.5]; None with fewer than two answers."""
    if len(answers) < 2:
        return None
    _, n = Counter(" ".join(answer.lower().split()) for answer in answers).most_common(1)[0]
    p = n / len(answers)
    return min(p, 1 - p)


def cluster_sizes(texts: Sequence[str]) -> list[int]:
    """How many texts are in the cluster of each, itself included: the connected components of all pairs with a BLEU of
    at least SAME in either direction."""
    cluster = list(range(len(texts)))
    for i, one in enumerate(texts):
        for j in range(i):
            if cluster[i] != cluster[j] and max(similarity(one, texts[j]), similarity(texts[j], one)) >= SAME:
                old, new = cluster[i], cluster[j]
                cluster = [new if each == old else each for each in cluster]
    sizes = Counter(cluster)
    return [sizes[each] for each in cluster]


def _content(question: Question) -> tuple[tuple[str, ...], str]:
    return tuple(image.id for image in question.images), question.text

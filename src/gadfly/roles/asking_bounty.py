"""Asks for what is still to be found: by name for kinds of questions that may fail, and puts the best of what it gets.

Ours, after two things that are known. A reward that shrinks as a kind is exploited keeps red teams from finding the
same again and again (in training: Curiosity-driven Red-teaming, arXiv 2402.19464, and DiveR-CT, arXiv 2405.19026); here
a kind that is known to fail is worth little more at once. And which kind to try next is a bandit's choice, made by
Thompson sampling as in `asking_topics`, but over combinations of skills, which share what is known of their skills.

For each image `candidates` questions are asked for, each under the skills of a kind that seems worth most; what a
questioner makes of them is sorted by the skills that an annotator finds in it, and one is put: the best that passes the
screen. Candidates cost calls of the questioner, the annotator and the screen, none of the target.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from gadfly.protocols import Annotator
from gadfly.records import Completion, Image, Probe
from gadfly.roles.asking import Asker, Wish, by_image, readable
from gadfly.roles.bounties import ENOUGH, Bounties, Combination
from gadfly.roles.screening import NO_SCREEN, Screen

_SETTLED = 0.05  # what is left of the worth of a kind that this batch will settle

AIMS = 32
"""Kinds among which the candidates of one round are shared out: the more, the more evenly kinds are tried."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A question that could be put, the `at`-th of its image's, with what was drawn for its kind."""

    at: int
    question: str
    kind: Combination
    chance: float
    worth: float


@final
class BountyQuestioner:
    """A LearningQuestioner. `topic_of` puts skills into words that the questioner knows. `skills` are those that there
    are, if that is known before anything is asked. `explore` is the share of candidates that are asked for without an
    aim: half of them as the asker asks by itself, half under one or two skills at random."""

    def __init__(
        self,
        asker: Asker,
        annotator: Annotator,
        topic_of: Callable[[Sequence[str]], str],
        *,
        skills: Sequence[str] = (),
        candidates: int,
        explore: float,
        screen: Screen = NO_SCREEN,
    ) -> None:
        assert candidates >= 1 and 0 <= explore <= 1
        self._asker = asker
        self._annotator = annotator
        self._topic_of = topic_of
        self._skills = sorted(skills)
        self._candidates = candidates
        self._explore = explore
        self._screen = screen
        self._bounties = Bounties()

    def ask(self, images: Sequence[Image], seed: int) -> list[Completion]:
        rng = np.random.default_rng(seed)
        rounds = [self._wishes(images, rng) for _ in range(self._candidates)]
        wishes = [wish for of_image in zip(*rounds, strict=True) for wish in of_image]
        asked = by_image(self._asker.ask(wishes, int(rng.integers(2**31))), self._candidates)
        return [candidates[at] for candidates, at in zip(asked, self._best(images, asked, rng), strict=True)]

    def learn_from(self, probes: Sequence[Probe]) -> None:
        decided = [probe for probe in probes if probe.verdict.decided]
        kinds = self._kinds([probe.question for probe in decided])
        known = [(kind, probe) for kind, probe in zip(kinds, decided, strict=True) if kind is not None]
        self._bounties.learn([kind for kind, _ in known], [probe for _, probe in known])

    def _wishes(self, images: Sequence[Image], rng: np.random.Generator) -> list[Wish]:
        """What one candidate for each image is asked for under."""
        kinds = [kind for kind in self._bounties.kinds if kind]
        if kinds:
            worth = self._bounties.draw(kinds, rng)[:, 1]
            kinds = [kinds[at] for at in np.argsort(-worth, kind="stable")[:AIMS]]
        return [Wish(image, topic=self._topic(kinds, rng)) for image in images]

    def _topic(self, kinds: Sequence[Combination], rng: np.random.Generator) -> str:
        if kinds and rng.random() >= self._explore:
            wanted: Sequence[str] = kinds[int(rng.integers(len(kinds)))]
        else:
            skills = self._skills or sorted({skill for kind in kinds for skill in kind})
            if not skills or rng.random() < 0.5:
                return ""
            wanted = rng.choice(skills, size=min(len(skills), 1 + int(rng.integers(2))), replace=False).tolist()
        return self._topic_of([wanted[at] for at in rng.permutation(len(wanted))])

    def _best(
        self, images: Sequence[Image], asked: Sequence[Sequence[Completion]], rng: np.random.Generator
    ) -> list[int]:
        """The place of the candidate of each image that is worth most of those that pass the screen, the first one
        where none does. A kind that the questions chosen so far are likely to settle is worth little more."""
        best = [0] * len(asked)
        left = self._valued(asked, rng)
        coming: dict[Combination, float] = defaultdict(float)  # images on which a kind will be WRONG, as expected
        while left:
            picked = {}
            for place in rng.permutation(sorted(left)).tolist():
                picked[place] = max(left[place], key=lambda one: self._worth(one, coming))
                coming[picked[place].kind] += picked[place].chance
            passed = self._screen.passes([(images[place], one.question) for place, one in picked.items()])
            for (place, one), good in zip(picked.items(), passed, strict=True):
                left[place].remove(one)
                if good:
                    best[place] = one.at
                else:
                    coming[one.kind] -= one.chance
                if good or not left[place]:
                    del left[place]
        return best

    def _valued(self, asked: Sequence[Sequence[Completion]], rng: np.random.Generator) -> dict[int, list[_Candidate]]:
        """The candidates of each image whose kinds are known, by the image's place."""
        questions = [(place, *one) for place, candidates in enumerate(asked) for one in readable(candidates)]
        named = self._kinds([question for _, _, question in questions])
        known = [(*one, kind) for one, kind in zip(questions, named, strict=True) if kind is not None]
        drawn = self._bounties.draw([kind for *_, kind in known], rng)
        of: dict[int, list[_Candidate]] = defaultdict(list)
        for (place, at, question, kind), (chance, worth) in zip(known, drawn.tolist(), strict=True):
            of[place].append(_Candidate(at, question, kind, chance, worth))
        return dict(of)

    def _worth(self, one: _Candidate, coming: Mapping[Combination, float]) -> float:
        settled = self._bounties.n_images(one.kind) + coming.get(one.kind, 0.0) >= ENOUGH
        return one.worth * (_SETTLED if settled else 1.0)

    def _kinds(self, questions: Sequence[str]) -> list[Combination | None]:
        return [None if skills is None else tuple(sorted(set(skills))) for skills in self._annotator.skills(questions)]

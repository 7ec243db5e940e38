"""Quality-diversity search: change archived questions towards kinds that have not failed yet. Trains nothing.

After Rainbow Teaming (Samvelyan et al., arXiv 2402.16822): draw an elite and a cell, have the elite changed into a
question for that cell, and keep the result where it is at least as good and no near-duplicate. Where this departs from
it: the cells are skill × depth; a question goes to the cells of the skills that it was judged to need, not to the one
that it was meant for; fitness is the verdict about one image instead of a judge's comparison of two answers; and a
share of questions is asked without an elite, which brings in skills that the archive does not know yet.

A questioner that can be told things is shown the elite and the cell. One that is steered by topics (the bundled one)
cannot be shown a question. Its change is a new question under the topic of the cell: `candidates` are asked, and the
one is put that an annotator says to come nearest to the cell and that is least like the elites.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import final

from gadfly.protocols import Annotator
from gadfly.records import Completion, Image, Probe, Verdict
from gadfly.roles.archive import Archive, Cell, Elite
from gadfly.roles.asking import Asker, Wish, by_image, readable
from gadfly.roles.prompts import fill, load_prompt, quote
from gadfly.roles.screening import NO_SCREEN, Screen, first_passing


@final
class ArchiveQuestioner:
    """A LearningQuestioner. `topics` are the words that the questioner knows each skill by, None for one that is
    told in sentences. `annotator` names the skills of a question that was not judged with them."""

    def __init__(
        self,
        asker: Asker,
        annotator: Annotator | None,
        similarity: Callable[[str, str], float],
        *,
        topics: Mapping[str, str] | None,
        candidates: int,
        explore: float,
        temperature: float,
        screen: Screen = NO_SCREEN,
    ) -> None:
        assert topics is None or annotator is not None, "candidates are told apart by what the annotator says of them"
        self._asker = asker
        self._annotator = annotator
        self._similarity = similarity
        self._topics = topics
        self._candidates = candidates
        self._explore = explore
        self._temperature = temperature
        self._screen = screen
        self._note = load_prompt("asking_changed")
        self._archive = Archive(similarity)

    def ask(self, images: Sequence[Image], seed: int) -> list[Completion]:
        rng = random.Random(seed)
        aims = [self._aim(rng) for _ in images]
        wishes = [self._wish(image, aim) for image, aim in zip(images, aims, strict=True)]
        if self._topics is None:
            return self._asker.ask(wishes, seed)
        repeated = [wish for wish in wishes for _ in range(self._candidates)]
        asked = by_image(self._asker.ask(repeated, seed), self._candidates)
        best = first_passing(images, self._ranked(asked, aims), self._screen)
        return [candidates[at] for candidates, at in zip(asked, best, strict=True)]

    def learn_from(self, probes: Sequence[Probe]) -> None:
        valid = [probe for probe in probes if probe.verdict.valid]
        skills = self._skills([probe.question for probe in valid])
        for probe, named in zip(valid, skills, strict=True):
            needed = probe.judgement.skills or named or ()
            for skill in sorted(set(needed)):
                cell = skill, probe.judgement.depth or len(needed)
                self._archive.offer(cell, probe.question, float(probe.verdict is Verdict.WRONG))

    def _aim(self, rng: random.Random) -> tuple[Elite, Cell] | None:
        """What to change into what; None for a question that is just asked."""
        if not self._archive.elites or rng.random() < self._explore:
            return None
        return self._archive.draw_parent(rng), self._archive.draw_cell(rng, self._temperature)

    def _wish(self, image: Image, aim: tuple[Elite, Cell] | None) -> Wish:
        if aim is None:
            return Wish(image)
        elite, (skill, depth) = aim
        if self._topics is not None:
            return Wish(image, topic=self._topics.get(skill, ""))
        return Wish(image, fill(self._note, question=quote(elite.question), skill=quote(skill), depth=str(depth)))

    def _ranked(
        self, asked: Sequence[Sequence[Completion]], aims: Sequence[tuple[Elite, Cell] | None]
    ) -> list[list[tuple[int, str]]]:
        """The candidates of each image, (place, question): nearest to its cell first, which is with its skill, then of
        its depth, then least like the elite. As they came where there is no aim."""
        return [
            readable(candidates) if aim is None else self._by_nearness(readable(candidates), *aim)
            for aim, candidates in zip(aims, asked, strict=True)
        ]

    def _by_nearness(self, questions: Sequence[tuple[int, str]], elite: Elite, cell: Cell) -> list[tuple[int, str]]:
        skill, depth = cell
        named = self._skills([question for _, question in questions])
        nearness = [
            (skill not in (needs or ()), abs(len(needs or ()) - depth), self._similarity(question, elite.question), at)
            for (at, question), needs in zip(questions, named, strict=True)
        ]
        return [one for _, one in sorted(zip(nearness, questions, strict=True))]

    def _skills(self, questions: Sequence[str]) -> Sequence[tuple[str, ...] | None]:
        return [None] * len(questions) if self._annotator is None else self._annotator.skills(questions)

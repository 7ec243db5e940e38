"""The seams: what each part expects of the others. Protocols of one or two methods; knows only records.

Every method takes and returns whole batches, in order. A fault in one item is data (a Completion with an error, an
UNDECIDED judgement); an exception means that the batch could not be done at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image as Picture

from gadfly.records import Chat, Completion, Grounding, Image, Judgement, PastQuestion, Probe, Question, Sampling, Words


class ImageSource(Protocol):
    """The user's images, in a fixed order."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Image]: ...
    def open(self, image: Image) -> Picture:
        """The decoded picture: RGB, EXIF rotation applied."""
        ...


class ChatModel(Protocol):
    """A thing that completes chats. Knows nothing about roles."""

    @property
    def name(self) -> str:
        """The name it is recorded under."""
        ...

    def complete(self, chats: Sequence[Chat], sampling: Sampling) -> list[Completion]: ...


class Questioner(Protocol):
    """Asks. Used by sweeps; in training the questions come from the trainer's own rollouts."""

    def ask(self, images: Sequence[Image], seed: int) -> list[Completion]:
        """One question an image, in order. The same seed gives the same questions."""
        ...


class LearningQuestioner(Questioner, Protocol):
    """Asks, and lets what became of its questions decide what it asks next.

    Its state is a function of what it has learned from, so that a resume rebuilds it from the store: the probes of all
    steps that were made, a step at a time, in their order.
    """

    def learn_from(self, probes: Sequence[Probe]) -> None:
        """Take note of the probes of one step, in order."""
        ...


class Target(Protocol):
    """Answers; never changed by a run."""

    def answer(self, questions: Sequence[Question]) -> list[Completion]: ...


class Verifier(Protocol):
    """Judges first the question (valid or not), then the answer (right or wrong)."""

    def judge(self, questions: Sequence[Question], answers: Sequence[Completion]) -> list[Judgement]:
        """A judgement of each question and its answer, in order. The answers may still be under way: the first look at
        one waits for them, so what needs none comes before it."""
        ...


class Annotator(Protocol):
    """Says what questions need, from their texts alone: None where it cannot say, an empty tuple where nothing."""

    def skills(self, questions: Sequence[str]) -> list[tuple[str, ...] | None]:
        """The skills that each question needs, as `family.skill`, sorted."""
        ...

    def concepts(self, questions: Sequence[str]) -> list[tuple[str, ...] | None]:
        """The objects and attributes that each question speaks of, sorted."""
        ...


class Describer(Protocol):
    """Puts in plain words what questions have in common."""

    def describe(self, commons: Sequence[str]) -> list[Words | None]:
        """A name and a sentence for each thing in common, which is told in the words of `analysis/wording.py`; None
        where there are none."""
        ...


class Paraphraser(Protocol):
    """Says the same in other words."""

    def paraphrase(self, questions: Sequence[str], seed: int) -> list[str | None]:
        """Another wording of each question, None where there is none. The same seed gives the same wordings."""
        ...


class Grounder(Protocol):
    """Says what the things are that questions ask about, from what is known of their images: a question refers to a
    small thing as "the thing left of the star"."""

    def ground(self, questions: Sequence[Question]) -> list[Grounding | None]:
        """What each question asks about, None where that is not known."""
        ...


class Embedder(Protocol):
    """Places texts in a space of meaning."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, shape N_D."""
        ...


class Reward(Protocol):
    """Turns judged questions into one scalar each, and remembers what it needs to know novelty."""

    def prepare(self, questions: Sequence[Question]) -> None:
        """Do what `score` will need and what does not wait for judgements: there is time for it. It changes no score
        but in rounding, and need not be called."""
        ...

    def score(
        self, questions: Sequence[Question], judgements: Sequence[Judgement]
    ) -> list[tuple[float | None, Mapping[str, float | None]]]:
        """(reward, terms) of each probe. Scoring does not change the history; `remember` does."""
        ...

    def remember(self, questions: Sequence[PastQuestion]) -> None:
        """Append valid questions, oldest first, to the history that novelty is scored against."""
        ...


class ProbeStore(Protocol):
    """Where probes are kept. One writer, any number of readers."""

    def add(self, probes: Sequence[Probe]) -> None:
        """Write all of them or none."""
        ...

    def add_step(self, phase: str, attempt: int, step: int, metrics: Mapping[str, Any]) -> None:
        """Write the metrics of one step."""
        ...

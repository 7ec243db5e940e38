"""Description-difference: ask where the questioner's description of an image and the target's differ.

After ConMe (Huang et al., arXiv 2406.08164), where a strong VLM sees what weaker ones say of an image and writes
questions about what they miss. Where this departs from it: one question at a time for any verifier instead of a
multiple-choice item, one target instead of several, no filter of its own behind it, since the verifier judges every
question anyway. It cannot be had with the bundled models, which neither describe images nor read descriptions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from gadfly.protocols import ChatModel
from gadfly.records import Completion, Image, Message, Sampling
from gadfly.roles.asking import Asker, Wish
from gadfly.roles.prompts import fill, load_prompt, quote
from gadfly.roles.topics import NO_TOPICS, Topics

DESCRIPTION = Sampling(max_new_tokens=160)
"""A few sentences, greedy: the same image is described alike whenever it comes up."""


@final
class DifferenceQuestioner:
    """A Questioner. Each image is described once by either model; the target's descriptions are calls of the target and
    count as such."""

    def __init__(
        self, model: ChatModel, template: str, sampling: Sampling, topics: Topics = NO_TOPICS, *, target: ChatModel
    ) -> None:
        self._model = model
        self._target = target
        self._asker = Asker(model, template, sampling, topics)
        self._note = load_prompt("asking_difference")
        self._describe = load_prompt("describe")
        self._known: dict[str, tuple[Completion, Completion]] = {}

    def ask(self, images: Sequence[Image], seed: int) -> list[Completion]:
        """An image that cannot be described has that fault in place of a question."""
        described = self._described(images)
        wishes: list[Wish] = []
        faults: dict[int, Completion] = {}
        for place, image in enumerate(images):
            mine, theirs = described[image.id]
            if mine.text is None or theirs.text is None:
                faults[place] = Completion(error=f"no description: {mine.error or theirs.error}")
            else:
                wishes.append(Wish(image, fill(self._note, mine=quote(mine.text), theirs=quote(theirs.text))))
        asked = iter(self._asker.ask(wishes, seed))
        return [faults[place] if place in faults else next(asked) for place in range(len(images))]

    def _described(self, images: Sequence[Image]) -> dict[str, tuple[Completion, Completion]]:
        """(questioner's, target's) description of each image by its id. What failed is tried again another time."""
        new = list({image.id: image for image in images if image.id not in self._known}.values())
        chats = [(Message("user", (image, self._describe)),) for image in new]
        mine, theirs = (model.complete(chats, DESCRIPTION) if chats else [] for model in (self._model, self._target))
        made = {image.id: (one, other) for image, one, other in zip(new, mine, theirs, strict=True)}
        self._known |= {i: pair for i, pair in made.items() if all(one.text is not None for one in pair)}
        return {**self._known, **made}

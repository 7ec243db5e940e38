"""Turns images and prompts into the data sets that trl wants, decoding pictures as they are needed. Knows no reward.

The data sets hold indices only; rows are made when they are read. Memory holds the pictures of one batch, not of all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from datasets import Dataset
from PIL.Image import Image as Picture

from gadfly.records import Chat, Image

IMAGE_INDEX = "image_index"
PLACE = "place"
Row = dict[str, list[Any]]


def chat_messages(chat: Chat) -> list[dict[str, Any]]:
    """A chat in the form that trl and the chat templates take; pictures are left as placeholders."""
    return [
        {
            "role": message.role,
            "content": [
                {"type": "text", "text": part} if isinstance(part, str) else {"type": "image"} for part in message.parts
            ],
        }
        for message in chat
    ]


def prompt_dataset(
    images: Sequence[Image],
    order: Sequence[int],
    open_image: Callable[[Image], Picture],
    prompt_chat: Callable[[Image, int], Chat],
) -> Dataset:
    """One row for each place in `order`: `prompt`, `image` (the decoded picture), `image_index` and `place`.

    The order of the whole run is laid down here and trl is told not to shuffle: its own sampler begins the same
    permutation anew after a resume and drops the images that do not fill a batch.
    """
    pictures = _BatchPictures(open_image)

    def rows(batch: Row) -> Row:
        chosen = [images[index] for index in batch[IMAGE_INDEX]]
        return {
            "prompt": [
                chat_messages(prompt_chat(image, place)) for image, place in zip(chosen, batch[PLACE], strict=True)
            ],
            "image": pictures.of(chosen),
            IMAGE_INDEX: list(batch[IMAGE_INDEX]),
            PLACE: list(batch[PLACE]),
        }

    return Dataset.from_dict({IMAGE_INDEX: list(order), PLACE: range(len(order))}).with_transform(rows)


def pair_dataset(
    pairs: Sequence[tuple[Image, str]],
    open_image: Callable[[Image], Picture],
    prompt_chat: Callable[[Image, int], Chat],
) -> Dataset:
    """One row for each (image, question): `prompt`, `completion`, `image`. The prompt is the first of RL's."""
    pictures = _BatchPictures(open_image)

    def rows(batch: Row) -> Row:
        chosen = [pairs[index] for index in batch["pair"]]
        return {
            "prompt": [chat_messages(prompt_chat(image, 0)) for image, _ in chosen],
            "completion": [[{"role": "assistant", "content": text}] for _, text in chosen],
            "image": pictures.of([image for image, _ in chosen]),
        }

    return Dataset.from_dict({"pair": list(range(len(pairs)))}).with_transform(rows)


class _BatchPictures:
    """The decoded pictures of the latest batch. trl reads a batch once for each micro-batch of an update, and each
    image once for each probe of its group: without this, a picture would be decoded that many times."""

    def __init__(self, open_image: Callable[[Image], Picture]) -> None:
        self._open = open_image
        self._latest: dict[str, Picture] = {}

    def of(self, images: Sequence[Image]) -> list[Picture]:
        batch: dict[str, Picture] = {}
        for image in images:
            if image.id not in batch:
                batch[image.id] = self._latest[image.id] if image.id in self._latest else self._open(image)
        self._latest = batch
        return [batch[image.id] for image in images]

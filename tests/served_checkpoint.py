"""A checkpoint behind the loopback server: it answers what the same checkpoint answers in this process."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import PIL.Image
from PIL.Image import Image as Picture

from gadfly.models.local import LocalModel
from gadfly.records import Image, Message, Sampling
from loopback_server import Body


class ServedCheckpoint:
    """The `answer` of a LoopbackServer. One request at a time, each a batch of its own."""

    def __init__(self, checkpoint: Path) -> None:
        self._pictures: dict[str, Picture] = {}
        self._model = LocalModel(checkpoint, lambda image: self._pictures[image.id], device="cpu")

    def __call__(self, body: Body) -> str:
        chat = tuple(Message(one["role"], tuple(map(self._part, _parts(one["content"])))) for one in body["messages"])
        sampling = Sampling(body["max_tokens"], body["temperature"], body.get("top_p", 1.0), body.get("seed", 0))
        (completion,) = self._model.complete([chat], sampling)
        assert completion.text is not None, completion.error
        return completion.text

    def _part(self, part: Body) -> str | Image:
        if part["type"] == "text":
            return str(part["text"])
        data = part["image_url"]["url"].split(",", 1)[1]
        picture = PIL.Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")
        self._pictures[data] = picture
        return Image(data, "sent", *picture.size)


def _parts(content: str | list[Body]) -> list[Body]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content

"""A checkpoint run in this process through transformers. Knows nothing of roles or image sources.

One road for all: a bundled five-million-parameter checkpoint loads and runs as a 7B model does.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final, Literal

import torch
import transformers
from PIL.Image import Image as Picture
from transformers import GenerationConfig

from gadfly.errors import ModelError
from gadfly.models.checkpoint import Loading, count_image_tokens, files_stamp, load_checkpoint
from gadfly.models.shared_prefix import Prompt, complete, encode, plan, why_not
from gadfly.models.shared_sight import see_once
from gadfly.models.text_only import TextProcessor
from gadfly.overlap import go_on
from gadfly.records import Chat, Completion, Image, Message, Sampling

Device = Literal["auto", "cpu", "cuda"] | str
Dtype = Literal["auto", "float32", "bfloat16", "float16"]

_MIN_CONTROL_TOKEN_CHARS: Final = 3
_TURN: Final = threading.Lock()
"""Who holds it computes. All local models share a device and torch's one stream of random numbers."""


class LocalModel:
    """A ChatModel over a checkpoint, given by folder or hub id.

    `open_image` gives the pixels of an image. `device` "auto" is CUDA where present, else the CPU; `dtype` "auto" is
    that of the checkpoint; `loading` is the rest of how it is brought into memory. At most `max_batch` chats go
    through one forward pass.

    Sampling is the whole of how it decodes: repetition penalties, top-k and the like that a checkpoint's generation
    config brings along are left out, so that two models are asked in the same way.

    A chat that fails (its image cannot be opened, the prompt is too long, memory runs out even when it runs alone) is
    a completion with an error; the others of its batch are completed all the same. Threads take turns,
    whichever model they ask.

    Raises ModelError where the checkpoint cannot be loaded or cannot serve as a vision-language model; with `text_only`
    it may be a plain language model too.
    """

    def __init__(
        self,
        checkpoint: str | Path,
        open_image: Callable[[Image], Picture],
        *,
        name: str | None = None,
        device: Device = "auto",
        dtype: Dtype = "auto",
        max_batch: int = 16,
        loading: Loading | None = None,
        text_only: bool = False,
    ) -> None:
        assert max_batch >= 1, f"max_batch is {max_batch}"
        self._name = str(checkpoint) if name is None else name
        self._open_image = open_image
        self._max_batch = max_batch
        self._device = _device(device)
        loading = Loading() if loading is None else loading
        self._model, self._processor = load_checkpoint(
            str(checkpoint), self._device, dtype, loading, text_only=text_only
        )
        if loading.placed_by_transformers:
            self._device = self._model.device  # where inputs go in, and where answers come out
        how = {"files": files_stamp(str(checkpoint), self._model.config), "device": self._device.type, "dtype": dtype}
        libraries = {"torch": torch.__version__, "transformers": transformers.__version__}
        self._fingerprint = json.dumps({**how, **asdict(loading), **libraries}, sort_keys=True)
        tokenizer = self._processor.tokenizer
        tokenizer.padding_side = "left"  # a decoder continues from the last position: padding there corrupts silently
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        self._eos_ids = _eos_ids(self._model.generation_config.eos_token_id, tokenizer.eos_token_id)
        self._model.generation_config = GenerationConfig(
            eos_token_id=sorted(self._eos_ids) or None, pad_token_id=tokenizer.pad_token_id
        )
        self._control_tokens = _control_tokens(self._processor)
        self._plain = self._processor.chat_template is None
        self._pad_id: int = tokenizer.pad_token_id
        self.shares_no_prefix = why_not(self._model)
        """Why chats about one image are not computed together; None where they are."""

    @property
    def name(self) -> str:
        return self._name

    @property
    def fingerprint(self) -> str:
        """All besides chats and sampling that a greedy answer depends on, as a text: for the key of a cache."""
        return self._fingerprint

    def count_tokens(self, text: str) -> int:
        """The length of a text in this model's tokens, without special ones."""
        return len(self._processor.tokenizer(text, add_special_tokens=False)["input_ids"])

    def require_chats_without_image(self) -> None:
        """Raise ModelError where this model cannot take a chat without an image, as a verifier that compares two
        answers puts to it."""
        if self._plain:
            raise ModelError(
                f"{self._name} takes one image and one text and never a text alone, so it cannot be the verifier, "
                "which compares answers without the image, nor the annotator; it can be the target"
            )

    def require_images(self) -> None:
        """Raise ModelError where this is a plain language model, which only the annotator can be."""
        if isinstance(self._processor, TextProcessor):
            raise ModelError(
                f"{self._name} is a text-only model; it can be the annotator, and any other role needs a "
                "vision-language checkpoint"
            )

    @property
    def is_plain(self) -> bool:
        """Whether it takes one image and one text, and no turns."""
        return self._plain

    @property
    def description(self) -> str:
        """What was loaded, for people."""
        n = sum(one.numel() for one in self._model.parameters())
        kind, dtype = type(self._model).__name__, str(self._model.dtype).removeprefix("torch.")
        return f"{kind}, {n / 1e6:,.1f} M parameters, {dtype}, on {self._device}"

    def count_image_tokens(self, image: Image) -> tuple[int, int]:
        """(tokens that stand for this image in a prompt, vision features that the model makes of it). They must be
        equal: a feature takes the place of each token.

        Raises ModelError where the two cannot be counted, where the prompt cannot be made, or where a batch is padded
        on the right; ImageError for an image that cannot be opened.
        """
        picture = self._open_image(image)
        chats = [(Message("user", (image, text)),) for text in ("What?", "What is it that stands on the left here?")]
        try:
            with torch.inference_mode():
                inputs = self._ready(
                    encode([self._prompt(chat, {image.id: picture}) for chat in chats], self._processor)
                )
                tokens, features = count_image_tokens(self._model, inputs)
        except ModelError:
            raise
        except Exception as error:  # whatever a processor or a vision tower may raise: it is this checkpoint's fault
            raise ModelError(
                f"{self._name} cannot take an image into its prompt ({_one_line(error)}); its processor and model do "
                "not fit together, or it is a family that is not supported"
            ) from error
        return tokens // len(chats), features // len(chats)

    def complete(self, chats: Sequence[Chat], sampling: Sampling) -> list[Completion]:
        """Completions in order. Greedy ones do not depend on what else is in the batch (up to rounding); sampled ones
        are the same for the same chats in the same order and the same seed. No global random state is touched."""
        with _TURN:
            return self._complete(chats, sampling)

    def _complete(self, chats: Sequence[Chat], sampling: Sampling) -> list[Completion]:
        completions: dict[int, Completion] = {}
        pictures, broken = self._pictures(chats)
        sound: list[int] = []
        for index, chat in enumerate(chats):
            fault = next((broken[image.id] for image in _images(chat) if image.id in broken), None)
            if fault is None:
                sound.append(index)
            else:
                completions[index] = Completion(error=fault)
        for batch in self._batches(chats, sound):
            go_on()
            completions |= self._run([(index, chats[index]) for index in batch], pictures, sampling)
        return [completions[index] for index in range(len(chats))]

    def _pictures(self, chats: Sequence[Chat]) -> tuple[dict[str, Picture], dict[str, str]]:
        """Every image of the chats, opened once; and the reason for each that cannot be opened."""
        pictures: dict[str, Picture] = {}
        broken: dict[str, str] = {}
        for image in {image.id: image for chat in chats for image in _images(chat)}.values():
            try:
                pictures[image.id] = self._open_image(image)
            except Exception as error:  # noqa: BLE001 - a stage's end: a fault of one image is data
                broken[image.id] = _one_line(error)
        return pictures, broken

    def _batches(self, chats: Sequence[Chat], indices: Sequence[int]) -> Iterator[list[int]]:
        """Batches of chats that need little padding: alike in their images first, since those make the most tokens,
        and about the same images next, since these are computed together.

        Chats with and without images never mix: many processors cannot take both at once.
        """

        def size(index: int) -> tuple[int, list[str], int]:
            images = _images(chats[index])
            pixels = sum(image.width_px * image.height_px for image in images)
            return (
                pixels,
                [image.id for image in images],
                sum(len(part) for message in chats[index] for part in message.parts if isinstance(part, str)),
            )

        for with_images in (False, True):
            alike = sorted((i for i in indices if bool(_images(chats[i])) == with_images), key=size)
            for start in range(0, len(alike), self._max_batch):
                yield alike[start : start + self._max_batch]

    def _run(
        self, batch: Sequence[tuple[int, Chat]], pictures: dict[str, Picture], sampling: Sampling
    ) -> dict[int, Completion]:
        """Complete one batch; where it fails, each half of it, down to the chats that fail alone."""
        try:
            texts = self._generate([chat for _, chat in batch], pictures, sampling, row=batch[0][0])
        except ModelError:
            raise
        except Exception as error:  # noqa: BLE001 - a stage's end: a fault of one chat is data
            fault = _one_line(error)
        else:
            return {index: Completion(text) for (index, _), text in zip(batch, texts, strict=True)}
        # Outside the except clause, so that the traceback no longer holds the tensors of the failed pass.
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        if len(batch) == 1:
            return {batch[0][0]: Completion(error=fault)}
        middle = len(batch) // 2
        return self._run(batch[:middle], pictures, sampling) | self._run(batch[middle:], pictures, sampling)

    def _generate(self, chats: Sequence[Chat], pictures: dict[str, Picture], sampling: Sampling, row: int) -> list[str]:
        """The texts of one forward pass. `row` is the place of the first chat in the call: it sets passes of one call
        apart, which would otherwise all draw the same random numbers."""
        prompts = [self._prompt(chat, pictures) for chat in chats]
        cuda = [self._device] if self._device.type == "cuda" else []
        with torch.inference_mode(), torch.random.fork_rng(devices=cuda):
            _seed(sampling.seed, row, self._device)
            shared = None
            if self.shares_no_prefix is None:
                shared = plan(prompts, self._model, self._processor, sampling.max_new_tokens)
            if shared is None:
                ids_B_T = self._generate_apart(prompts, sampling)
            else:
                inputs = self._ready(shared.inputs)
                ids_B_T = complete(replace(shared, inputs=inputs), self._model, sampling, self._eos_ids, self._pad_id)
        return [self._decode(ids_T) for ids_T in ids_B_T]

    def _generate_apart(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[list[int]]:
        """The new tokens of each prompt, with no prefix in common."""
        inputs = see_once(self._ready(encode(prompts, self._processor)), prompts, self._model)
        sampled = sampling.temperature > 0
        # Left to itself, transformers would keep only the 50 likeliest tokens.
        how = {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0} if sampled else {}
        output_B_T = self._model.generate(**inputs, max_new_tokens=sampling.max_new_tokens, do_sample=sampled, **how)
        new: list[list[int]] = output_B_T[:, inputs["input_ids"].shape[1] :].tolist()
        return new

    def _ready(self, inputs: Any) -> dict[str, Any]:
        """The processor's tensors on the model's device, in its precision. Raises ModelError if padded on the right."""
        if not bool(inputs["attention_mask"][:, -1].all()):
            raise ModelError(f"{self._name} pads on the right whatever it is told; its answers would be corrupted")
        return dict(inputs.to(self._device, dtype=self._model.dtype))

    def _prompt(self, chat: Chat, pictures: dict[str, Picture]) -> Prompt:
        images = tuple(image.id for image in _images(chat))
        return Prompt(self._render(chat), images, tuple(pictures[image] for image in images))

    def _render(self, chat: Chat) -> str:
        """The prompt as the checkpoint's own template writes it, an image token where each image stands."""
        if self._plain:
            return render_plain(chat, self._processor.image_token, self._control_tokens)
        conversation = [
            {"role": message.role, "content": [self._part(part) for part in message.parts]} for message in chat
        ]
        text: str = self._processor.apply_chat_template(conversation, add_generation_prompt=True, tokenize=False)
        return text

    def _part(self, part: str | Image) -> dict[str, str]:
        if isinstance(part, Image):
            return {"type": "image"}
        return {"type": "text", "text": defuse(part, self._control_tokens)}

    def _decode(self, ids_T: list[int]) -> str:
        end = next((place for place, token in enumerate(ids_T) if token in self._eos_ids), len(ids_T))
        text: str = self._processor.tokenizer.decode(ids_T[:end], skip_special_tokens=True)
        return text.strip()


def defuse(text: str, control_tokens: Sequence[str]) -> str:
    """The text with a blank inside every control token, so that what one model wrote cannot end a turn, open another
    or claim an image in the prompt of the next. Longer tokens first, as tokenizers match them."""
    for token in control_tokens:
        text = text.replace(token, f"{token[0]} {token[1:]}")
    return text


def render_plain(chat: Chat, image_token: str, control_tokens: Sequence[str]) -> str:
    """The prompt of a model without turns: its images, then its text. The processor adds what else belongs to it.

    Raises ValueError for a chat of several messages, or one whose text does not come last.
    """
    if len(chat) != 1 or chat[0].role != "user":
        raise ValueError("this model has no chat template: it takes a single message of the user's")
    parts = chat[0].parts
    images = [part for part in parts if isinstance(part, Image)]
    texts = [part for part in parts if isinstance(part, str)]
    if (*images, *texts) != parts:
        raise ValueError("this model has no chat template: it takes images first, then text")
    return image_token * len(images) + defuse("".join(texts), control_tokens)


def _control_tokens(processor: Any) -> tuple[str, ...]:
    """Added tokens that are special, or that the template writes; longest first."""
    template = str(processor.chat_template)
    added = processor.tokenizer.added_tokens_decoder.values()
    tokens = {one.content for one in added if one.special or one.content in template}
    tokens.add(getattr(processor, "image_token", None) or "")
    wanted = (token for token in tokens if len(token.strip()) >= _MIN_CONTROL_TOKEN_CHARS)
    return tuple(sorted(wanted, key=lambda token: (-len(token), token)))


def _images(chat: Chat) -> list[Image]:
    return [part for message in chat for part in message.parts if isinstance(part, Image)]


def _device(device: str) -> torch.device:
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ModelError(f'device "{device}" was asked for, but no CUDA device is there; use "auto" or "cpu"')
    try:
        return torch.device(device)
    except RuntimeError:
        raise ModelError(f'unknown device "{device}"; use "auto", "cpu" or "cuda"') from None


def _seed(seed: int, row: int, device: torch.device) -> None:
    """Seed the generators of this device alone (torch.manual_seed would reach those that were not put aside)."""
    mixed = int.from_bytes(hashlib.sha256(f"{seed}:{row}".encode()).digest()[:7], "big")
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(mixed)
    torch.default_generator.manual_seed(mixed)


def _eos_ids(*given: int | list[int] | None) -> frozenset[int]:
    """Everything that ends a completion, according to the checkpoint's generation config and to its tokenizer."""
    return frozenset(one for some in given if some is not None for one in (some if isinstance(some, list) else [some]))


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"

"""Completions about one image, computed together: for each family those given one at a time, token for token."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as pil
from PIL.Image import Image as Picture

from families import build_family
from gadfly.models.local import LocalModel
from gadfly.models.shared_prefix import SHARING
from gadfly.records import Chat, Image, Message, Sampling
from gadfly.roles.prompts import load_prompt
from gadfly.roles.questioner import questioner_prompt
from gadfly.testbed.checkpoints import bundled

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

GREEDY = Sampling(max_new_tokens=10)
SIZES_PX = [(120, 100), (200, 50), (60, 90)]  # other numbers of image tokens, so that prefixes differ in length
IMAGES = [Image(f"{i:064x}", f"{i}.png", *size) for i, size in enumerate(SIZES_PX)]
LONG = "What colour is the small circle on the left of the large triangle above the yellow star?"


def picture(image: Image) -> Picture:
    pixels = np.random.default_rng(int(image.id, 16)).integers(0, 256, (image.height_px, image.width_px, 3), np.uint8)
    return pil.fromarray(pixels)


def ask(image: Image, text: str) -> Chat:
    return (Message("user", (image, text)),)


# Three about one image, two about another, one alone; two images in one chat; a beginning in other words.
CHATS: list[Chat] = [
    ask(IMAGES[0], "How many?"),
    ask(IMAGES[1], LONG),
    ask(IMAGES[0], LONG),
    ask(IMAGES[2], "Is it?"),
    ask(IMAGES[0], "How red?"),
    ask(IMAGES[1], "Is it green?"),
    (Message("user", (IMAGES[0], IMAGES[1], "Which?")),),
    (Message("user", (IMAGES[0], IMAGES[1], "Which of them is red?")),),
    (Message("system", ("Be brief.",)), Message("user", (IMAGES[0], "How many?"))),
]


def build(name: str, folder: Path) -> Path:
    checkpoint = build_family(name, folder)
    if name.startswith("gemma"):  # their test windows are shorter than a prompt
        set_window(checkpoint, 1024)
    return checkpoint


def set_window(checkpoint: Path, tokens: int) -> None:
    config = json.loads((checkpoint / "config.json").read_text())
    config["text_config"]["sliding_window"] = tokens
    (checkpoint / "config.json").write_text(json.dumps(config))


def local(checkpoint: Path) -> LocalModel:
    return LocalModel(checkpoint, picture, device="cpu", dtype="float32")


def refuse(*_: Any, **__: Any) -> Any:
    raise AssertionError("generate was called: nothing was shared")


@pytest.mark.parametrize("name", sorted(SHARING))
def test_shared_completions_are_those_given_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    model = local(build(name, tmp_path))
    alone = [model.complete([chat], GREEDY)[0] for chat in CHATS]
    assert all(one.error is None for one in alone)
    assert len({one.text for one in alone}) > 4, "this test shows little unless the replies differ"
    monkeypatch.setattr(type(model._model), "generate", refuse)
    assert model.complete(CHATS, GREEDY) == alone


@pytest.mark.parametrize("name", sorted(SHARING))
def test_a_prefix_is_seen_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    model = local(build(name, tmp_path))
    prepared: list[int] = []
    processor = type(model._processor.image_processor)
    prepare: Any = processor.preprocess

    def counted(self: Any, images: Any, *args: Any, **kwargs: Any) -> Any:
        prepared.append(1)
        return prepare(self, images, *args, **kwargs)

    monkeypatch.setattr(processor, "preprocess", counted)
    seen: list[int] = []
    vision = model._model.get_encoder("image")
    vision.register_forward_pre_hook(lambda _, args, kwargs: seen.append(1), with_kwargs=True)
    widths: list[tuple[int, ...]] = []
    model._model.get_decoder().register_forward_pre_hook(
        lambda _, args, kwargs: widths.append(tuple(kwargs["inputs_embeds"].shape[:2])), with_kwargs=True
    )
    model.complete([ask(IMAGES[0], f"How many {word}?") for word in "red blue green star".split()], GREEDY)
    assert seen == prepared == [1]
    reads = [4] if name != "qwen3_5" else [3, 1]  # "star" is another number of tokens, and padding would be read along
    assert [rows for rows, _ in widths[: 2 + len(reads)]] == [1, *reads, 4]
    assert widths[0][1] > widths[1][1], "the image's tokens belong to the prefix"
    assert {width for _, width in widths[1 + len(reads) :]} == {1}, "what is new is read by all together"


def test_sampling_follows_the_seed_and_rows_differ(tmp_path: Path) -> None:
    model = local(build("llava", tmp_path))
    chats = [ask(IMAGES[0], "How many?")] * 6
    sampling = Sampling(max_new_tokens=10, temperature=1.0, top_p=0.9, seed=3)
    first = model.complete(chats, sampling)
    assert model.complete(chats, sampling) == first
    assert len({one.text for one in first}) == 6


@pytest.mark.parametrize("name", sorted(SHARING))
def test_what_is_finished_leaves_the_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    model = local(build(name, tmp_path))
    chats = [*CHATS[:6], *(ask(IMAGES[0], f"What colour is the {word}?") for word in "red blue green star".split())]
    written: list[list[int]] = []
    decode = model._decode

    def kept(ids: list[int]) -> str:
        written.append(ids)
        return decode(ids)

    monkeypatch.setattr(model, "_decode", kept)
    whole = [model.complete([chat], GREEDY)[0] for chat in chats]
    ends = {ids[n % 7] for n, ids in enumerate(written) if n % 2 == 0}  # what some write early now ends their replies
    model._eos_ids = frozenset(ends)
    model._model.generation_config.eos_token_id = sorted(ends)
    alone = [model.complete([chat], GREEDY)[0] for chat in chats]
    assert alone != whole
    rows: list[int] = []
    model._model.get_decoder().register_forward_pre_hook(
        lambda _, args, kwargs: rows.append(kwargs["inputs_embeds"].shape[0]), with_kwargs=True
    )
    monkeypatch.setattr(type(model._model), "generate", refuse)
    assert model.complete(chats, GREEDY) == alone
    assert rows[-1] < max(rows), "all went on to the end"


def test_words_that_a_model_does_not_know_share_a_prefix_too(monkeypatch: pytest.MonkeyPatch) -> None:
    model = LocalModel(bundled("questioner"), picture, device="cpu")
    prompts = [questioner_prompt(load_prompt("testbed_questioner"), topic) for topic in ("", "counting", "zebras")]
    monkeypatch.setattr(type(model._model), "generate", refuse)
    replies = model.complete([ask(IMAGES[0], prompt) for prompt in prompts], GREEDY)
    assert all(one.error is None and one.text for one in replies), replies


def test_a_window_that_would_be_overrun_is_not_shared(tmp_path: Path) -> None:
    checkpoint = build_family("gemma3", tmp_path)
    model = local(checkpoint)
    assert model.complete(CHATS, GREEDY) == [model.complete([chat], GREEDY)[0] for chat in CHATS]
    set_window(checkpoint, 1024)
    assert local(checkpoint).complete(CHATS, GREEDY) != model.complete(CHATS, GREEDY), "the window makes no difference"


def test_paligemma_shares_no_prefix_says_why_and_sees_an_image_once(tmp_path: Path) -> None:
    """Its prompts are attended to in both directions: what it makes of an image depends on the question behind it."""
    model = local(build_family("paligemma", tmp_path))
    assert model.shares_no_prefix is not None and "in both directions" in model.shares_no_prefix
    chats = [ask(IMAGES[0], "How many?"), ask(IMAGES[1], "Is it?"), ask(IMAGES[0], LONG), ask(IMAGES[0], "How red?")]
    alone = [model.complete([chat], GREEDY)[0] for chat in chats]
    assert all(one.error is None for one in alone) and len({one.text for one in alone}) == 4
    seen: list[int] = []
    vision = model._model.get_encoder("image")
    vision.register_forward_pre_hook(
        lambda _, args, kwargs: seen.append(len([*args, *kwargs.values()][0])), with_kwargs=True
    )
    assert model.complete(chats, GREEDY) == alone
    assert seen == [2], "two images, four chats"

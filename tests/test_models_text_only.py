"""Plain language models: loaded for the annotator alone, through the road that all checkpoints take."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL.Image import Image as Picture
from transformers import LlamaConfig, LlamaForCausalLM

from gadfly.config import from_dict
from gadfly.errors import ModelError
from gadfly.finding_parts import TEXTS_ALONE
from gadfly.models.local import LocalModel
from gadfly.models.text_only import TextProcessor
from gadfly.records import Chat, Completion, Image, Message, Sampling
from gadfly.roles.annotator import ModelAnnotator
from gadfly.testbed.vlm import build_processor
from gadfly.wiring import Wiring

TEMPLATE = (  # as those of language models, it takes a message for one text
    "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + ' ' }}{% endfor %}"
)
IMAGE = Image("0" * 64, "a.png", 8, 8)


def unseen(image: Image) -> Picture:
    raise AssertionError("a language model opens no image")


def build_language_model(folder: Path) -> Path:
    """A Llama of random weights with the testbed's tokenizer."""
    tokenizer = build_processor().tokenizer
    tokenizer.chat_template = TEMPLATE
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2
    )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        model = LlamaForCausalLM(config)
        for parameter in model.parameters():
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_language_model(tmp_path_factory.mktemp("language"))


def chat(*texts: str) -> Chat:
    return tuple(Message(("user", "assistant")[i % 2], (text,)) for i, text in enumerate(texts))


def test_it_completes_texts_and_no_chat_depends_on_its_batch(folder: Path) -> None:
    model = LocalModel(folder, unseen, device="cpu", text_only=True)
    chats = [chat("how many red stars?"), chat("is it red?", "no", "which colour is the star left of it?"), chat("red")]
    how = Sampling(max_new_tokens=6)
    together = model.complete(chats, how)
    assert together == [model.complete([one], how)[0] for one in chats]
    assert all(one.text is not None for one in together) and len({one.text for one in together}) > 1
    sampled = Sampling(max_new_tokens=6, temperature=1.0, seed=3)
    assert model.complete(chats, sampled) == model.complete(chats, sampled)
    assert model.count_tokens("how many") >= 2 and "LlamaForCausalLM" in model.description


def test_a_chat_with_an_image_is_its_own_fault(folder: Path) -> None:
    model = LocalModel(folder, lambda image: Picture(), device="cpu", text_only=True)
    seen, plain = model.complete([(Message("user", (IMAGE, "what?")),), chat("what?")], Sampling(max_new_tokens=2))
    assert seen == Completion(error="ValueError: this is a language model: it takes no image")
    assert plain.text is not None


def test_it_is_for_the_annotator_alone(folder: Path) -> None:
    with pytest.raises(ModelError, match="it is a text-only model"):
        LocalModel(folder, unseen, device="cpu")
    with pytest.raises(ModelError, match="text-only model; it can be the annotator"):
        LocalModel(folder, unseen, device="cpu", text_only=True).require_images()


def test_roles_share_a_checkpoint_only_where_it_can_take_both(folder: Path, checkpoint: Path) -> None:
    """The images are not there: no annotator needs them."""
    nowhere = {"images": {"path": "nowhere"}, "cache": {"max_bytes": 0}}
    wiring = Wiring(from_dict({**nowhere, "annotator": {"model": str(folder)}, "target": {"model": str(folder)}}))
    annotator = wiring.annotator
    assert isinstance(annotator, ModelAnnotator)
    assert annotator.skills(["how many red stars?"]) == [None]  # it has random weights
    assert annotator.unknown.unreadable == 1
    assert {role: used.calls for role, used in wiring.ledger.usages().items()} == {"annotator": 2}
    with pytest.raises(ModelError, match="it can be the annotator"):
        _ = wiring.target
    # A vision-language model serves both, and is loaded once.
    both = Wiring(from_dict({**nowhere, "annotator": {"model": str(checkpoint)}, "target": {"model": str(checkpoint)}}))
    assert both.annotator is not None and both.target is not None
    config = both.config
    assert both.pool.local(config.annotator, TEXTS_ALONE) is both.local("target", config.target)


def test_what_lacks_a_template_is_refused(folder: Path) -> None:
    tokenizer = build_processor().tokenizer
    assert TextProcessor(tokenizer).chat_template is None
    copy = folder.parent / "bare"
    LlamaForCausalLM.from_pretrained(folder).save_pretrained(copy)
    tokenizer.save_pretrained(copy)
    with pytest.raises(ModelError, match="has no chat template"):
        LocalModel(copy, unseen, device="cpu", text_only=True)

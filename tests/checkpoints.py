"""Builds a tiny LLaVA with random weights and saves it as a checkpoint that the Auto classes load. For tests only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)


@dataclass(frozen=True)
class Size:
    """What a LLaVA is made of. `spread` is the deviation of its weights: large enough that replies differ between
    prompts, which they do not at the default scale (0.02)."""

    side_px: int = 96
    patch_px: int = 24
    vision: tuple[int, int, int] = (32, 2, 2)  # width, layers, heads
    text: tuple[int, int, int] = (64, 2, 4)
    vision_hidden: int = 64
    text_hidden: int = 128
    spread: float = 0.2

    @property
    def image_tokens(self) -> int:
        """ "default" drops the class token, which num_additional_image_tokens=1 counts in."""
        return (self.side_px // self.patch_px) ** 2


TINY = Size()
IMAGE_SIDE_PX, IMAGE_TOKENS = TINY.side_px, TINY.image_tokens

SPECIAL = ("<pad>", "<s>", "</s>", "<unk>", "<image>", "<|user|>", "<|assistant|>", "<|system|>")

CHAT_TEMPLATE = (
    "<s>{% for message in messages %}<|{{ message['role'] }}|>"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}</s>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)

TEXTS = (
    "How many red squares are there in the image? There are three of them.",
    "What colour is the small circle on the left? It is green, not blue.",
    "Is the large triangle above the yellow star? Yes, it is. No, it is not.",
)


def build_llava(folder: Path, seed: int = 0, size: Size = TINY) -> Path:
    """Save a LLaVA (CLIP and Llama) and its processor; returns `folder`."""
    tokenizer = _tokenizer()
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessor(
            size={"shortest_edge": size.side_px}, crop_size={"height": size.side_px, "width": size.side_px}
        ),
        tokenizer=tokenizer,
        patch_size=size.patch_px,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        image_token="<image>",
        chat_template=CHAT_TEMPLATE,
    )
    ids = {name: place for place, name in enumerate(SPECIAL)}  # the trainer gives them the first ids, in order
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=size.vision[0],
            intermediate_size=size.vision_hidden,
            num_hidden_layers=size.vision[1],
            num_attention_heads=size.vision[2],
            image_size=size.side_px,
            patch_size=size.patch_px,
            projection_dim=size.vision[0],
        ),
        text_config=LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=size.text[0],
            intermediate_size=size.text_hidden,
            num_hidden_layers=size.text[1],
            num_attention_heads=size.text[2],
            num_key_value_heads=size.text[2],
            max_position_embeddings=512,
            pad_token_id=ids["<pad>"],
            bos_token_id=ids["<s>"],
            eos_token_id=ids["</s>"],
        ),
        image_token_index=ids["<image>"],
        image_seq_length=size.image_tokens,
        vision_feature_select_strategy="default",
    )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = LlavaForConditionalGeneration(config)
        for parameter in model.parameters():
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, std=size.spread)
    model.generation_config.eos_token_id = ids["</s>"]
    model.generation_config.pad_token_id = ids["<pad>"]
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _tokenizer() -> PreTrainedTokenizerFast:
    backend = Tokenizer(models.BPE(unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=512,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(TEXTS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        extra_special_tokens=["<image>", "<|user|>", "<|assistant|>", "<|system|>"],
    )

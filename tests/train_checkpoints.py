"""Builds a tiny LLaVA with random weights in a folder, for tests of training. No network, no files but its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

_SENTENCES = """
is are what how many which colour shape the a of in on left right above below red green blue hard easy vague
silent ball cube cone dog cat tree car one two three ask short question about this image ? . USER: ASSISTANT:
"""
WORDS = _SENTENCES.split()
SPECIAL = ["<pad>", "<s>", "</s>", "<unk>", "<image>", "<mark>"]
TEMPLATE = (
    "{% for m in messages %}"
    "{% if m['role'] == 'user' %}USER: {% elif m['role'] == 'assistant' %} ASSISTANT: {% endif %}"
    "{% if m['content'] is string %}{{ m['content'] }}{% else %}{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<image> {% else %}{{ c['text'] }}{% endif %}{% endfor %}{% endif %}"
    "{% if m['role'] == 'assistant' %} </s>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %} ASSISTANT: {% endif %}"
)


def build_llava(
    path: Path, *, hidden: int = 32, layers: int = 2, padding_side: str = "left", template: bool = True, seed: int = 0
) -> Path:
    """Save a LLaVA of 96x96 px images, 16 image tokens each, and a vocabulary of words to `path`; returns `path`."""
    vocabulary = {word: index for index, word in enumerate([*SPECIAL, *WORDS])}
    backend = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    backend.pre_tokenizer = WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        additional_special_tokens=["<image>", "<mark>"],
        padding_side=padding_side,
    )
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessor(size={"shortest_edge": 96}, crop_size={"height": 96, "width": 96}),
        tokenizer=tokenizer,
        patch_size=24,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE if template else None,
    )
    sizes: dict[str, Any] = {"hidden_size": hidden, "intermediate_size": 4 * hidden, "num_hidden_layers": layers}
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            **sizes, num_attention_heads=4, image_size=96, patch_size=24, projection_dim=hidden
        ),
        text_config=LlamaConfig(
            **sizes,
            num_attention_heads=4,
            vocab_size=len(vocabulary),
            max_position_embeddings=256,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
        ),
        image_token_index=vocabulary["<image>"],
        image_seq_length=16,
    )
    torch.manual_seed(seed)
    LlavaForConditionalGeneration(config).save_pretrained(path)
    processor.save_pretrained(path)
    return path

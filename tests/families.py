"""Builds a tiny checkpoint of each supported family, with random weights and a tokenizer trained here. For tests only.

Each is saved and meant to be loaded by path through the Auto classes, as a checkpoint from the hub would be. What the
families have in common (a tokenizer, a chat template, a Llama-sized language model) is made once; what a family has of
its own stands in its function.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

BYTES_AND_MERGES = 320
TEXTS = (
    "How many red squares are there in the image? There are three of them.",
    "What colour is the small circle on the left? It is green, not blue.",
    "Is the large triangle above the yellow star? Yes, it is. No, it is not.",
    "Ask one short question about this image. Answer with a word. VERDICT: VALID or VERDICT: INVALID",
)
PAD, BOS, EOS, UNK = 0, 1, 2, 3
"""The ids of the first four special tokens in every tokenizer here."""

TEXT: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
VISION: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
ENDS: dict[str, Any] = {"pad_token_id": PAD, "bos_token_id": BOS, "eos_token_id": EOS}
# Settings that these configurations take without having them among their annotations.
GLOBAL_HEAD: dict[str, Any] = {"global_head_dim": 8}
PADDED: dict[str, Any] = {"pad_token_id": PAD}


@dataclass(frozen=True, slots=True)
class Family:
    """How to build one: `tokens` are its special tokens by the name that its processor knows them under."""

    build: Callable[[Tokens], tuple[Any, Any]]
    """(model, processor) for a tokenizer."""
    tokens: dict[str, str]
    image: str
    """What its chat template writes where an image stands."""
    template: bool = True
    adds_bos: bool = False
    """Whether the tokenizer puts the first token there by itself, although the template writes it too."""


class Tokens:
    """A trained tokenizer and the sizes and ids that a configuration needs."""

    def __init__(self, family: Family) -> None:
        special = ["<pad>", "<s>", "</s>", "<unk>", *dict.fromkeys(family.tokens.values()), "<|turn|>"]
        backend = Tokenizer(models.BPE(unk_token="<unk>"))
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=BYTES_AND_MERGES + len(special),
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        backend.train_from_iterator(TEXTS, trainer)
        if family.adds_bos:
            backend.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", BOS)])
        self.template = _template(family.image) if family.template else None
        self.tokenizer: Any = hf.PreTrainedTokenizerFast(
            tokenizer_object=backend,
            pad_token="<pad>",
            bos_token="<s>",
            eos_token="</s>",
            unk_token="<unk>",
            extra_special_tokens={**family.tokens, "turn_token": "<|turn|>"},
        )

    def __len__(self) -> int:
        return len(self.tokenizer)

    def id(self, token: str) -> int:
        found = self.tokenizer.convert_tokens_to_ids(token)
        assert isinstance(found, int) and found != UNK, token
        return found


def build_family(name: str, folder: Path, seed: int = 0) -> Path:
    """Save the checkpoint of a family to `folder`; returns `folder`."""
    family = FAMILIES[name]
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model, processor = family.build(Tokens(family))
        # The default scale (0.02) makes every continuation the same token; this makes replies differ between prompts.
        for parameter in model.parameters():
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, std=0.2)
    model.generation_config.eos_token_id = EOS
    model.generation_config.pad_token_id = PAD
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _template(image: str) -> str:
    return (
        "{{ bos_token }}{% for message in messages %}<|turn|>{{ message['role'] }}\n"
        "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}"
        "{% if part['type'] == 'image' %}" + image + "{% else %}{{ part['text'] }}{% endif %}"
        "{% endfor %}{% endif %}</s>{% endfor %}{% if add_generation_prompt %}<|turn|>assistant\n{% endif %}"
    )


def _llama(tokens: Tokens) -> Any:
    return hf.LlamaConfig(**TEXT, num_key_value_heads=2, vocab_size=len(tokens), max_position_embeddings=2048, **ENDS)


def _clip() -> Any:
    return hf.CLIPVisionConfig(**VISION, image_size=48, patch_size=12, projection_dim=32)


def _llava(tokens: Tokens) -> tuple[Any, Any]:
    config = hf.LlavaConfig(
        vision_config=_clip(),
        text_config=_llama(tokens),
        image_token_index=tokens.id("<image>"),
        image_seq_length=16,
    )
    processor = hf.LlavaProcessor(
        image_processor=hf.CLIPImageProcessor(size={"shortest_edge": 48}, crop_size={"height": 48, "width": 48}),
        tokenizer=tokens.tokenizer,
        patch_size=12,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=tokens.template,
    )
    return hf.LlavaForConditionalGeneration(config), processor


def _llava_next(tokens: Tokens) -> tuple[Any, Any]:
    grids = [[48, 96], [96, 48], [96, 96]]
    config = hf.LlavaNextConfig(
        vision_config=_clip(),
        text_config=_llama(tokens),
        image_token_index=tokens.id("<image>"),
        image_grid_pinpoints=grids,
        image_seq_length=16,
    )
    processor = hf.LlavaNextProcessor(
        image_processor=hf.LlavaNextImageProcessor(
            size={"shortest_edge": 48}, crop_size={"height": 48, "width": 48}, image_grid_pinpoints=grids
        ),
        tokenizer=tokens.tokenizer,
        patch_size=12,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=tokens.template,
    )
    return hf.LlavaNextForConditionalGeneration(config), processor


def _llava_onevision(tokens: Tokens) -> tuple[Any, Any]:
    grids = [[48, 48], [48, 96], [96, 48], [96, 96]]
    config = hf.LlavaOnevisionConfig(
        vision_config=hf.SiglipVisionConfig(**VISION, image_size=48, patch_size=12, vision_use_head=False),
        text_config=hf.Qwen2Config(
            **TEXT, num_key_value_heads=2, vocab_size=len(tokens), max_position_embeddings=2048, **ENDS
        ),
        image_token_index=tokens.id("<image>"),
        video_token_index=tokens.id("<video>"),
        image_grid_pinpoints=grids,
    )
    processor = hf.LlavaOnevisionProcessor(
        image_processor=hf.LlavaOnevisionImageProcessor(size={"height": 48, "width": 48}, image_grid_pinpoints=grids),
        tokenizer=tokens.tokenizer,
        video_processor=hf.LlavaOnevisionVideoProcessor(size={"height": 48, "width": 48}),
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        chat_template=tokens.template,
    )
    return hf.LlavaOnevisionForConditionalGeneration(config), processor


def _internvl(tokens: Tokens) -> tuple[Any, Any]:
    side = {"height": 48, "width": 48}
    config = hf.InternVLConfig(
        vision_config=hf.InternVLVisionConfig(**VISION, image_size=[48, 48], patch_size=[12, 12]),
        text_config=hf.Qwen2Config(
            **TEXT, num_key_value_heads=2, vocab_size=len(tokens), max_position_embeddings=2048, **ENDS
        ),
        image_token_id=tokens.id("<IMG_CONTEXT>"),
        image_seq_length=4,
    )
    processor = hf.InternVLProcessor(
        image_processor=hf.GotOcr2ImageProcessor(size=side, crop_to_patches=True, min_patches=1, max_patches=4),
        tokenizer=tokens.tokenizer,
        video_processor=hf.InternVLVideoProcessor(size=side),
        image_seq_length=4,
        chat_template=tokens.template,
    )
    return hf.InternVLForConditionalGeneration(config), processor


def _qwen_ids(tokens: Tokens) -> dict[str, Any]:
    return {
        "image_token_id": tokens.id("<|image_pad|>"),
        "video_token_id": tokens.id("<|video_pad|>"),
        "vision_start_token_id": tokens.id("<|vision_start|>"),
        "vision_end_token_id": tokens.id("<|vision_end|>"),
    }


def _qwen_image_processor(patch_px: int) -> Any:
    # Between 4 and 16 image tokens, so that wide and square images differ in their number of tokens.
    size = {"shortest_edge": 4 * (2 * patch_px) ** 2, "longest_edge": 16 * (2 * patch_px) ** 2}
    return hf.Qwen2VLImageProcessor(patch_size=patch_px, merge_size=2, size=size)


def _qwen2_5_vl(tokens: Tokens) -> tuple[Any, Any]:
    config = hf.Qwen2_5_VLConfig(
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "patch_size": 8,
            "window_size": 32,
            "out_hidden_size": 32,
            "fullatt_block_indexes": [1],
        },
        text_config={
            **TEXT,
            **ENDS,
            "num_key_value_heads": 2,
            "vocab_size": len(tokens),
            "max_position_embeddings": 2048,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]},
        },
        **_qwen_ids(tokens),
    )
    processor = hf.Qwen2_5_VLProcessor(
        image_processor=_qwen_image_processor(8),
        tokenizer=tokens.tokenizer,
        video_processor=hf.Qwen2VLVideoProcessor(patch_size=8),
        chat_template=tokens.template,
    )
    return hf.Qwen2_5_VLForConditionalGeneration(config), processor


def _qwen3_vision() -> dict[str, Any]:
    return {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_heads": 2,
        "patch_size": 8,
        "out_hidden_size": 32,
        "num_position_embeddings": 64,
    }


def _qwen3_processor(tokens: Tokens) -> Any:
    return hf.Qwen3VLProcessor(
        image_processor=_qwen_image_processor(8),
        tokenizer=tokens.tokenizer,
        video_processor=hf.Qwen3VLVideoProcessor(patch_size=8),
        chat_template=tokens.template,
    )


def _qwen3_vl(tokens: Tokens) -> tuple[Any, Any]:
    config = hf.Qwen3VLConfig(
        vision_config={**_qwen3_vision(), "deepstack_visual_indexes": [0]},
        text_config={
            **TEXT,
            **ENDS,
            "num_key_value_heads": 2,
            "head_dim": 8,
            "vocab_size": len(tokens),
            "max_position_embeddings": 2048,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]},
        },
        **_qwen_ids(tokens),
    )
    return hf.Qwen3VLForConditionalGeneration(config), _qwen3_processor(tokens)


def _qwen3_5(tokens: Tokens) -> tuple[Any, Any]:
    config = hf.Qwen3_5Config(
        vision_config=_qwen3_vision(),
        text_config={
            **TEXT,
            **ENDS,
            "num_key_value_heads": 2,
            "head_dim": 32,
            "vocab_size": len(tokens),
            "max_position_embeddings": 2048,
            "layer_types": ["linear_attention", "full_attention"],
            "linear_key_head_dim": 8,
            "linear_value_head_dim": 8,
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 2,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [2, 1, 1],
                "partial_rotary_factor": 0.25,
            },
        },
        **_qwen_ids(tokens),
    )
    return hf.Qwen3_5ForConditionalGeneration(config), _qwen3_processor(tokens)


def _gemma3(tokens: Tokens) -> tuple[Any, Any]:
    config = hf.Gemma3Config(
        vision_config=hf.SiglipVisionConfig(**VISION, image_size=48, patch_size=12, vision_use_head=False),
        text_config=hf.Gemma3TextConfig(
            **TEXT,
            **ENDS,
            num_key_value_heads=2,
            head_dim=8,
            query_pre_attn_scalar=8,
            vocab_size=len(tokens),
            max_position_embeddings=2048,
            sliding_window=12,  # shorter than a prompt, so that the window has something to cut off
            layer_types=["sliding_attention", "full_attention"],
        ),
        mm_tokens_per_image=4,
        tie_word_embeddings=False,  # tied and random, it would repeat its last token for ever
        boi_token_index=tokens.id("<start_of_image>"),
        eoi_token_index=tokens.id("<end_of_image>"),
        image_token_index=tokens.id("<image_soft_token>"),
    )
    processor = hf.Gemma3Processor(
        image_processor=hf.Gemma3ImageProcessor(size={"height": 48, "width": 48}),
        tokenizer=tokens.tokenizer,
        image_seq_length=4,
        chat_template=tokens.template,
    )
    return hf.Gemma3ForConditionalGeneration(config), processor


def _gemma4(tokens: Tokens) -> tuple[Any, Any]:
    config = hf.Gemma4Config(
        vision_config=hf.Gemma4VisionConfig(
            **VISION,
            num_key_value_heads=2,
            head_dim=16,
            patch_size=4,
            pooling_kernel_size=3,
            position_embedding_size=64,
        ),
        text_config=hf.Gemma4TextConfig(
            **TEXT,
            **ENDS,
            **GLOBAL_HEAD,
            num_key_value_heads=2,
            head_dim=8,
            vocab_size=len(tokens),
            vocab_size_per_layer_input=len(tokens),
            hidden_size_per_layer_input=8,
            max_position_embeddings=2048,
            sliding_window=12,
            layer_types=["sliding_attention", "full_attention"],
        ),
        audio_config=None,
        tie_word_embeddings=False,
        boi_token_id=tokens.id("<|image>"),
        eoi_token_id=tokens.id("<image|>"),
        image_token_id=tokens.id("<|image|>"),
        video_token_id=tokens.id("<|video|>"),
        audio_token_id=tokens.id("<|audio|>"),
        boa_token_id=tokens.id("<|audio>"),
        eoa_token_index=tokens.id("<audio|>"),
    )
    processor = hf.Gemma4Processor(
        feature_extractor=hf.Gemma4AudioFeatureExtractor(),
        image_processor=hf.Gemma4ImageProcessor(patch_size=4, pooling_kernel_size=3, max_soft_tokens=70),
        tokenizer=tokens.tokenizer,
        video_processor=hf.Gemma4VideoProcessor(patch_size=4, pooling_kernel_size=3),
        chat_template=tokens.template,
        image_seq_length=70,
    )
    return hf.Gemma4ForConditionalGeneration(config), processor


def _idefics_config(kind: Any, tokens: Tokens) -> Any:
    return kind(
        vision_config={**VISION, "image_size": 48, "patch_size": 12},
        text_config=_llama(tokens),
        image_token_id=tokens.id("<image>"),
        scale_factor=2,
        **PADDED,
    )


def _idefics3(tokens: Tokens) -> tuple[Any, Any]:
    config = _idefics_config(hf.Idefics3Config, tokens)
    processor = hf.Idefics3Processor(
        image_processor=hf.Idefics3ImageProcessor(size={"longest_edge": 96}, max_image_size={"longest_edge": 48}),
        tokenizer=tokens.tokenizer,
        image_seq_len=4,
        chat_template=tokens.template,
    )
    return hf.Idefics3ForConditionalGeneration(config), processor


def _smolvlm(tokens: Tokens) -> tuple[Any, Any]:
    config = _idefics_config(hf.SmolVLMConfig, tokens)
    processor = hf.SmolVLMProcessor(
        image_processor=hf.SmolVLMImageProcessor(size={"longest_edge": 96}, max_image_size={"longest_edge": 48}),
        tokenizer=tokens.tokenizer,
        video_processor=hf.SmolVLMVideoProcessor(max_image_size={"longest_edge": 48}, size={"longest_edge": 96}),
        image_seq_len=4,
        chat_template=tokens.template,
    )
    return hf.SmolVLMForConditionalGeneration(config), processor


def _paligemma(tokens: Tokens) -> tuple[Any, Any]:
    image_processor: Any = hf.SiglipImageProcessor(size={"height": 48, "width": 48})
    image_processor.image_seq_length = 16
    processor = hf.PaliGemmaProcessor(
        image_processor=image_processor, tokenizer=tokens.tokenizer, chat_template=tokens.template
    )
    config = hf.PaliGemmaConfig(
        vision_config=hf.SiglipVisionConfig(**VISION, image_size=48, patch_size=12, vision_use_head=False),
        text_config=hf.GemmaConfig(
            **TEXT,
            **ENDS,
            num_key_value_heads=2,
            head_dim=8,
            vocab_size=len(tokens),  # the processor has added its own tokens by now
            max_position_embeddings=2048,
        ),
        image_token_index=tokens.id("<image>"),
        vocab_size=len(tokens),
        projection_dim=32,
        hidden_size=32,
    )
    return hf.PaliGemmaForConditionalGeneration(config), processor


_QWEN = {
    "image_token": "<|image_pad|>",
    "video_token": "<|video_pad|>",
    "vision_start_token": "<|vision_start|>",
    "vision_end_token": "<|vision_end|>",
}
_QWEN_IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"
_IDEFICS = {
    "image_token": "<image>",
    "fake_image_token": "<fake_token_around_image>",
    "global_image_token": "<global-img>",
    "end_of_utterance_token": "<end_of_utterance>",
} | {f"tile_{row}_{col}_token": f"<row_{row}_col_{col}>" for row in (1, 2) for col in (1, 2)}

FAMILIES: dict[str, Family] = {
    "llava": Family(_llava, {"image_token": "<image>"}, "<image>"),
    "llava_next": Family(_llava_next, {"image_token": "<image>"}, "<image>"),
    "llava_onevision": Family(_llava_onevision, {"image_token": "<image>", "video_token": "<video>"}, "<image>"),
    "internvl": Family(
        _internvl,
        {
            "start_image_token": "<img>",
            "end_image_token": "</img>",
            "context_image_token": "<IMG_CONTEXT>",
            "video_token": "<video>",
        },
        "<IMG_CONTEXT>\n",
    ),
    "qwen2_5_vl": Family(_qwen2_5_vl, _QWEN, _QWEN_IMAGE),
    "qwen3_vl": Family(_qwen3_vl, _QWEN, _QWEN_IMAGE),
    "qwen3_5": Family(_qwen3_5, _QWEN, _QWEN_IMAGE),
    "gemma3": Family(
        _gemma3,
        {"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"},
        "<start_of_image>",
        adds_bos=True,
    ),
    "gemma4": Family(
        _gemma4,
        {
            "boi_token": "<|image>",
            "image_token": "<|image|>",
            "eoi_token": "<image|>",
            "video_token": "<|video|>",
            "boa_token": "<|audio>",
            "audio_token": "<|audio|>",
            "eoa_token": "<audio|>",
        },
        "<|image|>",
        adds_bos=True,
    ),
    "idefics3": Family(_idefics3, _IDEFICS, "<image>"),
    "smolvlm": Family(_smolvlm, _IDEFICS | {"video_token": "<video>"}, "<image>"),
    "paligemma": Family(_paligemma, {"image_token": "<image>"}, "<image>", template=False),
}
"""All of them, by the name of their model type."""

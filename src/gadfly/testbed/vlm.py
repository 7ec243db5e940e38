"""The architecture of the bundled models: a LLaVA at tiny dimensions, with its tokenizer and processor.

Knows words and pixels, not how a model is trained. What it builds is saved with `save_pretrained` and loaded by path
through AutoModelForImageTextToText and AutoProcessor, like any checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from tokenizers import AddedToken, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from gadfly.testbed import vocabulary
from gadfly.testbed.scenes import CELL_PX, GRID, IMAGE_PX
from gadfly.testbed.vocabulary import ASSISTANT, END, IMAGE, PAD, SPECIAL, UNKNOWN, USER

N_PATCHES = GRID * GRID
MAX_TOKENS = 256

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '" + USER + "' if message['role'] != 'assistant' else '" + ASSISTANT + "' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}" + IMAGE + "{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}"
    "{% if message['role'] == 'assistant' %}" + END + "{% endif %}"
    "{% endfor %}"
    # The blank is lost in tokens. Decoded, they are this text again only with it, which lets prompts share an image.
    "{% if add_generation_prompt %} " + ASSISTANT + "{% endif %}"
)


@dataclass(frozen=True, slots=True)
class Dimensions:
    """Widths and depths. The text width is split over `heads`."""

    vision_width: int = 128
    vision_layers: int = 3
    vision_hidden: int = 256
    text_width: int = 128
    text_layers: int = 6
    text_hidden: int = 256
    heads: int = 4


SMALL = Dimensions()  # 1.66 M parameters
LARGE = Dimensions(
    vision_width=256, vision_hidden=512, text_width=256, text_hidden=448, heads=8
)  # 5.84 M: as many times as fit into 12 MB at two bytes each, 3.5, in heads of the same width


def build_model(dimensions: Dimensions, seed: int, added: tuple[str, ...] = ()) -> LlavaForConditionalGeneration:
    """A model with fresh weights, attention started near the identity ("mimetic", arXiv 2305.09828): q = k and o = vᵀ
    with orthogonal rows, so that from the first step a word looks for its like among the image's cells.

    `added` are words that it knows besides the common ones; they come last.
    """
    ids = vocabulary.ids(added)
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=dimensions.vision_width,
            intermediate_size=dimensions.vision_hidden,
            num_hidden_layers=dimensions.vision_layers,
            num_attention_heads=dimensions.heads,
            image_size=IMAGE_PX,
            patch_size=CELL_PX,
            projection_dim=dimensions.vision_width,
        ),
        text_config=LlamaConfig(
            vocab_size=len(ids),
            hidden_size=dimensions.text_width,
            intermediate_size=dimensions.text_hidden,
            num_hidden_layers=dimensions.text_layers,
            num_attention_heads=dimensions.heads,
            num_key_value_heads=dimensions.heads,
            max_position_embeddings=MAX_TOKENS,
            bos_token_id=None,
            eos_token_id=ids[END],
            pad_token_id=ids[PAD],
            tie_word_embeddings=True,
        ),
        image_token_index=ids[IMAGE],
        image_seq_length=N_PATCHES,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        tie_word_embeddings=True,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LlavaForConditionalGeneration(config)
        torch.manual_seed(seed)  # words and language model start alike whatever the tower is
        _start_near_identity(model, dimensions)
    model.generation_config.eos_token_id = ids[END]
    model.generation_config.pad_token_id = ids[PAD]
    model.generation_config.bos_token_id = None
    # A model must not write image tokens, nor what only stands for prompts and cells.
    model.generation_config.suppress_tokens = [
        i for word, i in ids.items() if word in (*SPECIAL, *vocabulary.CELLS) and word != END
    ]
    return model


@torch.no_grad()
def _start_near_identity(model: LlavaForConditionalGeneration, dimensions: Dimensions) -> None:
    text = model.model.language_model
    torch.nn.init.normal_(text.embed_tokens.weight, std=0.5)
    # With tied embeddings of this size, logits would start ten times too large.
    text.norm.weight.fill_(0.15)
    for layer in text.layers:
        attention = layer.self_attn
        torch.nn.init.orthogonal_(attention.q_proj.weight)
        attention.k_proj.weight.copy_(attention.q_proj.weight)
        torch.nn.init.orthogonal_(attention.v_proj.weight)
        attention.o_proj.weight.copy_(attention.v_proj.weight.T * 0.5)
        for linear in (layer.mlp.gate_proj, layer.mlp.up_proj):
            torch.nn.init.normal_(linear.weight, std=dimensions.text_width**-0.5)
        torch.nn.init.normal_(layer.mlp.down_proj.weight, std=0.3 * dimensions.text_hidden**-0.5)


def build_processor(added: tuple[str, ...] = ()) -> LlavaProcessor:
    """Tokenizer, image preparation and chat template. Images that are not 96 pixels square are scaled and cropped.

    `added` words that are no plain words (passages of several lines, capitals, marks) are looked for in the text as it
    is, the longest first, before what is left of it is put into lower case and split.
    """
    ids = vocabulary.ids(added)
    tokenizer = Tokenizer(WordLevel(ids, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    # Word by word: cleaning the whole text up would reach into passages that are one word.
    tokenizer.decoder = decoders.Sequence(
        [decoders.WordPiece(prefix="##", cleanup=False), decoders.Replace(" ?", "?"), decoders.Replace(" .", ".")]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        unk_token=UNKNOWN,
        eos_token=END,
        additional_special_tokens=[IMAGE, USER, ASSISTANT],
        padding_side="left",
        model_max_length=MAX_TOKENS,
    )
    fast.add_tokens([AddedToken(w, normalized=False) for w in added if not (w.isalpha() and w.islower())])
    images = CLIPImageProcessor(
        size={"shortest_edge": IMAGE_PX},
        crop_size={"height": IMAGE_PX, "width": IMAGE_PX},
        image_mean=[0.5, 0.5, 0.5],
        image_std=[0.5, 0.5, 0.5],
    )
    return LlavaProcessor(
        image_processor=images,
        tokenizer=fast,
        patch_size=CELL_PX,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
    )

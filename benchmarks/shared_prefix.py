"""What it saves to compute the answers about one image together, against one at a time and against plain batches.

    python benchmarks/shared_prefix.py [--repeats 5] [--images 2]

A LLaVA architecture of about 20 M parameters with random weights; 256 image tokens, 8 questions an image, answers of
exactly 8 tokens (nothing ends one early), fp32 on the CPU. The three ways take turns within each repeat, so that what
else the machine does falls on all of them. Seconds are medians, on the wall and of this process's CPU; on a machine
that is busy with other things only the second block means anything. All three must give the same answers.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image as pil
from PIL.Image import Image as Picture
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

from gadfly.models.local import LocalModel
from gadfly.records import Chat, Completion, Image, Message, Sampling

QUESTIONS = [
    "How many red squares are there?",
    "What colour is the small circle?",
    "Is there a star above the triangle?",
    "How many things are left of the ring?",
    "What is the shape of the large thing?",
    "Is the cross larger than the square?",
    "What colour is the thing on the right?",
    "Are there more circles than stars?",
]
NEW_TOKENS = 8
SIDE_PX, PATCH_PX = 224, 14  # 16 x 16 patches: 256 image tokens


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--images", type=int, default=2)
    arguments = parser.parse_args()
    images = [Image(f"{i:064x}", f"{i}.png", SIDE_PX, SIDE_PX) for i in range(arguments.images)]
    chats: list[Chat] = [(Message("user", (image, text)),) for image in images for text in QUESTIONS]
    with tempfile.TemporaryDirectory() as folder:
        n_parameters = build(Path(folder))
        shared = LocalModel(folder, picture, device="cpu", dtype="float32")
        apart = LocalModel(folder, picture, device="cpu", dtype="float32")
    apart.shares_no_prefix = "for comparison"
    for model in (shared, apart):
        model._model.generation_config.eos_token_id = None
        model._eos_ids = frozenset()
    sampling = Sampling(max_new_tokens=NEW_TOKENS)
    ways: dict[str, Callable[[], list[Completion]]] = {
        "one at a time": lambda: [apart.complete([chat], sampling)[0] for chat in chats],
        "padded batch": lambda: apart.complete(chats, sampling),
        "shared prefix": lambda: shared.complete(chats, sampling),
    }
    answers = [way() for way in ways.values()]  # warms up, too
    assert answers[0] == answers[1] == answers[2], "the three ways do not answer alike"
    wall_s: dict[str, list[float]] = {name: [] for name in ways}
    cpu_s: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(arguments.repeats):
        for name, way in ways.items():
            wall, cpu = time.perf_counter(), time.process_time()
            way()
            wall_s[name].append(time.perf_counter() - wall)
            cpu_s[name].append(time.process_time() - cpu)
    print(f"{n_parameters / 1e6:.1f} M parameters, {len(chats)} answers, {torch.get_num_threads()} threads")
    for kind, seconds in (("wall", wall_s), ("CPU", cpu_s)):
        shared_s = statistics.median(seconds["shared prefix"])
        for name, took in seconds.items():
            median_s = statistics.median(took)
            spread = f"{min(took):.2f} to {max(took):.2f}"
            print(
                f"{kind:4s} {name:14s} {median_s:7.2f} s ({spread})  {median_s / shared_s:.2f}x that of shared prefix"
            )


def picture(image: Image) -> Picture:
    pixels = np.random.default_rng(int(image.id, 16)).integers(0, 256, (SIDE_PX, SIDE_PX, 3), np.uint8)
    return pil.fromarray(pixels)


def build(folder: Path) -> int:
    """Save the model and its processor; the number of its parameters."""
    special = ["<pad>", "<s>", "</s>", "<unk>", "<image>", "<turn>"]
    backend = Tokenizer(models.BPE(unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=512, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    backend.train_from_iterator(QUESTIONS, trainer)
    tokenizer: Any = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        extra_special_tokens={"image_token": "<image>", "turn_token": "<turn>"},
    )
    side = {"height": SIDE_PX, "width": SIDE_PX}
    processor: Any = LlavaProcessor(
        image_processor=CLIPImageProcessor(size={"shortest_edge": SIDE_PX}, crop_size=side),
        tokenizer=tokenizer,
        patch_size=PATCH_PX,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template="{% for m in messages %}<turn>{{ m['role'] }}\n{% for part in m['content'] %}"
        "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}</s>{% endfor %}"
        "{% if add_generation_prompt %}<turn>assistant\n{% endif %}",
    )
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=256,
            intermediate_size=1024,
            num_hidden_layers=6,
            num_attention_heads=4,
            image_size=SIDE_PX,
            patch_size=PATCH_PX,
        ),
        text_config=LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=384,
            intermediate_size=1152,
            num_hidden_layers=8,
            num_attention_heads=6,
            num_key_value_heads=6,
            max_position_embeddings=1024,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
        ),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=(SIDE_PX // PATCH_PX) ** 2,
    )
    torch.manual_seed(0)
    model = LlavaForConditionalGeneration(config)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.05)  # the default makes all replies alike
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return sum(parameter.numel() for parameter in model.parameters())


if __name__ == "__main__":
    main()

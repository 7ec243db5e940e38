"""Memory from a model's configuration: real models' dimensions on the meta device against numbers worked by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import torch
import transformers as hf
from hypothesis import given
from hypothesis import strategies as st
from peft import get_peft_model

from checkpoints import IMAGE_TOKENS, build_llava
from families import FAMILIES, build_family
from gadfly.config import TrainConfig
from gadfly.doctor.dimensions import (
    dimensions_of,
    image_tokens,
    image_tokens_by_rule,
    n_adapters,
    outline,
    outline_of,
    parameters_by_name,
    patches_per_token,
)
from gadfly.doctor.memory import (
    Dimensions,
    Memory,
    Work,
    activation_bytes,
    asked,
    cache_bytes,
    forward_bytes,
    trained,
    weight_bytes,
)
from gadfly.errors import ModelError
from gadfly.models.checkpoint import count_image_tokens, load_checkpoint
from gadfly.train.questioner import Trainee, lora_config

pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),  # peft's
    pytest.mark.filterwarnings(
        "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
    ),  # PaliGemma's processor
]

ROPE = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]}


def qwen2_5_vl_7b() -> Any:
    """With the dimensions of Qwen2.5-VL-7B."""
    return hf.Qwen2_5_VLConfig(
        text_config={
            "hidden_size": 3584,
            "num_hidden_layers": 28,
            "num_attention_heads": 28,
            "num_key_value_heads": 4,
            "intermediate_size": 18944,
            "vocab_size": 152064,
            "rope_parameters": ROPE,
            "tie_word_embeddings": False,
        },
        vision_config={
            "depth": 32,
            "hidden_size": 1280,
            "intermediate_size": 3420,
            "num_heads": 16,
            "patch_size": 14,
            "out_hidden_size": 3584,
        },
        tie_word_embeddings=False,
    )


@pytest.fixture(scope="module")
def seven_b() -> Any:
    return outline_of(qwen2_5_vl_7b())


def test_the_parameters_of_a_7b_model(seven_b: Any) -> None:
    # Language model: 2 embeddings of 152064 · 3584; in each of 28 layers q 3584² + 3584, k and v (3584 + 1) · 512 each,
    # o 3584², three of 3584 · 18944, two norms of 3584; a last norm.
    layer = 3584**2 + 3584 + 2 * 3585 * 512 + 3584**2 + 3 * 3584 * 18944 + 2 * 3584
    language = 2 * 152064 * 3584 + 28 * layer + 3584
    assert language == 7_615_616_512  # "7.62 B", what the language model is said to have
    # Image encoder: a patch of 3 · 2 · 14 · 14 numbers; in each of 32 blocks qkv and proj with biases, three of
    # 1280 · 3420 with biases, two norms; the merger, 4 · 1280 wide, into 3584.
    block = 4 * (1280**2 + 1280) + 3 * 1280 * 3420 + 2 * 3420 + 1280 + 2 * 1280
    encoder = 1176 * 1280 + 32 * block + 1280 + (5120**2 + 5120) + (5120 * 3584 + 3584)
    dims = dimensions_of(seven_b)
    assert dims.n_parameters == language + encoder == 8_292_166_656
    assert dims.n_frozen == encoder
    assert dims.head_dim == 128 and dims.n_kv_heads == 4 and dims.windows == (None,) * 28


def test_weights_and_cache_of_a_7b_model(seven_b: Any) -> None:
    dims = dimensions_of(seven_b)
    assert weight_bytes(dims, 2) == 16_584_333_312
    # In linear layers besides the head: 28 layers as above without biases and norms, and those of the encoder.
    layer = 2 * 3584**2 + 2 * 3584 * 512 + 3 * 3584 * 18944
    encoder = 32 * (4 * 1280**2 + 3 * 1280 * 3420) + 5120**2 + 5120 * 3584
    assert dims.n_linear == 28 * layer + encoder
    rest = dims.n_parameters - dims.n_linear
    assert weight_bytes(dims, 2, "8bit") == dims.n_linear + 2 * rest
    assert weight_bytes(dims, 2, "4bit") == pytest.approx(dims.n_linear * 0.515875 + 2 * rest, abs=1)
    # A token keeps 2 · 28 layers · 4 heads · 128 numbers = 28,672, that is 57,344 bytes; 32 rows of 1,000 tokens.
    assert cache_bytes(dims, Work(32, 1000, 900, 2)) == 32 * 1000 * 57_344
    # The widest moment is in the feed-forward layer: 2 · 3584 + 3 · 18944 numbers a token. The encoder's is narrower
    # here: 900 · 4 patches of 2 · 1280 + 3 · 3420 are 46,080,000 to 64,000,000 numbers a row.
    assert 1000 * (2 * 3584 + 3 * 18944) > 3600 * (2 * 1280 + 3 * 3420)
    assert forward_bytes(dims, Work(32, 1000, 900, 2)) == 32 * 1000 * 2 * (2 * 3584 + 3 * 18944)


def test_adapters_gradients_and_optimizer_of_a_7b_model(seven_b: Any) -> None:
    settings = TrainConfig(lora_rank=16)
    # Rank 16 on q (3584 → 3584), k and v (→ 512), o, gate and up (→ 18944), down (18944 → 3584), in 28 layers.
    sizes = 2 * (3584 + 3584) + 2 * (3584 + 512) + 3 * (3584 + 18944)
    assert n_adapters(seven_b, settings) == 16 * 28 * sizes == 40_370_176
    dims, work = dimensions_of(seven_b), Work(8, 1000, 900, 2)
    how: dict[str, Any] = {"reference": True, "recomputed": True, "trains_encoder": False}
    lora = trained(dims, work, work, n_adapters=40_370_176, **how)
    assert lora.weights == 16_584_333_312 + 4 * 40_370_176  # adapters are float32; LoRA needs no reference
    assert (lora.gradients, lora.optimizer) == (4 * 40_370_176, 8 * 40_370_176)

    assert n_adapters(seven_b, TrainConfig(lora_rank=0)) is None
    full = trained(dims, Work(8, 1000, 900, 4), work, n_adapters=None, **how)
    trainable = dims.n_parameters - dims.n_frozen
    assert full.weights == 2 * 4 * dims.n_parameters  # with the copy that the KL term compares with
    assert (full.gradients, full.optimizer) == (4 * trainable, 8 * trainable)
    assert full.activations - lora.activations == 2 * dims.n_linear  # autocast's copies in bfloat16


def test_the_adapters_are_as_many_as_peft_makes() -> None:
    model = outline_of(qwen2_5_vl_7b())
    for settings in (TrainConfig(lora_rank=8), TrainConfig(lora_rank=4, lora_targets=("q_proj", "qkv"))):
        expected = n_adapters(model, settings)
        adapters = lora_config(Trainee(model, None), settings)
        assert adapters is not None
        with torch.device("meta"):
            adapted = get_peft_model(outline_of(qwen2_5_vl_7b()), adapters)
        assert expected == sum(one.numel() for one in adapted.parameters() if one.requires_grad)


def test_what_stays_and_what_comes_and_goes() -> None:
    memory = Memory(weights=10, gradients=2, optimizer=4, activations=7, cache=5, forward=1)
    assert memory.lasting == 16
    assert memory.passing == 7  # an update keeps 7, generation 5 + 1, and never both
    assert Memory(activations=7, cache=5, forward=3).passing == 8
    assert Memory(weights=3, cache=1).parts() == {"weights": 3, "cache": 1}


@given(rows=st.integers(1, 64), tokens=st.integers(1, 4000), layers=st.integers(1, 40), hidden=st.integers(8, 4096))
def test_memory_grows_with_all_that_it_is_made_of(rows: int, tokens: int, layers: int, hidden: int) -> None:
    dims = Dimensions(10**6, 10**5, 0, layers, hidden, 4 * hidden, 8, 2, 16, (None,) * layers)
    work, more = Work(rows, tokens, 0, 2), Work(rows + 1, tokens + 1, 0, 2)
    kept, again = (activation_bytes(dims, work, recomputed=one) for one in (False, True))
    assert activation_bytes(dims, more, recomputed=False) > kept
    assert cache_bytes(dims, more) > cache_bytes(dims, work)
    if layers >= 3:  # with one layer or two there is nothing to save
        assert again < kept


def test_a_window_bounds_the_cache() -> None:
    dims = Dimensions(0, 0, 0, 3, 64, 128, 4, 2, 16, (100, 100, None))
    # 2 · (100 + 100 + 500 tokens) · 2 heads · 16 numbers · 2 bytes
    assert cache_bytes(dims, Work(1, 500, 0, 2)) == 2 * 700 * 2 * 16 * 2


# ------------------------------------------------------------------------------------------- against what torch keeps

TEXT: dict[str, Any] = {
    "hidden_size": 128,
    "intermediate_size": 352,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vocab_size": 64,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def small(family: str) -> Any:
    if family == "qwen3_vl":
        vision = {"depth": 1, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "out_hidden_size": 128}
        text = {**TEXT, "rope_parameters": {**ROPE, "mrope_section": [4, 2, 2]}}
        return hf.Qwen3VLForConditionalGeneration(
            hf.Qwen3VLConfig(text_config=text, vision_config={**vision, "deepstack_visual_indexes": [0]})
        )
    clip: Any = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    tower = hf.CLIPVisionConfig(**clip, image_size=48, patch_size=12)
    return hf.LlavaForConditionalGeneration(
        hf.LlavaConfig(text_config=hf.LlamaConfig(**TEXT), vision_config=tower, image_token_index=5)
    )


def kept_by_torch(model: Any, rows: int, tokens: int, bf16: bool) -> int:
    """Bytes that a pass through the language model saves for the backward one, parameters and their copies apart."""
    weights = {one.untyped_storage().data_ptr() for one in model.parameters()}
    matrices = [tuple(one.shape) for one in model.parameters() if one.dim() == 2]
    copies = {*matrices, *(shape[::-1] for shape in matrices)}  # autocast's
    kept: dict[int, Any] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights and tuple(tensor.shape) not in copies:
            kept[storage.data_ptr()] = storage
        return tensor

    ids, mask = torch.full((rows, tokens), 7), torch.ones(rows, tokens, dtype=torch.long)
    mask[0, :5] = 0  # as in a batch that is padded
    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16),
    ):
        model.get_decoder()(input_ids=ids, attention_mask=mask)
    return sum(storage.nbytes() for storage in kept.values())


@pytest.mark.parametrize("family", ["llava", "qwen3_vl"])
@pytest.mark.parametrize("how", ["float32", "autocast", "lora"])
def test_activations_are_about_what_torch_keeps(family: str, how: str) -> None:
    model = small(family)
    dims = dimensions_of(model)
    expected = activation_bytes(dims, Work(4, 96, 0, 4 if how == "float32" else 2), recomputed=False)
    if how == "lora":
        adapters = lora_config(Trainee(model, None), TrainConfig(lora_rank=4))
        assert adapters is not None
        model = get_peft_model(model.to(torch.bfloat16), adapters).get_base_model()
    found = kept_by_torch(model, 4, 96, bf16=how != "float32")
    assert 0.8 < expected / found < 1.25  # measured: 0.87 to 1.12


def test_recomputed_activations_are_about_what_torch_keeps() -> None:
    # What lasts over the whole pass is the input of each layer: 4 layers · 4 rows · 96 tokens · 128 numbers · 4 bytes.
    # Two more are kept by the norm behind the last layer, which does not grow with the layers and is not counted.
    model = small("llava")
    model.activation_checkpointing_enable({"use_reentrant": False})
    model.train()
    dims = dimensions_of(model)
    one_layer = activation_bytes(dims, Work(4, 96, 0, 4), recomputed=False) // 4
    expected = activation_bytes(dims, Work(4, 96, 0, 4), recomputed=True) - one_layer
    assert expected == 4 * 4 * 96 * 128 * 4
    assert kept_by_torch(model, 4, 96, bf16=False) == pytest.approx(expected * (4 + 2) / 4, rel=0.02)


# ----------------------------------------------------------------------------------- all families, and what is not here


@pytest.mark.parametrize("name", FAMILIES)
def test_the_outline_has_the_parameters_of_the_checkpoint(name: str, tmp_path: Path) -> None:
    model, processor = load_checkpoint(str(build_family(name, tmp_path)), torch.device("cpu"))
    laid_out = outline(str(tmp_path))
    assert laid_out is not None
    dims = dimensions_of(laid_out)
    assert dims == dimensions_of(model)
    assert dims.n_parameters == sum(one.numel() for one in model.parameters())
    # Work with one image: the tokens that its own processor writes, and the patches that are behind one of them.
    tokens = image_tokens(str(tmp_path), model.config, 120, 100, None)
    assert tokens == tokens_in_prompt(model, processor)
    assert patches_per_token(model.config) >= 1
    assert asked(dims, Work(2, 3 * tokens, tokens, 4)).weights == 4 * dims.n_parameters


def tokens_in_prompt(model: Any, processor: Any) -> int:
    inputs = processor(images=[[PIL.Image.new("RGB", (120, 100))]], text=[processor.image_token], return_tensors="pt")
    return count_image_tokens(model, inputs)[0]


@pytest.mark.parametrize(
    ("config", "size_px", "max_pixels", "expected"),
    [
        # Qwen2.5-VL: a token for 28 × 28 pixels
        (qwen2_5_vl_7b(), (1036, 756), None, 37 * 27),
        (qwen2_5_vl_7b(), (1036, 756), 784 * 100, 100),
        # Gemma 3: as many for any image
        (hf.Gemma3Config(), (5000, 50), None, 256),
        # SmolVLM2-2.2B: 4 × 3 tiles of 384 pixels and the whole, each (384 / 14 / 3)² tokens
        (
            hf.SmolVLMConfig(vision_config={"image_size": 384, "patch_size": 14}, scale_factor=3),
            (640, 480),
            None,
            13 * 81,
        ),
    ],
)
def test_image_tokens_by_the_rule_of_the_family(
    config: Any, size_px: tuple[int, int], max_pixels: int | None, expected: int
) -> None:
    assert image_tokens_by_rule(config, *size_px, max_pixels) == expected


def test_image_tokens_as_the_processor_has_them(tmp_path: Path) -> None:
    model = outline(str(build_llava(tmp_path)))
    assert model is not None and image_tokens(str(tmp_path), model.config, 500, 300, None) == IMAGE_TOKENS


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("Qwen/Qwen3-VL-8B-Instruct", 8e9),
        ("Qwen/Qwen3-VL-30B-A3B-Instruct", 30e9),  # all experts are in memory
        ("HuggingFaceTB/SmolVLM2-2.2B-Instruct", 2.2e9),
        ("HuggingFaceTB/SmolVLM-256M-Instruct", 256e6),
        ("google/gemma-3-27b-it", 27e9),
        ("llava-hf/llava-onevision-qwen2-0.5b-ov-hf", 0.5e9),
        ("runs/run/questioner", None),
        ("org/model-v2-4bit", None),
    ],
)
def test_the_size_in_a_name(name: str, parameters: float | None) -> None:
    assert parameters_by_name(name) == parameters


def test_a_configuration_that_is_not_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert outline("owner/nothing") is None
    with pytest.raises(ModelError, match="no checkpoint folder"):
        outline(str(tmp_path / "nowhere"))
    with pytest.raises(ModelError, match=r"has no config\.json"):
        outline(str(tmp_path))
    with pytest.raises(ModelError, match="type bert is no vision-language model"):
        outline_of(hf.BertConfig())

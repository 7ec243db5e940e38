"""Which checkpoints count as whole: the files are real ones, cut short as a kill or a full disk leaves them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from gadfly.train.checkpoints import checkpoint_dir, latest_checkpoint, remove_torn_checkpoints, resume_step


def save(run: Path, updates: int) -> Path:
    folder = checkpoint_dir(run) / f"checkpoint-{updates}"
    folder.mkdir(parents=True)
    save_file({"a": torch.ones(3, 5), "b": torch.zeros(0), "c": torch.ones(2)}, folder / "adapter_model.safetensors")
    torch.save({"state": torch.ones(1000)}, folder / "optimizer.pt")
    torch.save((1, 2), folder / "rng_state.pth")
    (folder / "adapter_config.json").write_text("{}")
    (folder / "chat_template.jinja").write_text("{{ any }}")
    (folder / "trainer_state.json").write_text(json.dumps({"global_step": updates}))
    return folder


def cut(name: str, keep: int) -> Callable[[Path], None]:
    """Keep so many bytes, counted from the end where negative."""

    def change(folder: Path) -> None:
        file = folder / name
        file.write_bytes(file.read_bytes()[:keep])

    return change


@pytest.mark.parametrize(
    "tear",
    [
        lambda folder: (folder / "trainer_state.json").unlink(),
        cut("trainer_state.json", 0),  # opened, and killed before the first byte
        cut("trainer_state.json", 9),
        cut("adapter_model.safetensors", -1),
        cut("adapter_model.safetensors", 0),
        cut("adapter_model.safetensors", 20),
        cut("optimizer.pt", -1),
        cut("optimizer.pt", 0),
        cut("rng_state.pth", 100),
        cut("adapter_config.json", 1),
    ],
)
def test_a_torn_checkpoint_is_passed_over_for_the_one_before(tmp_path: Path, tear: Callable[[Path], None]) -> None:
    assert latest_checkpoint(tmp_path) is None and resume_step(tmp_path) == 0
    whole, newer = save(tmp_path, 8), save(tmp_path, 10)
    assert latest_checkpoint(tmp_path) == newer and resume_step(tmp_path, num_iterations=2) == 5
    tear(newer)
    assert latest_checkpoint(tmp_path) == whole and resume_step(tmp_path, num_iterations=2) == 4
    remove_torn_checkpoints(tmp_path)
    assert [path.name for path in checkpoint_dir(tmp_path).iterdir()] == ["checkpoint-8"]


def test_a_checkpoint_is_counted_by_its_number_not_by_its_name(tmp_path: Path) -> None:
    save(tmp_path, 9)
    save(tmp_path, 10)  # sorted as text, "9" comes last
    assert resume_step(tmp_path) == 10

"""A run's life without its models: folders, resume, what is shared between roles and phases, what is checked first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gadfly import run_folder
from gadfly.config import Config, override
from gadfly.errors import ConfigError, ImageError, ModelError, StoreError
from gadfly.run_folder import IMAGES_NAME, images_of
from gadfly.store.sqlite import SqliteStore
from gadfly.wiring import Wiring
from store_samples import sample


def config_in(out: Path, **settings: Any) -> Config:
    return override(Config(), {"out": str(out), **{k.replace("__", "."): v for k, v in settings.items()}})


def test_a_new_run_records_its_configuration(tmp_path: Path) -> None:
    config = config_in(tmp_path, seed=7, train__report_to=["tensorboard"])
    with run_folder.opened(config, resume=False) as store:
        assert store.run.seed == 7
        assert store.run.versions["torch"]
    assert run_folder.config_of(tmp_path / "run") == config


def test_a_run_is_begun_once_and_resumed_only_if_begun(tmp_path: Path) -> None:
    config = config_in(tmp_path)
    with pytest.raises(StoreError, match="holds no run to resume"), run_folder.opened(config, resume=True):
        pass
    assert not (tmp_path / "run").exists()
    with run_folder.opened(config, resume=False):
        pass
    with (
        pytest.raises(StoreError, match="holds a run already; --resume goes on with it"),
        run_folder.opened(config, resume=False),
    ):
        pass
    with run_folder.opened(config, resume=True):
        pass


def test_all_differences_are_named(tmp_path: Path) -> None:
    with run_folder.opened(config_in(tmp_path), resume=False):
        pass
    changed = config_in(tmp_path, seed=1, train__sft__batch=2, train__report_to=["wandb"])
    with pytest.raises(ConfigError) as fault, run_folder.opened(changed, resume=True):
        pass
    said = str(fault.value)
    assert "seed was 0 and is now 1" in said
    assert "train.sft.batch was 16 and is now 2" in said
    assert "train.report_to was [] and is now ['wandb']" in said
    assert "images" not in said.partition("configuration:")[2]
    with run_folder.opened(config_in(tmp_path), resume=True):  # the refusal left no lock behind
        pass


def test_what_fails_before_anything_was_made_leaves_nothing(tmp_path: Path) -> None:
    config = config_in(tmp_path)

    def fail(*probes: Any) -> None:
        with run_folder.opened(config, resume=False) as store:
            (tmp_path / "run" / "train" / "checkpoints").mkdir(parents=True)
            store.begin_attempt("train")
            store.add(probes)
            raise ModelError("no such checkpoint")

    with pytest.raises(ModelError):
        fail()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ModelError):
        fail(sample(0, 0))
    with SqliteStore.open(tmp_path / "run", read_only=True) as store:
        assert len(list(store.probes())) == 1


def test_weights_are_never_taken_back(tmp_path: Path) -> None:
    def fail() -> None:
        with run_folder.opened(config_in(tmp_path), resume=False):
            (tmp_path / "run" / "train" / "sft").mkdir(parents=True)
            (tmp_path / "run" / "train" / "sft" / "model.safetensors").write_bytes(b"weights")
            raise ModelError("out of luck")

    with pytest.raises(ModelError):
        fail()
    assert (tmp_path / "run" / "train" / "sft" / "model.safetensors").exists()
    assert (tmp_path / "run" / "store.sqlite").exists()


def test_an_error_of_ours_or_ctrl_c_takes_nothing_back(tmp_path: Path) -> None:
    for name, fault in (("a", KeyboardInterrupt), ("b", ZeroDivisionError)):
        with pytest.raises(fault), run_folder.opened(config_in(tmp_path, name=name), resume=False):
            raise fault
        assert (tmp_path / name / "store.sqlite").exists()


def test_a_run_does_not_spread_among_other_files(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "holiday.jpg").write_bytes(b"x")
    (tmp_path / "file").write_text("x")
    for name in ("run", "file"):
        with (
            pytest.raises(StoreError, match="is not a run"),
            run_folder.opened(config_in(tmp_path, name=name), resume=False),
        ):
            pass
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["holiday.jpg"]
    (tmp_path / "half").mkdir()  # what a creation that was killed leaves behind is in nobody's way
    for left in ("store.sqlite.new", "store.sqlite.new-journal", "store.lock", "store.lock-journal"):
        (tmp_path / "half" / left).write_bytes(b"")
    with run_folder.opened(config_in(tmp_path, name="half"), resume=False):
        pass
    (tmp_path / "half" / "config.json").unlink()  # killed between the two: the resume writes it
    with run_folder.opened(config_in(tmp_path, name="half"), resume=True):
        pass
    assert '"name": "half"' in (tmp_path / "half" / "config.json").read_text()


def test_roles_with_one_checkpoint_share_one_model(album: Path, checkpoint: Path, tmp_path: Path) -> None:
    same = {f"{role}__model": str(checkpoint) for role in ("target", "questioner", "verifier")}
    config = config_in(tmp_path, images__path=str(album), target__dtype="float32", **same)
    wiring = Wiring(config)
    target: Any = wiring.target
    _ = wiring.verifier, wiring.questioner()
    questioner, verifier = (
        wiring.local(role, settings)
        for role, settings in (("questioner", config.questioner), ("verifier", config.verifier))
    )
    assert questioner is verifier and wiring.local("target", config.target) is not verifier  # of another dtype
    assert wiring.target is target
    # Novelty is scored within one phase: no phase sees the history of another.
    assert wiring.reward() is not wiring.reward()


def test_the_uniform_sampler_and_nobody_cannot_be_trained(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be trained"):
        _ = Wiring(config_in(tmp_path, questioner__method="uniform")).trainee
    with pytest.raises(ConfigError, match="no questioner is named; give --questioner"):
        _ = Wiring(config_in(tmp_path)).trainee


def test_a_wrong_split_is_said_with_its_reason(album: Path, tmp_path: Path) -> None:
    wiring = Wiring(config_in(tmp_path, images__path=str(album)))
    assert len(wiring.images("train")) == 12
    with pytest.raises(ImageError, match=r"none of the 12 images falls into the heldout part"):
        wiring.images("heldout")


def test_a_list_of_images_that_was_cut_short_is_never_taken_for_a_shorter_one(album: Path, tmp_path: Path) -> None:
    wiring = Wiring(config_in(tmp_path, images__path=str(album)))
    images, file = images_of(tmp_path, wiring, "train"), tmp_path / IMAGES_NAME
    assert images_of(tmp_path, wiring, "train") == images == wiring.images("train")
    whole = file.read_bytes()
    lines = whole.splitlines(keepends=True)
    assert len(lines) == len(images) + 1
    torn = [b"".join(lines[:n]) for n in range(len(lines))] + [whole[:n] for n in (1, 100, len(whole) - 3)]
    for content in (*torn, whole + lines[0], b"[]\n" * 12 + lines[-1], b"\xff" * len(whole)):
        file.write_bytes(content)
        with pytest.raises(StoreError, match=r"images\.jsonl is damaged; put it back"):
            images_of(tmp_path, wiring, "train")
    file.unlink()
    assert images_of(tmp_path, wiring, "train") == images and file.read_bytes() == whole


def test_reading_a_folder_tells_how_far_it_is(album: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    wiring = Wiring(config_in(tmp_path, images__path=str(album)), lambda done, total: told.append((done, total)))
    assert len(wiring.source) == 12
    assert told == [(i, 12) for i in range(1, 13)]

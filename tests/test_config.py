"""The settings tree: every fault is one line that names the key; what is written down is read back."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gadfly.config import MAX_SEED, Config, from_dict, override, read_config
from gadfly.errors import ConfigError
from gadfly.testbed.recipe import demo_settings


def dotted_settings(kind: type = Config, where: str = "") -> list[tuple[str, Any]]:
    """Every setting with its declared type."""
    found: list[tuple[str, Any]] = []
    for name, wanted in get_type_hints(kind).items():
        path = f"{where}{name}"
        if isinstance(wanted, type) and dataclasses.is_dataclass(wanted):
            found += dotted_settings(wanted, f"{path}.")
        else:
            found.append((path, wanted))
    return found


SETTINGS = dotted_settings()
URL = "http://127.0.0.1:8000/v1"


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("")
    assert read_config(tmp_path / "c.toml") == Config()


def test_what_is_written_is_read(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(
        'seed = 3\n[train]\nsteps = 7\nlearning_rate = 1\nreport_to = ["wandb"]\n[train.sft]\nbatch = 2\n'
    )
    config = read_config(tmp_path / "c.toml")
    assert (config.seed, config.train.steps, config.train.sft.batch) == (3, 7, 2)
    assert config.train.learning_rate == 1.0 and isinstance(config.train.learning_rate, float)
    assert config.train.report_to == ("wandb",)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "seed": st.integers(0, MAX_SEED),
            "name": st.text("abc-_ é", min_size=1),
            "images.heldout_share": st.floats(0, 1, exclude_max=True),
            "images.max_side_px": st.none() | st.integers(1, 9999),
            "questioner.focus": st.lists(st.text()),
            "questioner.temperature": st.floats(0, 5),
            "target.dtype": st.sampled_from(["auto", "float32", "bfloat16", "float16"]),
            "target.trust_remote_code": st.booleans(),
            "verifier.base_url": st.none() | st.just(URL),
            "target.price_call": st.none() | st.floats(0, 9),
            "limits.max_calls": st.none() | st.integers(0, 9),
            "reward.semantic": st.floats(0, 10),
            "train.lora_targets": st.lists(st.text()),
            "train.sft.data": st.none() | st.text(),
            "sweep.split": st.sampled_from(["train", "heldout"]),
        },
    )
)
def test_to_dict_and_back_through_json_is_the_same(settings: dict[str, Any]) -> None:
    config = override(Config(), settings)
    assert from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert override(config, {}) == config


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)


@given(st.sampled_from(SETTINGS), ANYTHING)
def test_any_value_is_taken_as_it_is_or_refused_in_one_line(setting: tuple[str, Any], value: Any) -> None:
    path, _ = setting
    outcome: Any
    try:
        outcome = override(Config(), {path: value})
    except ConfigError as fault:
        outcome = fault
    if isinstance(outcome, ConfigError):
        assert len(str(outcome).splitlines()) == 1
        return
    for part in path.split("."):
        outcome = getattr(outcome, part)
    assert list(outcome) == list(value) if isinstance(outcome, tuple) else outcome == value


@pytest.mark.parametrize(("path", "wanted"), [one for one in SETTINGS if get_origin(one[1]) is not Mapping])
def test_no_setting_takes_a_table(path: str, wanted: Any) -> None:
    with pytest.raises(ConfigError, match=path.replace(".", r"\.")):
        override(Config(), {path: {"a": 1}})
    if get_origin(wanted) is Literal:  # and a choice is shown with its options
        with pytest.raises(ConfigError, match=repr(get_args(wanted)[0])):
            override(Config(), {path: "something else"})
    if wanted is float:
        with pytest.raises(ConfigError, match="finite"):
            override(Config(), {path: math.nan})


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"train.stepps": 3}, "unknown setting 'train.stepps'; did you mean 'train.steps'?"),
        ({"trian.steps": 3}, "unknown setting 'trian'; did you mean 'train'?"),
        ({"": 3}, "unknown setting ''"),
        ({"train..steps": 3}, "unknown setting 'train.'"),
        ({"seed.x": 3}, "seed is one setting, so there is no seed.x"),
        ({"train.sft.data.x": 3}, "train.sft.data is one setting, so there is no train.sft.data.x"),
        ({"train": 3}, "train must be a table of settings, not 3"),
        ({"train.steps": "many"}, "train.steps must be a whole number, not 'many'"),
        ({"train.steps": 2.5}, "train.steps must be a whole number, not 2.5"),
        ({"train.steps": True}, "train.steps must be a whole number, not True"),
        ({"train.learning_rate": True}, "train.learning_rate must be a number, not True"),
        ({"train.learning_rate": 2**60}, "train.learning_rate must be a number"),
        ({"train.train_vision": 1}, "train.train_vision must be true or false, not 1"),
        ({"train.lora_targets": "q_proj"}, "train.lora_targets must be a list of texts, not 'q_proj'"),
        ({"train.report_to": [1]}, "train.report_to must be a list of texts, not [1]"),
        ({"name": 5}, "name must be a text, not 5"),
        ({"name": ""}, "name must be the name of one folder"),
        ({"name": "a/b"}, "name must be the name of one folder"),
        ({"name": ".."}, "name must be the name of one folder"),
        ({"name": "a\0b"}, "name must be the name of one folder"),
        ({"seed": -1}, "seed must be from 0 to 4294967295, not -1"),
        ({"seed": 2**32}, "seed must be from 0"),
        ({"images.heldout_share": 1}, "images.heldout_share must be at least 0 and below 1, not 1.0"),
        ({"images.heldout_share": -0.1}, "images.heldout_share"),
        ({"images.max_megapixels": 0}, "images.max_megapixels must be above 0, not 0.0"),
        ({"images.max_megapixels": math.inf}, "images.max_megapixels must be a finite number"),
        ({"images.max_side_px": 0}, "images.max_side_px must be at least 1, not 0"),
        ({"target.batch_size": 0}, "target.batch_size must be at least 1, not 0"),
        ({"target.dtype": "int8"}, "target.dtype must be one of 'auto', 'float32'"),
        ({"questioner.temperature": -1}, "questioner.temperature must be at least 0, not -1.0"),
        ({"questioner.top_p": 0}, "questioner.top_p must be above 0 and at most 1, not 0.0"),
        ({"verifier.max_new_tokens": 0}, "verifier.max_new_tokens must be at least 1, not 0"),
        ({"verifier.kind": "reference"}, "verifier.kind 'reference' needs verifier.pairs"),
        ({"reward.semantic": -0.1}, "reward.semantic is a weight"),
        ({"reward.neighbours": 0}, "reward.neighbours must be at least 1"),
        ({"train.steps": 0}, "train.steps must be at least 1, not 0"),
        ({"train.group_size": 1}, "train.group_size must be at least 2, not 1"),
        ({"train.micro_batch": 5}, "train.micro_batch 5 does not divide the 32 probes"),
        ({"train.learning_rate": 0}, "train.learning_rate must be above 0, not 0.0"),
        ({"train.sft.epochs": 0}, "train.sft.epochs must be above 0, not 0.0"),
        ({"train.sft.batch": 0}, "train.sft.batch must be at least 1, not 0"),
        ({"train.train_vision": True}, "train.train_vision needs train.lora_rank = 0"),
        ({"target.extra": 3}, "target.extra must be a table, not 3"),
        ({"target.base_url": URL, "target.extra": {"a": math.nan}}, "target.extra goes to the server as JSON"),
        ({"target.extra": {"a": 1}}, "target.extra is for a served model, and target.base_url is not set"),
        ({"target.key_env": "MY_KEY"}, "target.key_env is for a served model"),
        ({"target.timeout_s": 5}, "target.timeout_s is for a served model, and target.base_url is not set"),
        ({"verifier.retries": 0}, "verifier.retries is for a served model"),
        ({"questioner.max_concurrency": 8}, "questioner.max_concurrency is for a served model"),
        ({"target.base_url": URL, "target.quantization": "4bit"}, "target.quantization is for a model in this process"),
        ({"target.base_url": URL, "target.device": "cpu"}, "target.device is for a model in this process"),
        ({"target.quantization": "2bit"}, "target.quantization must be one of 'none', '4bit', '8bit'"),
        ({"verifier.base_url": "localhost:8000"}, "verifier.base_url is no address of a server"),
        ({"verifier.base_url": "http://host:port/v1"}, "verifier.base_url is no address of a server"),
        ({"target.base_url": URL, "target.timeout_s": 0}, "target.timeout_s must be above 0"),
        ({"target.base_url": URL, "target.retries": -1}, "target.retries must be at least 0"),
        ({"target.base_url": URL, "target.max_concurrency": 0}, "target.max_concurrency must be at least 1"),
        ({"target.price_call": -1}, "target.price_call must be at least 0"),
        ({"target.max_pixels": 0}, "target.max_pixels must be at least 1"),
        ({"limits.max_calls": -1}, "limits.max_calls must be at least 0"),
        ({"limits.max_cost": 5}, "limits.max_cost needs prices"),
        (
            {"limits.max_cost": 5, "verifier.price_call": 1, "target.base_url": URL},
            "limits.max_cost needs the prices of target",
        ),
        ({"cache.max_bytes": -1}, "cache.max_bytes must be at least 0"),
        ({"sweep.n": 0}, "sweep.n must be at least 1, not 0"),
        ({"sweep.split": "all"}, "sweep.split must be one of 'train', 'heldout', not 'all'"),
    ],
)
def test_a_fault_names_the_key_and_what_is_wanted(settings: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError) as fault:
        override(Config(), settings)
    assert expected in str(fault.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"target.key_env": "sk-1f2e3d"},
        {"target.key_env": "hf_1f2e3d"},
        {"target.base_url": "http://me:1f2e3d@host/v1"},
        {"target.base_url": "https://host/v1?key=1f2e3d"},
        {"target.base_url": "http://[1f2e3d"},
    ],
)
def test_a_key_in_the_wrong_place_is_refused_and_not_repeated(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as fault:
        override(Config(), {"target.base_url": URL, **settings})
    assert "1f2e3d" not in str(fault.value)


def test_a_table_for_the_server_is_kept_as_it_is() -> None:
    config = override(Config(), {"target.base_url": URL, "target.extra.reasoning": {"effort": "low"}})
    assert config.target.extra == {"reasoning": {"effort": "low"}}
    assert from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"seed = ", "is not valid TOML"),
        (b"\xff\xfe", "is not valid TOML"),
        (b"seed = 1\nseed = 2", "is not valid TOML"),
        (b"[images]\npth = 'x'", "unknown setting 'images.pth'; did you mean 'images.path'?"),
        (b"seed = 2026-01-01", "seed must be a whole number"),
        (b"images = 'x'", "images must be a table of settings, not 'x'"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, text: bytes, expected: str) -> None:
    (tmp_path / "c.toml").write_bytes(text)
    with pytest.raises(ConfigError) as fault:
        read_config(tmp_path / "c.toml")
    assert expected in str(fault.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(ConfigError, match="cannot read the configuration"):
            read_config(path)


def test_an_override_leaves_the_rest_and_the_original_alone() -> None:
    config = from_dict({"train": {"steps": 7, "sft": {"batch": 3}}})
    changed = override(config, {"train.sft.epochs": 2, "reward.lexical": 0})
    assert (changed.train.steps, changed.train.sft.batch, changed.train.sft.epochs, changed.reward.lexical) == (
        7,
        3,
        2,
        0,
    )
    assert config.train.sft.epochs == 1.0


def test_the_shipped_configuration_is_a_configuration() -> None:
    """Two steps of it are run in test_cli_runs."""
    config = read_config(Path(__file__).parents[1] / "configs" / "testbed.toml")
    assert (config.name, config.verifier.kind, config.train.probes_per_step) == ("testbed", "oracle", 128)
    # It shows what the demo uses, and must not drift from it.
    demo = from_dict(demo_settings(Path("images"), Path("out"), steps=240, seed=0, heldout_share=0.25, n=1000))
    assert (config.reward, config.train) == (demo.reward, demo.train)
    assert config.questioner.focus == demo.questioner.focus
    assert config.questioner.focus_share == demo.questioner.focus_share

"""Each line of `gadfly doctor` that is not in test_doctor.py, when it fails: it says what is wrong and what to do."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerBase

from cli_calls import Cli
from examined import examine, served, sound, write
from families import build_family
from gadfly.testbed.checkpoints import bundled
from loopback_server import Act, LoopbackServer


def test_a_questioner_that_could_write_what_is_no_text(cli: Cli, album: Path, tmp_path: Path) -> None:
    """The token that begins an image in a prompt is an ordinary one in this tokenizer."""
    folder = build_family("qwen2_5_vl", tmp_path / "questioner")
    file = folder / "tokenizer.json"
    tokenizer = json.loads(file.read_text())
    (begins,) = (one for one in tokenizer["added_tokens"] if one["content"] == "<|vision_start|>")
    begins["special"] = False
    file.write_text(json.dumps(tokenizer))
    settings = folder / "tokenizer_config.json"
    named = json.loads(settings.read_text())
    del named["vision_start_token"]  # what has a name there is special, whatever the other file says
    settings.write_text(json.dumps(named))
    config = write(tmp_path, **sound(album, questioner={"model": str(folder), "max_new_tokens": 4}))
    said = examine(cli, config).failing["questioner writes"]
    assert said.startswith(f"it could write vision_start_token_id ({begins['id']}), which has no image behind it")
    assert said.endswith('mark such tokens as "special": true in its tokenizer.json')


def test_a_processor_that_pads_on_the_right_whatever_it_is_told(
    cli: Cli, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As code that comes with a checkpoint may have it. In training and in answering it would be a silent fault."""
    deaf = property(lambda self: "right", lambda self, side: None)
    monkeypatch.setattr(PreTrainedTokenizerBase, "padding_side", deaf, raising=False)
    failing = examine(cli, write(tmp_path, **sound(album))).failing
    assert 'set "padding_side": "left" in its tokenizer_config.json' in failing["questioner trains"]
    assert "pads on the right whatever it is told" in failing["target sees"]


def test_too_little_disk(cli: Cli, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(2 * 10**9, 10**9, 10**9))
    said = examine(cli, write(tmp_path, **sound(album)), "--estimate").failing["disk"]
    # A gigabyte is free, which the rest of a run takes by itself: what the checkpoints take is missing.
    assert said.startswith("1.00 GB free in ") and "checkpoints take about " in said
    assert said.endswith("lower train.keep_checkpoints, or set `out` to another disk")
    checkpoints = said.partition("take about ")[2].partition(",")[0]
    assert f"free {checkpoints}" in said


@pytest.mark.parametrize(
    ("changes", "check", "said"),
    [
        ({"verifier": {"kind": "oracle"}, "images": "{photos}"}, "verifier", "has no scenes.jsonl"),
        ({"verifier": {"kind": "reference", "pairs": "{nowhere}"}}, "verifier", "cannot read the annotations"),
        ({"train": {"method": "sft", "sft.data": "{nowhere}"}}, "fine-tuning", "cannot read the annotations"),
        ({"train": {"method": "rl+sft"}}, "fine-tuning", "train.sft.data"),
        ({"target": {"prompt": "{nowhere}"}}, "cost", "no prompt"),
        ({"target": {"prompt": "{nowhere}"}}, "one probe", "no prompt"),
        ({"annotator": {"model": "{nowhere}"}}, "annotator", "no checkpoint folder"),
    ],
)
def test_what_is_missing_is_said_in_its_line(
    cli: Cli, album: Path, photos: Path, tmp_path: Path, changes: dict[str, Any], check: str, said: str
) -> None:
    def filled(value: Any) -> Any:
        return value.format(photos=photos, nowhere=tmp_path / "no" / "where") if isinstance(value, str) else value

    pictures = Path(filled(changes.get("images", str(album))))
    sections = {
        name: {key: filled(value) for key, value in values.items()}
        for name, values in changes.items()
        if name != "images"
    }
    found = examine(cli, write(tmp_path, **sound(pictures, **sections)))
    assert found.status == 1 and said in found.failing[check]


def test_a_probe_that_comes_to_nothing(cli: Cli, album: Path, tmp_path: Path) -> None:
    """The server answers when it is looked at, and refuses the question itself."""
    with LoopbackServer(lambda n, body: Act.REFUSE if n else Act.ANSWER, models=["m"]) as server:
        found = examine(cli, served(tmp_path, album, server.url))
    assert found.only("target answers")["outcome"] == "pass"
    assert "UNDECIDED, target_error: endpoint_refusal" in found.failing["one probe"]
    assert found.failing["one probe"].endswith("mend that role, or a run will learn nothing")


@pytest.mark.parametrize(
    ("reply", "outcome", "said"),
    [
        ('{"skills": ["counting.count", "space.left_of"], "concepts": ["dog"]}', "pass", "counting.count, space.left"),
        ("I would rather not.", "fail", "says nothing readable of"),
    ],
)
def test_an_annotator_that_can_be_read_and_one_that_cannot(
    cli: Cli, album: Path, tmp_path: Path, reply: str, outcome: str, said: str
) -> None:
    with LoopbackServer(answer=lambda body: reply) as server:
        annotator = {"annotator": {"model": "namer", "base_url": server.url}}
        found = examine(cli, write(tmp_path, **{**sound(album, **annotator), "questioner": {"method": "uniform"}}))
    line = found.only("annotator")
    assert line["outcome"] == outcome and said in line["said"]


def test_a_served_model_that_is_slow(cli: Cli, album: Path, tmp_path: Path) -> None:
    with LoopbackServer(lambda n, body: Act.STALL, models=["m"]) as server:
        found = examine(cli, served(tmp_path, album, server.url, timeout_s=0.5))
    assert "no answer within 0.5 s; see whether the server is still loading" in found.failing["target answers"]


def test_a_sweep_is_not_told_of_training(cli: Cli, album: Path, tmp_path: Path) -> None:
    for share, said in ((0.0, "all 12 images are asked about"), (0.25, "images of the part heldout are asked about")):
        sections = sound(album, images={"heldout_share": share}, sweep={"split": "heldout" if share else "train"})
        sections |= {"questioner": {"method": "uniform"}, "target": {"model": str(bundled("clean"))}}
        line = examine(cli, write(tmp_path, **sections), "--estimate").only("split")
        assert line["outcome"] == "pass" and said in line["said"] and "train on" not in line["said"]

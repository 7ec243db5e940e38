"""What `gadfly doctor` says of a configuration, and configurations for it to look at. For tests only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cli_calls import Cli
from gadfly.testbed.checkpoints import bundled


class Examined:
    """What `gadfly doctor --json` said."""

    def __init__(self, status: int, out: str) -> None:
        said = json.loads(out)
        self.status, self.passed = status, said["passed"]
        self.findings: list[dict[str, Any]] = said["findings"]

    def of(self, check: str) -> list[dict[str, Any]]:
        return [one for one in self.findings if one["check"] == check]

    def only(self, check: str) -> dict[str, Any]:
        (one,) = self.of(check)
        return one

    @property
    def failing(self) -> dict[str, str]:
        return {one["check"]: one["said"] for one in self.findings if one["outcome"] == "fail"}


def write(folder: Path, text: str = "", /, **sections: Any) -> Path:
    """A configuration of a run that would be in `folder`/out, with values as JSON, which TOML reads alike."""
    lines = [f"out = {json.dumps(str(folder / 'out'))}", text]
    for name, values in sections.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    file = folder / "config.toml"
    file.write_text("\n".join(lines))
    return file


def sound(pictures: Path, **changes: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The sections of a configuration of the bundled models, with some settings changed."""
    sections: dict[str, dict[str, Any]] = {
        "images": {"path": str(pictures), "heldout_share": 0.25},
        "questioner": {"model": str(bundled("questioner")), "prompt": "testbed_questioner", "max_new_tokens": 40},
        "target": {"model": str(bundled("clean")), "prompt": "testbed_target", "max_new_tokens": 4},
        "verifier": {"kind": "oracle"},
        "reward": {"embedder": "hash"},
        "train": {"lora_rank": 0, "images_per_step": 2, "group_size": 4},
    }
    return {name: {**values, **changes.get(name, {})} for name, values in sections.items()} | {
        name: values for name, values in changes.items() if name not in sections
    }


def examine(cli: Cli, config: Path, *more: object) -> Examined:
    said = cli("doctor", config, "--json", *more)
    return Examined(said.status, said.out)


def served(tmp_path: Path, album: Path, url: str, **more: Any) -> Path:
    sections = sound(album, questioner={}, target={})
    sections["questioner"] = {"method": "uniform"}
    sections["target"] = {"base_url": url, "model": "m", "timeout_s": 5.0, **more}
    return write(tmp_path, **sections)

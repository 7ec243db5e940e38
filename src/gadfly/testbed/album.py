"""Albums: testbed scenes rendered as an ordinary folder of images, with annotations beside them.

A folder holds `000000.png` … and `scenes.jsonl`, one line an image: its file name, its SHA-256, and its scene.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import PIL.Image

from gadfly.errors import TestbedError
from gadfly.records import Image
from gadfly.testbed.drawing import draw
from gadfly.testbed.scenes import IMAGE_PX, Level, Scene, generate

SCENES_FILE = "scenes.jsonl"
_MEND = "take it from where the images come from, or render a folder anew"


def render(
    folder: Path,
    *,
    n: int,
    split: str,
    seed: int,
    level: Level | None = None,
    on_progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Write `n` images and their annotations into a new or empty folder. Raises TestbedError if it holds anything, or
    if there is no such split."""
    scenes = generate(split, seed, level)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise TestbedError(f"{folder} already holds something; name a new or an empty folder")
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for i, scene in enumerate(itertools.islice(scenes, n)):
        name = f"{i:06d}.png"
        png = encode(scene)
        (folder / name).write_bytes(png)
        digest = hashlib.sha256(png).hexdigest()
        lines.append(json.dumps({"image": name, "sha256": digest, "split": split, "scene": scene.to_json()}))
        on_progress(i + 1)
    (folder / SCENES_FILE).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def encode(scene: Scene) -> bytes:
    """The scene's image as PNG bytes."""
    buffer = io.BytesIO()
    PIL.Image.fromarray(draw(scene)).save(buffer, "PNG")
    return buffer.getvalue()


class SceneSource:
    """Scenes as an ImageSource in memory: what a folder made by `render` would give, without the folder."""

    def __init__(self, scenes: Iterable[Scene]) -> None:
        self.scenes: dict[str, Scene] = {}
        self._images = []
        for i, scene in enumerate(scenes):
            image = Image(hashlib.sha256(encode(scene)).hexdigest(), f"{i:06d}.png", IMAGE_PX, IMAGE_PX)
            self.scenes[image.id] = scene
            self._images.append(image)

    def __len__(self) -> int:
        return len(self._images)

    def __iter__(self) -> Iterator[Image]:
        return iter(self._images)

    def open(self, image: Image) -> PIL.Image.Image:
        return PIL.Image.fromarray(draw(self.scenes[image.id]))


def read_scenes(folder: Path) -> dict[str, Scene]:
    """Image id → scene, from a folder's annotations. Raises TestbedError where there are none or they are torn."""
    path = folder / SCENES_FILE
    if not path.is_file():
        raise TestbedError(
            f"{folder} has no {SCENES_FILE}; the oracle judges only folders made by `gadfly testbed render`"
        )
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as fault:
        raise TestbedError(f"{path} is not UTF-8 text ({fault}); {_MEND}") from fault
    scenes = {}
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            scenes[row["sha256"]] = Scene.from_json(row["scene"])
        except (ValueError, KeyError, TypeError) as fault:
            raise TestbedError(f"{path}, line {number}: not a scene ({fault}); {_MEND}") from fault
    return scenes

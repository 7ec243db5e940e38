"""Fixtures of the tests that call the command line: the call itself, a checkpoint, photographs, an album of scenes."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import PIL.Image
import pytest
from hypothesis import settings

from cli_calls import Cli, Said

# As the command line itself sets it, which is too late here: the libraries are loaded by then.
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

# A shell's background job ignores Ctrl-C, and so would every process that it starts: those that tests interrupt too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says more about what else the machine does, and what is imported in it, than about the code.
settings.register_profile("gadfly", deadline=None)
settings.load_profile("gadfly")


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Calls the command line in this process: gadfly ARG…"""
    from gadfly.cli.main import main

    def call(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["gadfly", *map(str, arguments)])
        capsys.readouterr()
        status = 0
        try:
            main()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        out, err = capsys.readouterr()
        return Said(status, out, err)

    return call


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundled architecture with random weights."""
    from gadfly.testbed.build import save
    from gadfly.testbed.vlm import Dimensions, build_model

    folder = tmp_path_factory.mktemp("checkpoint")
    save(build_model(Dimensions(text_layers=2, vision_layers=1), seed=0), folder)
    return folder


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs as people have them, in the formats they come in, and two files that are none."""
    import skimage.data
    import sklearn.datasets

    folder = tmp_path_factory.mktemp("photos")
    cat = PIL.Image.fromarray(skimage.data.chelsea())
    cat.save(folder / "cat.jpg")
    PIL.Image.fromarray(sklearn.datasets.load_sample_image("china.jpg")).save(folder / "china.webp")
    PIL.Image.fromarray(skimage.data.camera()).save(folder / "grey.png")
    PIL.Image.fromarray(skimage.data.coffee()).convert("CMYK").save(folder / "cmyk.jpg")
    PIL.Image.fromarray(skimage.data.astronaut()).quantize(64).save(folder / "palette.png")
    PIL.Image.fromarray(skimage.data.logo()).save(folder / "alpha.png")
    cat.resize((200, 130)).save(folder / "moving.gif", save_all=True, append_images=[cat.rotate(9).resize((200, 130))])
    cat.resize((5200, 3900)).save(folder / "large.jpg", quality=60)
    exif = cat.getexif()
    exif[0x0112] = 6
    cat.save(folder / "turned.jpg", exif=exif, quality=70)
    (folder / "torn.jpg").write_bytes((folder / "cat.jpg").read_bytes()[:2000])
    (folder / "notes.png").write_text("no picture")
    return folder


@pytest.fixture(scope="session")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from gadfly.testbed.album import render

    folder = tmp_path_factory.mktemp("testbed") / "album"
    render(folder, n=12, split="probe", seed=3)
    return folder

"""Annotation files, good and bad, beside a real folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image as pil

from gadfly.errors import ConfigError
from gadfly.images.annotations import Annotation, read_annotations
from gadfly.images.folder import FolderSource


@pytest.fixture
def source(tmp_path: Path) -> FolderSource:
    (tmp_path / "images" / "cats").mkdir(parents=True)
    pil.new("RGB", (4, 4)).save(tmp_path / "images" / "cats" / "1.png")
    return FolderSource(tmp_path / "images")


def write(tmp_path: Path, *lines: str | bytes) -> Path:
    path = tmp_path / "qa.jsonl"
    path.write_bytes(b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines))
    return path


def test_answers_may_be_one_many_or_none(tmp_path: Path, source: FolderSource) -> None:
    image = next(iter(source))
    path = write(
        tmp_path,
        b"\xef\xbb\xbf" + json.dumps({"image": "cats/1.png", "question": " How many? ", "answer": "two"}).encode(),
        "",
        json.dumps({"image": image.id, "question": "Colour?", "answer": ["grey", "gray"], "source": "by hand"}),
        json.dumps({"image": "./cats/1.png", "question": "Wo?"}) + "\r",
    )
    assert read_annotations(path, source.find) == (
        Annotation(image, "How many?", ("two",)),
        Annotation(image, "Colour?", ("grey", "gray")),
        Annotation(image, "Wo?", ()),
    )


GOOD = '{"image": "cats/1.png", "question": "q"}'


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not JSON"),
        (b'{"image": "\xff"}', "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1]", "a JSON object was wanted"),
        ('{"question": "q"}', '"image" must be a text that is not empty, not nothing'),
        ('{"image": "cats/1.png", "question": "  "}', '"question" must be a text'),
        ('{"image": "cats/1.png", "question": "q", "answer": 3}', '"answer" must be a text that is not empty, not 3'),
        ('{"image": "cats/1.png", "question": "q", "answer": []}', "empty list"),
        ('{"image": "cats/1.png", "question": "q", "answer": ["a", ""]}', '"answer" must be a text'),
        ('{"image": "cats/1.png", "question": "q", "anwser": "a"}', 'did you mean "answer"'),
        ('{"image": "cats/2.png", "question": "q"}', "no usable image 'cats/2.png'"),
        ('{"image": "../images/cats/1.png", "question": "q"}', "leads out of the image folder"),
        ('{"image": "cats\\\\..\\\\..\\\\x.png", "question": "q"}', "leads out of the image folder"),
        ('{"image": "/etc/passwd", "question": "q"}', "leads out of the image folder"),
        ('{"image": "C:/x.png", "question": "q"}', "leads out of the image folder"),
        ('{"image": "cats/1.png", "question": "\\ud800"}', "surrogate"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, source: FolderSource, line: str | bytes, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_annotations(write(tmp_path, GOOD, "", line), source.find)
    assert "line 3: " in str(caught.value) and message in str(caught.value) and "\n" not in str(caught.value)


def test_many_bad_lines_are_counted(tmp_path: Path, source: FolderSource) -> None:
    with pytest.raises(ConfigError, match=r"line 1: .*line 2: .*line 3: .* \(and 2 more\)"):
        read_annotations(write(tmp_path, *["{"] * 5), source.find)


def test_a_file_that_is_missing_or_empty_is_refused(tmp_path: Path, source: FolderSource) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        read_annotations(tmp_path / "none.jsonl", source.find)
    with pytest.raises(ConfigError, match="no annotation"):
        read_annotations(write(tmp_path, ""), source.find)

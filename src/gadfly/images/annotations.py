"""Reads questions (and answers) that were given along with the images. Knows nothing of who will use them.

One JSON object a line: {"image": "cats/1.jpg" or the SHA-256, "question": "…", "answer": "two" or ["two", "2"]}.
`answer` may be left out: a question alone is enough to fine-tune a questioner on.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Final

from gadfly.errors import ConfigError
from gadfly.records import Image

_KEYS: Final = ("image", "question", "answer")
_SHOWN_ERRORS: Final = 3


@dataclass(frozen=True, slots=True)
class Annotation:
    """A question about an image, with every answer that is accepted; no answers where none were given."""

    image: Image
    question: str
    answers: tuple[str, ...]


def read_annotations(path: str | os.PathLike[str], find: Callable[[str], Image | None]) -> tuple[Annotation, ...]:
    """All annotations of a JSONL file, in order. Blank lines are passed over.

    `find` gives the image of a relative path or an id, None where there is none (`FolderSource.find`); nothing is
    read from the paths themselves. Raises ConfigError naming the bad lines, or where the file cannot be read.
    """
    try:
        lines = Path(path).read_bytes().removeprefix(b"\xef\xbb\xbf").splitlines()
    except OSError as error:
        raise ConfigError(f"cannot read the annotations {os.fspath(path)}: {error.strerror}") from error
    annotations: list[Annotation] = []
    faults: list[str] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            annotations.append(_parse(line, find))
        except _FaultError as fault:
            faults.append(f"line {number}: {fault}")
    if faults:
        more = f" (and {len(faults) - _SHOWN_ERRORS} more)" if len(faults) > _SHOWN_ERRORS else ""
        raise ConfigError(f"bad annotations in {os.fspath(path)}: {'; '.join(faults[:_SHOWN_ERRORS])}{more}")
    if not annotations:
        raise ConfigError(f"no annotation in {os.fspath(path)}; it must hold one JSON object a line")
    return tuple(annotations)


class _FaultError(Exception):
    """What is wrong with one line."""


def _parse(line: bytes, find: Callable[[str], Image | None]) -> Annotation:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise _FaultError(f"not JSON ({' '.join(str(error).split())})") from None
    if not isinstance(record, dict):
        raise _FaultError(f"a JSON object was wanted, not {_kind(record)}")
    for key in record:
        # Other keys are let pass, since data sets carry ids and sources; a misspelt one would lose its answers.
        if key not in _KEYS and (near := difflib.get_close_matches(key, _KEYS, n=1, cutoff=0.75)):
            raise _FaultError(f'unknown key "{key}"; did you mean "{near[0]}"?')
    question = _text(record.get("question"), "question")
    return Annotation(_image(_text(record.get("image"), "image"), find), question, _answers(record))


def _answers(record: dict[str, Any]) -> tuple[str, ...]:
    if "answer" not in record:
        return ()
    answer = record["answer"]
    if not isinstance(answer, list):
        return (_text(answer, "answer"),)
    if not answer:
        raise _FaultError('"answer" is an empty list; leave it out where there is none')
    return tuple(_text(one, "answer") for one in answer)


def _image(name: str, find: Callable[[str], Image | None]) -> Image:
    # Judged by the rules of both systems, so that a file refused on one is refused on the other.
    for path in (PurePosixPath(name), PureWindowsPath(name)):
        if path.is_absolute() or path.drive or ".." in path.parts:
            raise _FaultError(f"the image {name!r} leads out of the image folder; give a path relative to it")
    image = find(name)
    if image is None:
        raise _FaultError(f"no usable image {name!r} in the image folder")
    return image


def _text(value: object, key: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _FaultError(f'"{key}" must be a text that is not empty, not {_kind(value)}')
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _FaultError(f'"{key}" holds half of a surrogate pair, which is not text') from None
    return value.strip()


def _kind(value: object) -> str:
    if value is None:
        return "nothing"
    return "an empty one" if value == "" else f"{json.dumps(value)[:40]}"

"""Referents that are kept: what was said once is not asked again, and a torn file is as good as none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from gadfly.analysis.referents import KeptReferents, question_of, read_referents, referents_of, write_referents
from gadfly.records import Question
from made_probes import RIGHT, make_probe

PROBES = [
    make_probe(RIGHT, image, i, question=text)
    for i, (image, text) in enumerate((("a", "x?"), ("a", "y?"), ("b", "x?")))
]
RED = ("colour.red",)


class Knows:
    """A grounder of image a alone."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def referents(self, questions: Sequence[Question]) -> list[tuple[str, ...] | None]:
        self.asked += [question.text for question in questions]
        return [RED if question.images == PROBES[0].images else None for question in questions]


def test_only_what_is_not_kept_is_asked(tmp_path: Path) -> None:
    questions = [question_of(probe) for probe in PROBES]
    write_referents(tmp_path / "kept.json", {**referents_of(PROBES[:1], Knows()), ("a b", "z?"): ()})
    kept, other = read_referents(tmp_path / "kept.json"), Knows()
    assert sorted(kept.values()) == [(), RED]
    assert KeptReferents(kept, lambda: other).referents(questions) == [RED, RED, None]
    assert other.asked == ["y?", "x?"]  # of a and of b
    assert KeptReferents(kept, lambda: None).referents(questions) == [RED, None, None]
    assert KeptReferents(kept, lambda: pytest.fail("nothing is missing")).referents(questions[:1]) == [RED]


@pytest.mark.parametrize(
    "text", ["", "[]", '{"format": 1}', '{"format": 2, "images": {}}', '{"format": 1, "images": [3]}']
)
def test_a_file_that_cannot_be_read_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "kept.json").write_text(text)
    assert read_referents(tmp_path / "kept.json") == {}
    assert read_referents(tmp_path / "gone.json") == {}

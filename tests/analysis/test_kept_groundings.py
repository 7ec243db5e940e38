"""Groundings that are kept: what was said once is not asked again, and a torn file is as good as none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from gadfly.analysis.grounding import KeptGrounder, groundings, question_of, read_groundings, write_groundings
from gadfly.records import Grounding, Question
from made_probes import RIGHT, make_probe

PROBES = [
    make_probe(RIGHT, image, i, question=text)
    for i, (image, text) in enumerate((("a", "x?"), ("a", "y?"), ("b", "x?")))
]
RED, NOTHING = Grounding(("colour.red",), 0.25, 1.5), Grounding((), None, 0.0)


class Knows:
    """A grounder of image a alone."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def ground(self, questions: Sequence[Question]) -> list[Grounding | None]:
        self.asked += [question.text for question in questions]
        return [RED if question.images == PROBES[0].images else None for question in questions]


def test_only_what_is_not_kept_is_asked(tmp_path: Path) -> None:
    questions = [question_of(probe) for probe in PROBES]
    known = groundings(PROBES[::2], Knows())
    assert list(known.values()) == [RED]  # of b it says nothing
    write_groundings(tmp_path / "kept.json", {**known, ("a b", "z?"): NOTHING})
    kept, other = read_groundings(tmp_path / "kept.json"), Knows()
    assert kept == {**known, ("a b", "z?"): NOTHING}
    assert KeptGrounder(kept, lambda: other).ground(questions) == [RED, RED, None]
    assert other.asked == ["y?", "x?"]  # of a and of b
    assert KeptGrounder(kept, lambda: None).ground(questions) == [RED, None, None]
    assert KeptGrounder(kept, lambda: pytest.fail("nothing is missing")).ground(questions[:1]) == [RED]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"format": 1}',
        '{"format": 2, "images": {}}',
        '{"format": 1, "images": [3]}',
        '{"format": 1, "images": {"a": {"x?": [["colour.red"], 0.25]}}}',
        '{"format": 1, "images": {"a": {"x?": [["colour.red"], 0.25, "many"]}}}',
    ],
)
def test_a_file_that_cannot_be_read_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "kept.json").write_text(text)
    assert read_groundings(tmp_path / "kept.json") == {}
    assert read_groundings(tmp_path / "gone.json") == {}

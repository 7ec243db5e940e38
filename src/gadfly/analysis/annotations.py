"""What an annotator said of questions and of modes, kept: whoever reads the findings later need not ask it again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from gadfly.protocols import Annotator, Describer
from gadfly.records import Words

Names = tuple[str, ...] | None
Said = tuple[Names, Names]
"""Skills and concepts of one question, by canonical names; None where the annotator did not say."""

_FORMAT = 1  # of the file; what another one holds is asked for anew


@dataclass(frozen=True, slots=True)
class Kept:
    """What was said of each question, and in which words each mode was put, by what its questions have in common.
    `unknown` counts the questions that were asked, and those of which nothing was said, by the reason."""

    questions: Mapping[str, Said]
    words: Mapping[str, Words | None]
    unknown: Mapping[str, int]

    def as_json(self) -> dict[str, Any]:
        """For a file; the same answers give the same text."""
        words = {common: self.words[common] for common in sorted(self.words)}
        return {
            "format": _FORMAT,
            "unknown": dict(self.unknown),
            "questions": {text: self.questions[text] for text in sorted(self.questions)},
            "words": {common: None if one is None else (one.name, one.sentence) for common, one in words.items()},
        }


def kept_of(data: Any) -> Kept | None:
    """What `Kept.as_json` made; None where it is of another format."""
    try:
        if data["format"] != _FORMAT:
            return None
        return Kept(
            {str(text): (_names(skills), _names(concepts)) for text, (skills, concepts) in data["questions"].items()},
            {str(common): None if one is None else Words(*map(str, one)) for common, one in data["words"].items()},
            {str(reason): int(n) for reason, n in data["unknown"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _names(data: Any) -> Names:
    return None if data is None else tuple(map(str, data))


@final
class KeptAnnotator:
    """An `Annotator`: of questions that are kept what is kept, of others what another annotator says, which is made
    when it is needed. That is kept as well, for as long as this object lasts."""

    def __init__(self, kept: Mapping[str, Said], other: Callable[[], Annotator]) -> None:
        self.questions = dict(kept)
        self._other = other

    def skills(self, questions: Sequence[str]) -> list[Names]:
        return [skills for skills, _ in self._said(questions)]

    def concepts(self, questions: Sequence[str]) -> list[Names]:
        return [concepts for _, concepts in self._said(questions)]

    def _said(self, questions: Sequence[str]) -> list[Said]:
        if missing := [text for text in dict.fromkeys(questions) if text not in self.questions]:
            other = self._other()
            self.questions |= zip(
                missing, zip(other.skills(missing), other.concepts(missing), strict=True), strict=True
            )
        return [self.questions[text] for text in questions]


@final
class KeptDescriber:
    """A `Describer`, as `KeptAnnotator` is an annotator."""

    def __init__(self, kept: Mapping[str, Words | None], other: Callable[[], Describer]) -> None:
        self.words = dict(kept)
        self._other = other

    def describe(self, commons: Sequence[str]) -> list[Words | None]:
        if missing := [common for common in dict.fromkeys(commons) if common not in self.words]:
            self.words |= zip(missing, self._other().describe(missing), strict=True)
        return [self.words[common] for common in commons]

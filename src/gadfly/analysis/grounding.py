"""What questions ask about, as a grounder said once: kept, since the images that it knows may be elsewhere by then."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import final

from gadfly.protocols import Grounder
from gadfly.records import Probe, Question

Kept = Mapping[tuple[str, str], tuple[str, ...]]
"""Referents by the ids of the images, joined by a space, and the question's text."""

_FORMAT = 1  # of the file; referents of another one are found anew


@final
class KeptReferents:
    """A Grounder: what is kept as it is, of the rest what another grounder says, which is made when it is needed."""

    def __init__(self, kept: Kept, ground: Callable[[], Grounder | None]) -> None:
        self._kept, self._ground = kept, ground

    def referents(self, questions: Sequence[Question]) -> list[tuple[str, ...] | None]:
        found = [self._kept.get(_key(question)) for question in questions]
        missing = [i for i, some in enumerate(found) if some is None]
        if missing and (grounder := self._ground()) is not None:
            for i, some in zip(missing, grounder.referents([questions[i] for i in missing]), strict=True):
                found[i] = some
        return found


def referents_of(probes: Iterable[Probe], grounder: Grounder) -> Kept:
    """The referents of the probes' questions, where something is known of them."""
    questions = [question_of(probe) for probe in probes]
    said = zip(questions, grounder.referents(questions), strict=True)
    return {_key(question): some for question, some in said if some is not None}


def question_of(probe: Probe) -> Question:
    """What was asked, for a grounder."""
    return Question(probe.images, probe.question, group=0)


def _key(question: Question) -> tuple[str, str]:
    return " ".join(image.id for image in question.images), question.text


def read_referents(path: Path) -> dict[tuple[str, str], tuple[str, ...]]:
    """What `write_referents` wrote; nothing where there is no such file, or it is torn or of another format."""
    try:
        data = json.loads(path.read_text("utf-8"))
        if data["format"] != _FORMAT:
            return {}
        return {
            (str(images), str(text)): tuple(map(str, some))
            for images, of_texts in data["images"].items()
            for text, some in of_texts.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def write_referents(path: Path, kept: Kept) -> None:
    """Keep referents for the next time."""
    by_image: dict[str, dict[str, list[str]]] = {}
    for images, text in sorted(kept):
        by_image.setdefault(images, {})[text] = list(kept[images, text])
    path.write_text(json.dumps({"format": _FORMAT, "images": by_image}, indent=0) + "\n", encoding="utf-8")

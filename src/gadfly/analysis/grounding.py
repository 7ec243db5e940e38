"""What questions ask about, as a grounder said once: kept, since the images that it knows may be elsewhere by then."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import final

from gadfly.protocols import Grounder
from gadfly.records import Grounding, Probe, Question

Kept = Mapping[tuple[str, str], Grounding]
"""By the ids of the images, joined by a space, and the question's text."""

_FORMAT = 1  # of the file; what another one holds is found anew


@final
class KeptGrounder:
    """A Grounder: what is kept as it is, of the rest what another grounder says, which is made when it is needed."""

    def __init__(self, kept: Kept, other: Callable[[], Grounder | None]) -> None:
        self._kept, self._other = kept, other

    def ground(self, questions: Sequence[Question]) -> list[Grounding | None]:
        found = [self._kept.get(_key(question)) for question in questions]
        missing = [i for i, one in enumerate(found) if one is None]
        if missing and (other := self._other()) is not None:
            for i, one in zip(missing, other.ground([questions[i] for i in missing]), strict=True):
                found[i] = one
        return found


def groundings(probes: Iterable[Probe], grounder: Grounder) -> Kept:
    """What the probes' questions ask about, where something is known of it."""
    questions = [question_of(probe) for probe in probes]
    said = zip(questions, grounder.ground(questions), strict=True)
    return {_key(question): one for question, one in said if one is not None}


def question_of(probe: Probe) -> Question:
    """What was asked, for a grounder."""
    return Question(probe.images, probe.question, group=0)


def _key(question: Question) -> tuple[str, str]:
    return " ".join(image.id for image in question.images), question.text


def read_groundings(path: Path) -> dict[tuple[str, str], Grounding]:
    """What `write_groundings` wrote; nothing where there is no such file, or it is torn or of another format."""
    try:
        data = json.loads(path.read_text("utf-8"))
        if data["format"] != _FORMAT:
            return {}
        return {
            (str(images), str(text)): _grounding(*one)
            for images, of_texts in data["images"].items()
            for text, one in of_texts.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _grounding(referents: list[str], size: float | None, attributes: float) -> Grounding:
    return Grounding(tuple(map(str, referents)), None if size is None else float(size), float(attributes))


def write_groundings(path: Path, kept: Kept) -> None:
    """Keep them for the next time."""
    by_image: dict[str, dict[str, object]] = {}
    for images, text in sorted(kept):
        one = kept[images, text]
        by_image.setdefault(images, {})[text] = (one.referents, one.size, one.attributes)
    path.write_text(json.dumps({"format": _FORMAT, "images": by_image}) + "\n", encoding="utf-8")

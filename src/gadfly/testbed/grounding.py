"""A grounder for testbed images: runs a question on its scene and says what the things it asks about have in common."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

from gadfly.records import Question
from gadfly.testbed.english import Ungrammatical, parse
from gadfly.testbed.execution import SceneIndex, run
from gadfly.testbed.scenes import Scene, Thing


class SceneGrounder:
    """What is asked about are the things that the outermost descriptions fit (`execution.Answer`). `scenes` are by
    image id; of questions that are invalid or about other images nothing is known."""

    def __init__(self, scenes: Mapping[str, Scene]) -> None:
        self._index = functools.cache(lambda image_id: SceneIndex(scenes[image_id]) if image_id in scenes else None)

    def referents(self, questions: Sequence[Question]) -> list[tuple[str, ...] | None]:
        return [self._of(question) for question in questions]

    def _of(self, question: Question) -> tuple[str, ...] | None:
        scene = self._index(question.images[0].id)
        if scene is None:
            return None
        try:
            answer = run(parse(question.text), scene)
        except Ungrammatical:
            return None
        return None if answer.invalid is not None else _shared([scene.things[i] for i in answer.referents])


def _shared(things: Sequence[Thing]) -> tuple[str, ...]:
    attributes = [{f"colour.{thing.colour}", f"shape.{thing.shape}", f"size.{thing.size}"} for thing in things]
    return tuple(sorted(set.intersection(*attributes))) if attributes else ()

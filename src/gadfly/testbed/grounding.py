"""A grounder for testbed images: runs a question on its scene and says what the things are that it asks about."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

from gadfly.records import Grounding, Question
from gadfly.testbed.drawing import DIAMETER_PX
from gadfly.testbed.english import Ungrammatical, parse
from gadfly.testbed.execution import SceneIndex, run
from gadfly.testbed.scenes import IMAGE_PX, Scene, Thing


class SceneGrounder:
    """What is asked about are the things that the outermost descriptions fit (`execution.Answer`). `scenes` are by
    image id; of questions that are invalid or about other images nothing is known."""

    def __init__(self, scenes: Mapping[str, Scene]) -> None:
        self._index = functools.cache(lambda image_id: SceneIndex(scenes[image_id]) if image_id in scenes else None)

    def ground(self, questions: Sequence[Question]) -> list[Grounding | None]:
        return [self._of(question) for question in questions]

    def _of(self, question: Question) -> Grounding | None:
        scene = self._index(question.images[0].id)
        if scene is None:
            return None
        try:
            program = parse(question.text)
        except Ungrammatical:
            return None
        answer = run(program, scene)
        if answer.invalid is not None:
            return None
        things = [scene.things[i] for i in answer.referents]
        size = min((DIAMETER_PX[thing.size] / IMAGE_PX for thing in things), default=None)
        return Grounding(_shared(things), size, program.n_attributes / len(program.walk()))


def _shared(things: Sequence[Thing]) -> tuple[str, ...]:
    attributes = [{f"colour.{thing.colour}", f"shape.{thing.shape}", f"size.{thing.size}"} for thing in things]
    return tuple(sorted(set.intersection(*attributes))) if attributes else ()

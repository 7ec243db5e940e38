"""The uniform sampler as a questioner: a baseline that asks valid questions about testbed images and learns nothing.

It has no source: it takes a language whose valid questions can be drawn, which nobody has for images of their own.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from gadfly.records import Completion, Image
from gadfly.testbed.english import realise
from gadfly.testbed.execution import SceneIndex
from gadfly.testbed.programs import MAX_DEPTH
from gadfly.testbed.sampler import sample
from gadfly.testbed.scenes import Scene


class UniformQuestioner:
    """Draws a depth, then a valid question of that depth. `depth_weights` are for depths 1, 2, …; equal by default.

    Where a scene offers no question of the depth drawn, a shallower one is asked. An image without a scene gives an
    error.
    """

    def __init__(self, scenes: Mapping[str, Scene], depth_weights: Sequence[float] = (1.0,) * MAX_DEPTH) -> None:
        self._scenes = scenes
        self._depth_weights = tuple(depth_weights)

    def ask(self, images: Sequence[Image], seed: int) -> list[Completion]:
        rng = random.Random(seed)
        return [self._ask(image, rng) for image in images]

    def _ask(self, image: Image, rng: random.Random) -> Completion:
        if image.id not in self._scenes:
            return Completion(error="no_scene: this image is not one of the testbed's")
        scene = SceneIndex(self._scenes[image.id])
        (depth,) = rng.choices(range(1, len(self._depth_weights) + 1), weights=self._depth_weights)
        for shallower in range(depth, 0, -1):
            drawn = sample(scene, shallower, rng)
            if drawn is not None:
                return Completion(realise(drawn[0], rng))
        return Completion(error="no_question: the sampler found no valid question about this scene")

"""What the cells of an organism are measured with: its key, its clean twin, fresh probes of it. Knows no search."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

from gadfly.analysis.conditions import Measures, measure_all
from gadfly.analysis.statistics import Flags
from gadfly.asking import cached
from gadfly.bench.fresh import FreshProbes, weights_identity
from gadfly.bench.grid import Place
from gadfly.bench.keys import AnswerKey, key_of, read_key
from gadfly.bench.making import checkpoint_folder, checkpoint_folders
from gadfly.bench.organisms import probes_in_spots
from gadfly.config import RewardConfig
from gadfly.models.local import LocalModel
from gadfly.protocols import Embedder
from gadfly.records import Probe, Sampling
from gadfly.roles.prompts import load_prompt
from gadfly.roles.target import ModelTarget
from gadfly.testbed.album import SceneSource
from gadfly.testbed.checkpoints import bundled
from gadfly.testbed.drawing import object_size
from gadfly.wiring import build_embedder

_TARGET_PROMPT, _MAX_ANSWER_TOKENS, _BATCH = "testbed_target", 4, 64


@final
class Yardstick:
    """What all cells of one organism are measured with: its key, its clean twin, and its fresh probes. Without a key
    (the clean target) nothing is planted, and there is no twin to exceed."""

    def __init__(
        self, target: Path, key: AnswerKey | None, twin: Path | None, cache: Path, embedder: Embedder, n_uniform: int
    ) -> None:
        self.key = key
        self.twin = twin
        self.embedder = embedder
        self.fresh = FreshProbes(functools.partial(open_target, target), weights_identity(target), cache, n_uniform)

    @functools.cached_property
    def fresh_valid(self) -> tuple[Probe, ...]:
        """The uniform fresh probes that are valid."""
        return tuple(probe for probe in self.fresh.uniform if probe.verdict.valid)

    @functools.cached_property
    def fresh_in_spots(self) -> Flags:
        """Which of those lie in which spot of the key, shape S_N."""
        assert self.key is not None
        return probes_in_spots(self.key, self.fresh_valid, self.fresh.source.scenes)

    @functools.cached_property
    def fresh_measures(self) -> dict[str, Measures]:
        """The measures of the pictures that the uniform fresh probes are about."""
        source = self.fresh.source
        asked = {probe.images[0].id for probe in self.fresh.uniform}
        sizes = {image_id: object_size(scene) for image_id, scene in source.scenes.items()}
        return measure_all(source, [image for image in source if image.id in asked], {}, sizes)


def yardstick_of(organism: str, out: Path, embedder: Embedder, n_uniform: int) -> Yardstick:
    """The yardstick of a bundled organism, or of a folder with a key beside it. What its fresh probes were answered is
    kept in out/fresh. Raises TestbedError."""
    path = key_of(organism)
    key = None if path is None else read_key(path)
    twin = None if key is None else checkpoint_folder(key.clean)
    cache = out / "fresh" / f"{Path(organism).name}.json"
    return Yardstick(checkpoint_folder(organism), key, twin, cache, embedder, n_uniform)


def open_target(checkpoint: Path, source: SceneSource) -> ModelTarget:
    """A bundled target that answers questions about scenes in memory."""
    model = LocalModel(checkpoint, source.open, max_batch=_BATCH)
    return ModelTarget(model, load_prompt(_TARGET_PROMPT), Sampling(max_new_tokens=_MAX_ANSWER_TOKENS))


@final
class Yardsticks:
    """Those of all organisms of a grid, each built when first asked for. `out` is the grid's folder.

    Raises ConfigError for two organisms of one name, TestbedError for one that is not there.
    """

    def __init__(self, out: Path, organisms: Sequence[str], n_uniform: int) -> None:
        folders = checkpoint_folders(organisms)
        self._folders = {organism: folders[Path(organism).name] for organism in organisms}
        self._n_uniform = n_uniform
        embedder = cached(build_embedder(RewardConfig()))
        self.of = functools.cache(lambda organism: yardstick_of(organism, out, embedder, n_uniform))
        self._identity = functools.cache(lambda folder: weights_identity(folder)[:16])

    def target(self, organism: str) -> Path:
        """The checkpoint of an organism."""
        return self._folders[organism]

    def what(self, place: Place[Any]) -> dict[str, Any]:
        """What a cell is of, whatever it is that was tried there."""
        return {
            "organism": Path(place.organism).name,
            "seed": place.seed,
            "weights": self._identity(self.target(place.organism)),
            "questioner": self._identity(bundled("questioner")),
            "fresh_probes": self._n_uniform,
        }


@functools.lru_cache(maxsize=4)
def yardsticks_of(out: Path, organisms: tuple[str, ...], n_uniform: int) -> Yardsticks:
    """Those of a grid, the same ones each time: they hold models, scenes, and what was embedded."""
    return Yardsticks(out, organisms, n_uniform)

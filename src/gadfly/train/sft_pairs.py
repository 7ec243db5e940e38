"""What SFT learns from: a file of (image, question), or an earlier run's WRONG probes. Trains nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from gadfly.config import TrainConfig
from gadfly.errors import ConfigError
from gadfly.images.folder import FolderSource
from gadfly.records import Image


def sft_pairs(config: TrainConfig, open_source: Callable[[], FolderSource], seed: int) -> Sequence[tuple[Image, str]]:
    """The pairs of `train.sft.data`; none where the method brings its own. The images
    are opened only where pairs are about them. Raises ConfigError."""
    data = config.sft.data
    if config.method in ("rl", "sft_own"):
        return ()
    if data is None:
        raise ConfigError(
            f"train.method {config.method!r} needs train.sft.data: a JSON-lines file of image and "
            "question, or the folder of an earlier run"
        )
    path, source = Path(data), open_source()
    if path.is_dir():
        return wrong_questions(path, {image.id: image for image in source}, config.sft.most_per_combination, seed)
    from gadfly.images.annotations import read_annotations

    return [(a.image, a.question) for a in read_annotations(path, source.find)]


def wrong_questions(
    run: Path, images: Mapping[str, Image], most_per_combination: int, seed: int
) -> list[tuple[Image, str]]:
    """The (image, question) pairs that a run's target answered wrongly, each once, as far as the images are here, and
    thinned by combination."""
    from gadfly.analysis.thinning import thinned
    from gadfly.records import Verdict
    from gadfly.store.sqlite import SqliteStore

    with SqliteStore.open(run, read_only=True) as store:
        again = {replay.phase for replay in store.replays()}  # what other judges said, or of other answers
        asked = sorted({attempt.phase for attempt in store.attempts()} - again)
        wrong = [p for phase in asked for p in store.probes(phase, verdict=Verdict.WRONG) if p.images[0].id in images]
    kept = thinned(wrong, most_per_combination, seed)
    if not kept:
        raise ConfigError(f"{run} has no WRONG probe about any of these images; nothing to fine-tune on")
    return [(images[probe.images[0].id], probe.question) for probe in kept]

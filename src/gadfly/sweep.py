"""Asks a questioner about images, batch after batch, through the probing loop. Knows nothing of training weights; a
questioner that learns otherwise is told what became of its questions."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import nullcontext

from gadfly.counts import Counts
from gadfly.errors import ConfigError, ImageError
from gadfly.images.order import image_order
from gadfly.overlap import one_ahead
from gadfly.probing import Probing, Written
from gadfly.protocols import LearningQuestioner, Questioner
from gadfly.records import SWEEP, Image


def sweep(
    images: Sequence[Image],
    questioner: Questioner,
    probing: Probing,
    *,
    n: int,
    batch: int,
    seed: int,
    phase: str = SWEEP,
    attempt: int = 0,
    first_step: int = 0,
    steps: int | None = None,
    learner: LearningQuestioner | None = None,
    ahead: bool = False,
    on_progress: Callable[[int, int, Counts], None] | None = None,
) -> Counts:
    """Make `n` probes, `batch` a step, and count their verdicts.

    The images are gone through in passes, each in an order of its own: none is asked about twice before all were asked
    about once. Images and questioner seeds depend on (seed, step) alone, so `first_step` takes up a sweep that was
    broken off as if it had not been; the counts returned are of the steps made here. `steps` makes at most so many.
    `learner` is the questioner itself where it learns: it is told of each step's probes. One that is to take up a sweep
    has learned from the earlier steps already. With `ahead` a questioner that does not learn is asked for the questions
    of the next step while those of this one are put and judged. `on_progress` gets (probes done, probes in all, counts
    so far) after each step.

    Raises ImageError without images, ConfigError for sizes below one.
    """
    if not images:
        raise ImageError("no images to sweep over; give at least one")
    if n < 1 or batch < 1:
        raise ConfigError(f"a sweep of {n} probes in batches of {batch}: both must be at least 1")
    counts = Counts()
    order = image_order(len(images), n, seed)
    last_step = -(-n // batch)
    to_do = range(first_step, last_step if steps is None else min(last_step, first_step + steps))

    def ask(step: int) -> list[Written]:
        chosen = [images[place] for place in order[step * batch : (step + 1) * batch]]
        completions = questioner.ask(chosen, _step_seed(seed, step))
        groups: dict[str, int] = {}
        return [
            Written((image,), completion, groups.setdefault(image.id, len(groups)))
            for image, completion in zip(chosen, completions, strict=True)
        ]

    asked = map(ask, to_do)
    with one_ahead(asked) if ahead and learner is None else nullcontext(asked) as coming:
        for step, written in zip(to_do, coming, strict=True):
            made = probing.step(written, phase=phase, attempt=attempt, step=step)
            counts += Counts.of(probe.verdict for probe in made.probes)
            if learner is not None:
                learner.learn_from(made.probes)
            if on_progress is not None:
                on_progress(min((step + 1) * batch, n), n, counts)
    return counts


def _step_seed(seed: int, step: int) -> int:
    # Seeded by text: hashed with SHA-512 by the library, so neighbouring seeds and steps share nothing.
    return random.Random(f"{seed}/{step}").getrandbits(31)

"""What `gadfly analyze` takes for a large run: seconds and peak memory, from the store to the files.

    python benchmarks/analysis_speed.py [--probes 100000] [--images 5000]

The run is made up: skills, concepts, answers and verdicts are drawn at random, with a few modes planted, and stored as
a real run's are. Its images are not there, so image conditions are left out; they are measured once in a run's life.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from gadfly.cli.main import main as gadfly
from gadfly.records import Completion, Image, Judgement, Probe, ProbeKey, Turn, Verdict
from gadfly.store.sqlite import SqliteStore
from gadfly.testbed.scenes import COLOURS, SHAPES, SIZES
from gadfly.testbed.skills import SKILLS

PER_STEP = 1000


def make_run(folder: Path, n: int, n_images: int, images: list[Image] | None = None) -> None:
    """A run of `n` probes about `images`, or about `n_images` that are not there."""
    rng = np.random.default_rng(0)
    if images is None:
        images = [Image(f"{i:064x}", f"{i}.png", 96, 96) for i in range(n_images)]
    answers = ("yes", "no", "0", "1", "2", "3", "5", "red", "blue", "circle")
    config = {"verifier": {"kind": "oracle"}, "images": {"path": str(folder / "gone")}}
    with SqliteStore.create(folder, "speed", config, {}, 0) as store:
        attempt = store.begin_attempt("sweep")
        for step in range(n // PER_STEP):
            store.add([_probe(rng, images, answers, attempt, step, i) for i in range(PER_STEP)])
        store.end_attempt(attempt, "finished")


def _probe(
    rng: np.random.Generator, images: list[Image], answers: tuple[str, ...], attempt: int, step: int, index: int
) -> Probe:
    places = np.minimum(rng.geometric(0.12, size=int(rng.integers(1, 5))) - 1, len(SKILLS) - 1)
    skills = tuple(sorted({SKILLS[int(k)] for k in places}))
    size, colour, shape = (words[int(rng.integers(len(words)))] for words in (SIZES, COLOURS, SHAPES))
    expected = answers[int(rng.integers(len(answers)))]
    rate = 0.7 if "counting.count" in skills and colour == "red" else 0.6 if expected == "5" else 0.2
    verdict = Verdict.WRONG if rng.random() < rate else Verdict.RIGHT
    return Probe(
        ProbeKey("sweep", attempt, step, index),
        index // 8,
        (images[int(rng.integers(len(images)))],),
        (Turn(f"is question {step}.{index} about the {size} {colour} {shape}?", Completion("no")),),
        Judgement(verdict, None, expected, skills, len(skills)),
        {"failure": 0.0},
        0.0,
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--probes", type=int, default=100_000)
    options.add_argument("--images", type=int, default=5_000)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        run = Path(scratch) / "run"
        make_run(run, chosen.probes, chosen.images)
        sys.argv = ["gadfly", "analyze", str(run)]
        said = io.StringIO()
        before, began = time.process_time(), time.perf_counter()
        with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
            gadfly()
        wall_s, cpu_s = time.perf_counter() - began, time.process_time() - before
    print(said.getvalue()[:1500])
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(
        f"{chosen.probes} probes about {chosen.images} images: {wall_s:.1f} s, {cpu_s:.1f} s of CPU, "
        f"peak {peak_mb:.0f} MB"
    )


if __name__ == "__main__":
    main()

"""What `gadfly analyze` takes for a large run: seconds and peak memory, from the store to the files.

    python benchmarks/analysis_speed.py [--probes 100000] [--images 5000] [--rounds 5]

The run is made up: skills, concepts, answers and verdicts are drawn at random, with a few modes planted, and stored as
a real run's are. Its images are not there, so image conditions are left out; they are measured once in a run's life.
Each round is a process of its own, its start included. Wanted for 10^5 probes: under 30 s and 2 GB.
"""

from __future__ import annotations

import resource
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from measuring import options, processes_in_turn, told

from gadfly.records import Completion, Image, Judgement, Probe, ProbeKey, Turn, Verdict
from gadfly.store.sqlite import SqliteStore
from gadfly.testbed.scenes import COLOURS, SHAPES, SIZES
from gadfly.testbed.skills import SKILLS

PER_STEP = 1000
MOST_S, MOST_MB = 30.0, 2000.0


def make_run(folder: Path, n: int, n_images: int, images: list[Image] | None = None) -> None:
    """A run of `n` probes about `images`, or about `n_images` that are not there."""
    rng = np.random.default_rng(0)
    answers = ("yes", "no", "0", "1", "2", "3", "5", "red", "blue", "circle")
    # Pictures are no rendered scenes, which an oracle would have to know.
    config = {"verifier": {"kind": "oracle" if images is None else "model"}, "images": {"path": str(folder / "gone")}}
    if images is None:
        images = [Image(f"{i:064x}", f"{i}.png", 96, 96) for i in range(n_images)]
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
    parser = options(__doc__)
    parser.add_argument("--probes", type=int, default=100_000)
    parser.add_argument("--images", type=int, default=5_000)
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.probes, chosen.rounds = 5_000, 1
    with tempfile.TemporaryDirectory() as scratch:
        run = Path(scratch) / "run"
        make_run(run, chosen.probes, chosen.images)
        command = (sys.executable, "-m", "gadfly", "analyze", str(run))
        times = processes_in_turn({"analyze": command}, chosen.rounds)["analyze"]
        found = (run / "findings").is_dir()
        shutil.rmtree(run)
    assert found, "analyze wrote its findings"
    peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6
    print(
        f"{chosen.probes} probes about {chosen.images} images: {times.median_s:.1f} s, {times.median_cpu_s:.1f} s of "
        f"CPU (median of {chosen.rounds}), peak {peak_mb:.0f} MB"
    )
    told(
        "analysis_speed",
        {"probes": chosen.probes, "s": times.median_s, "cpu_s": times.median_cpu_s, "peak_mb": peak_mb},
        {
            f"under {MOST_S:.0f} s": times.median_s < MOST_S,
            f"under {MOST_MB:,.0f} MB": peak_mb < MOST_MB,
        },
        chosen,
    )


if __name__ == "__main__":
    main()

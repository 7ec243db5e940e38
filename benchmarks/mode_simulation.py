"""The simulation that keeps the search for failure modes honest: targets of known failure rates, over and over.

    python benchmarks/mode_simulation.py --runs 1000

Each repetition collects 3,000 probes of a made-up target about 600 images, mines one half of the images and measures on
the other. With planted modes: how many of the 95% intervals of reported modes hold the mode's true rate (wanted: 93 to
97%), and how many modes are false, that is, have a true rate no higher than their complement's (wanted: at most 5%).
Without any, in a quarter as many repetitions: in how many a mode is reported at all (wanted: at most 5%). In half of
them all images are equally difficult, in half they differ (`likeness`).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from sys import path as module_path

import numpy as np

module_path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from gadfly.analysis.modes import find_modes, is_searched
from gadfly.analysis.statistics import wilson_interval
from mode_worlds import BASE, Blind, judged, true_rates, world

BLIND: Blind = {
    frozenset({"skill:counting.c1"}): 0.6,
    frozenset({"skill:space.s0", "concept:c00"}): 0.75,
    frozenset({"concept:c01", "image:brightness.low"}): 0.6,
    frozenset({"skill:logic.l0", "answer:number.3_up"}): 0.7,
}
N_PROBES, N_IMAGES, PER_WORLD = 3000, 600, 20
"""So many repetitions share their questions, since making those takes longer than judging them."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What came of some repetitions. `held` of `measured` intervals held the truth."""

    runs: int = 0
    modes: int = 0
    measured: int = 0
    held: int = 0
    false: int = 0
    runs_with_modes: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(getattr(self, name) + getattr(other, name) for name in Tally.__slots__))


def repeat(runs: int, blind: Blind, likeness: float, *, first_seed: int = 0, base: float = BASE) -> Tally:
    """Collect, mine, measure, `runs` times."""
    total = Tally()
    for seed in range(first_seed, first_seed + runs):
        if seed % PER_WORLD == 0 or seed == first_seed:
            table = world(N_PROBES, N_IMAGES, 10_000 + seed // PER_WORLD)
            measured_N = ~np.array([is_searched(image) for image in table.images])[table.image_N]
            truth_N = true_rates(table, blind, base, likeness)
        modes = find_modes(judged(table, blind, base, seed, likeness=likeness)).modes
        found = Tally(runs=1, modes=len(modes), runs_with_modes=bool(modes))
        for mode in modes:
            members_N = table.members(mode.items)
            found += Tally(false=bool(truth_N[members_N].mean() <= truth_N[~members_N].mean()))
            if mode.failure.low is not None and mode.failure.high is not None:
                truth = float(truth_N[members_N & measured_N].mean())
                found += Tally(measured=1, held=mode.failure.low <= truth <= mode.failure.high)
        total += found
    return total


def share(n: int, of: int) -> str:
    if not of:
        return "none"
    low, high = wilson_interval(n, of)
    return f"{n / of:.1%} of {of} ({100 * low:.1f} to {100 * high:.1f})"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    options = parser.parse_args(arguments)
    for likeness in (0.0, 0.5):
        began = time.monotonic()
        planted = repeat(options.runs // 2, BLIND, likeness)
        print(
            f"likeness {likeness:g}, {planted.runs} repetitions, {planted.modes} modes: intervals that hold the truth "
            f"{share(planted.held, planted.measured)}; false modes {share(planted.false, planted.modes)}",
            flush=True,
        )
        nothing = repeat(options.runs // 4, {}, likeness)
        print(
            f"likeness {likeness:g}, nothing planted: repetitions with a mode "
            f"{share(nothing.runs_with_modes, nothing.runs)}; {time.monotonic() - began:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()

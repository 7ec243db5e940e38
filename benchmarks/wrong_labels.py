"""What wrong labels cost: precision and recall of planted failure modes as ever more skill labels are others.

    python benchmarks/wrong_labels.py [--worlds 40] [--labels 0 0.05 0.1 0.2 0.4]

The worlds, the modes planted in them and the target are made up (`tests/mode_worlds.py`), 20,000 questions about 2,000
images each, and 5,000 about 1,000. A mode counts as found if it has exactly a planted one's items. One that has others,
a part of a planted one for instance, is not therefore false: it is if the target's true rate in it is no higher than
elsewhere. Those are counted beside it, with the probes that really have the items.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from sys import path as module_path

module_path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from gadfly.analysis.modes import Mode
from mode_worlds import BASE, PLANTED, found_in, precision_and_recall, true_rates, world

SIZES = ((20_000, 2000), (5000, 1000))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=40)
    parser.add_argument("--labels", type=float, nargs="+", default=[0.0, 0.05, 0.1, 0.2, 0.4], help="shares wrong")
    options = parser.parse_args()
    print("| probes | labels wrong | precision | recall | false modes |\n|---|---|---|---|---|")
    began = time.monotonic()
    for n, n_images in SIZES:
        for share in options.labels:
            found = found_in(n, n_images, range(options.worlds), share)
            precision, recall = precision_and_recall(found)
            n_false = sum(count_false(n, n_images, seed, modes) for seed, modes in enumerate(found))
            row = f"{n:,} | {share:.0%} | {precision:.0%} | {recall:.0%} | {n_false} of {sum(map(len, found))}"
            print(f"| {row} |", flush=True)
    print(f"{options.worlds} worlds, {time.monotonic() - began:.0f} s")


def count_false(n: int, n_images: int, seed: int, modes: list[Mode]) -> int:
    """How many of the modes found in a world have a true rate no higher than their complement's."""
    table = world(n, n_images, seed)
    truth_N = true_rates(table, PLANTED, BASE, likeness=0.3)
    inside_M_N = [table.members(mode.items) for mode in modes]
    return sum(bool(truth_N[inside_N].mean() <= truth_N[~inside_N].mean()) for inside_N in inside_M_N)


if __name__ == "__main__":
    main()

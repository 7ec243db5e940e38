"""What it takes to start: `gadfly --help`, and `gadfly show` on a run of a million probes, each a process of its own.

    python benchmarks/start_cost.py [--probes 1000000] [--out FOLDER] [--rounds 9]

The run is that of view_queries.py, kept in --out for the next time (with view_queries.py's --out, shared with it). An
empty Python stands beside, as the yardstick of the machine. Wanted: --help in under 0.3 s, show in under 1 s.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from measuring import options, processes_in_turn, told
from view_queries import kept_run

GADFLY = (sys.executable, "-m", "gadfly")
MOST_S = {"help": 0.3, "show": 1.0, "show WRONG": 1.0, "show --json": 1.0}


def main() -> None:
    parser = options(__doc__, rounds=9)
    parser.add_argument("--probes", type=int, default=1_000_000)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--out", type=Path, help="where the run is kept; nowhere if left out")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.probes, chosen.rounds = 20_000, 2
    with tempfile.TemporaryDirectory() as temporary:
        run, _ = kept_run(chosen.out or Path(temporary), chosen.probes, chosen.images)
        times = processes_in_turn(
            {
                "python": (sys.executable, "-c", "pass"),
                "help": (*GADFLY, "--help"),
                "show": (*GADFLY, "show", str(run)),
                "show WRONG": (*GADFLY, "show", str(run), "--verdict", "WRONG"),
                "show --json": (*GADFLY, "show", str(run), "--limit", "200", "--json"),
            },
            chosen.rounds,
        )
    print(f"seconds at {chosen.probes:,} probes, median of {chosen.rounds}: passed [processor]")
    for name, one in times.items():
        print(f"  {name:12} {one.median_s:.2f} [{one.median_cpu_s:.2f}]")
    figures = {name: {"s": one.median_s, "cpu_s": one.median_cpu_s} for name, one in times.items()}
    wanted = {f"{name} in under {most_s} s": times[name].median_s < most_s for name, most_s in MOST_S.items()}
    told("start_cost", {"probes": chosen.probes, **figures}, wanted, chosen)


if __name__ == "__main__":
    main()

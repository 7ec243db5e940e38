"""What the benchmarks share: options, rounds that take turns, medians, a JSON file. Knows not what is measured.

Ways that are to be compared take turns within each round, so that what else the machine does falls on all of them. Each
is given in seconds that passed and in processor time of this process; on a busy machine the ratio of the latter says
more.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gadfly.errors import GadflyError


@dataclass(frozen=True)
class Times:
    """What one way took, round by round."""

    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)

    @property
    def median_s(self) -> float:
        return statistics.median(self.wall_s)

    @property
    def median_cpu_s(self) -> float:
        return statistics.median(self.cpu_s)


def options(doc: str | None, rounds: int = 5) -> argparse.ArgumentParser:
    """A parser with what every benchmark takes: --rounds, --quick, --json."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds, help="medians are taken over so many")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it works, measures little")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    return parser


def checkpoint(name: str) -> str:
    """For an argument that names a bundled checkpoint, or a folder with one."""
    from gadfly.bench.making import checkpoint_folder  # takes torch, which a measurement of starting must not

    try:
        checkpoint_folder(name)
    except GadflyError as fault:
        raise argparse.ArgumentTypeError(str(fault)) from fault
    return name


def timed(work: Callable[[], object], into: Times) -> None:
    """Do it once and note what it took."""
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    work()
    into.wall_s.append(time.perf_counter() - wall_s)
    into.cpu_s.append(time.process_time() - cpu_s)


def in_turn(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Times]:
    """Each way once a round, in their order, after one round that warms up and is not counted."""
    times = {name: Times() for name in ways}
    for i in range(rounds + 1):
        for name, work in ways.items():
            timed(work, times[name] if i else Times())
    return times


def processes_in_turn(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, Times]:
    """As `in_turn`, each way a process of its own; its processor time is that of all it started."""

    def run(command: Sequence[str], into: Times) -> None:
        before, wall_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        into.wall_s.append(time.perf_counter() - wall_s)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        into.cpu_s.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)

    times = {name: Times() for name in commands}
    for i in range(rounds + 1):
        for name, command in commands.items():
            run(command, times[name] if i else Times())
    return times


def ratio(one: Times, other: Times) -> float:
    """The median of the rounds' ratios one / other, in seconds that passed."""
    return statistics.median(a / b for a, b in zip(one.wall_s, other.wall_s, strict=True))


def cpu_ratio(one: Times, other: Times) -> float:
    """The median of the rounds' ratios one / other, in processor time."""
    return statistics.median(a / b for a, b in zip(one.cpu_s, other.cpu_s, strict=True))


def compared(times: Mapping[str, Times], base: str, more: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Print what each way took, beside the way `base`, and what `more` says of it; the same as figures, by name."""
    figures = {}
    for name, one in times.items():
        by_clock, by_cpu = ratio(one, times[base]), cpu_ratio(one, times[base])
        said = f"; {more[name]}" if more else ""
        print(
            f"{name:14} {one.median_s:7.2f} s [{one.median_cpu_s:.2f}], "
            f"{by_clock:.2f} [{by_cpu:.2f}] times that of the {base}{said}"
        )
        figures[name] = {"s": one.median_s, "cpu_s": one.median_cpu_s, "times": by_clock, "times_cpu": by_cpu}
    return figures


def peak_mb() -> float:
    """The most memory that this process has had, in 10⁶ bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def resident_mb() -> float:
    """The memory that this process has now, in 10⁶ bytes."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def told(name: str, figures: Mapping[str, Any], wanted: Mapping[str, bool], chosen: argparse.Namespace) -> None:
    """Say which of what is wanted was reached, and write the file that was asked for."""
    if chosen.quick:
        print("--quick: too small to say anything of what is wanted")
    else:
        for what, reached in wanted.items():
            print(f"{'reached' if reached else 'MISSED'}: {what}")
    if chosen.json is not None:
        machine = {"cpus": os.cpu_count(), "python": platform.python_version(), "load": round(os.getloadavg()[0], 2)}
        said = {
            "benchmark": name,
            "quick": chosen.quick,
            "rounds": chosen.rounds,
            "machine": machine,
            "figures": figures,
            "wanted": wanted,
        }
        chosen.json.write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")

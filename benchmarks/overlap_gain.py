"""What is gained by working while servers answer: a sweep and a training, in turn and overlapped.

    python benchmarks/overlap_gain.py [--what sweep] [--latency 0.5] [--judge] [--embedder sentence] [--rounds 6]

The questioner and the embedding model are in this process, the target is a server of known latency (a process of its
own, which answers nonsense), the verifier the oracle, or with --judge a model on such a server too. Both ways take
turns within a round, a sweep every few steps and a training every step, and change places from round to round; all
rounds must come to the same probes. Said are the medians of probes a second and of their ratio, and the share of the
time in which the target had nothing to do. Caches of answers are off, and the learning rate is next to nothing, so that
all rounds are about the same questions.
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter

from loop_cost import server
from measuring import options, told

from gadfly import run_folder
from gadfly.config import Config, from_dict
from gadfly.probing import Probing, Step, Written
from gadfly.records import TRAINING, Probe
from gadfly.sittings import UsageKept
from gadfly.store.sqlite import SqliteStore
from gadfly.sweep import sweep
from gadfly.testbed.album import render
from gadfly.testbed.recipe import demo_settings
from gadfly.train.grpo import train_grpo
from gadfly.wiring import Wiring

NO_LEARNING = 1e-12
PIECE = 3
"""Steps of a sweep made one way before the other has its turn. The first of them is not counted: nobody asked ahead."""
LEAST_TIMES = 1.05


@dataclass
class Lap:
    """What the steps of one way took: seconds in all, and those in which the target was at work."""

    s: list[float] = field(default_factory=list)
    answering_s: list[float] = field(default_factory=list)


@dataclass
class Laps:
    """Both ways of one round. `overlaps` says which one a step is made by."""

    overlaps: Callable[[int], bool]
    of: dict[bool, Lap] = field(default_factory=lambda: {False: Lap(), True: Lap()})
    last_s: float = 0.0

    def ended(self, step: int, counts: bool) -> None:
        now_s = perf_counter()
        if counts:
            self.of[self.overlaps(step)].s.append(now_s - self.last_s)
        self.last_s = now_s


def main() -> None:
    parser = options(__doc__, rounds=6)
    parser.add_argument("--what", choices=["sweep", "train"], default="sweep")
    parser.add_argument("--latency", type=float, default=0.5, help="seconds a call")
    parser.add_argument("--concurrency", type=int, default=32, help="calls at once, to each server")
    parser.add_argument("--judge", action="store_true", help="a served verifier in the place of the oracle")
    parser.add_argument("--embedder", default="sentence", help="that of semantic novelty: sentence (MiniLM) or hash")
    parser.add_argument("--steps", type=int, default=6, help="a round, each of 64 probes; for a sweep a multiple of 6")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.rounds = 2
    with tempfile.TemporaryDirectory() as scratch, server(chosen.latency) as url:
        config = configuration(Path(scratch), chosen, url)
        wiring = Wiring(config)
        assert wiring.target_is_served and wiring.asks_ahead
        rows, made = [], list[list[Probe]]()
        for i in range(chosen.rounds):
            row, probes = one_round(replace(config, out=str(Path(scratch) / str(i))), wiring, chosen.what, i)
            rows.append(row)
            made.append(probes)
            print(", ".join(f"{k} {v:.3f}" for k, v in row.items()), flush=True)
    for probes in made:
        assert all(same(one, other) for one, other in zip(probes, made[0], strict=True)), "it changes what is made"
    figures = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
    print(
        f"overlapped, a {chosen.what} makes {figures['overlapped_a_second']:.1f} probes a second instead of "
        f"{figures['in_turn_a_second']:.1f}, {figures['times']:.2f} times as many; the target is idle for "
        f"{figures['overlapped_idle']:.0%} of the time instead of {figures['in_turn_idle']:.0%}"
    )
    settings = {name: getattr(chosen, name) for name in ("what", "latency", "concurrency", "judge", "embedder")}
    wanted = {f"at least {LEAST_TIMES} times as many": figures["times"] >= LEAST_TIMES}
    told("overlap_gain", figures | settings, wanted, chosen)


def configuration(scratch: Path, chosen: argparse.Namespace, url: str | None) -> Config:
    images = scratch / "images"
    render(images, n=100, split="probe", seed=0)
    settings = demo_settings(images, scratch, steps=chosen.steps, seed=0, heldout_share=0.0, n=64 * chosen.steps)
    served = {"model": "m", "base_url": url, "max_concurrency": chosen.concurrency}
    settings["target"] |= served
    settings["train"] |= {"images_per_step": 8, "group_size": 8, "learning_rate": NO_LEARNING}
    settings["reward"] = {**settings["reward"], "embedder": chosen.embedder}
    if chosen.judge:
        settings["verifier"] = {"kind": "model", **served}
    return from_dict({**settings, "cache": {"max_bytes": 0}})


def one_round(config: Config, wiring: Wiring, what: str, i: int) -> tuple[dict[str, float], list[Probe]]:
    """Figures of both ways, and all that was made."""
    with run_folder.opened(config, resume=False) as store:
        probing = wiring.probing(UsageKept(store, wiring.ledger), wiring.reward())
        laps = (
            sweep_once(wiring, probing, store, i) if what == "sweep" else train_once(wiring, probing, store, config, i)
        )
        for one in store.steps():
            if one.step % PIECE if what == "sweep" else one.step:
                laps.of[laps.overlaps(one.step)].answering_s.append(one.metrics["seconds_answer"])
        probes = list(store.probes())
    row: dict[str, float] = {}
    for name, lap in (("in_turn", laps.of[False]), ("overlapped", laps.of[True])):
        s = sum(lap.s)
        row |= {f"{name}_a_second": 64 * len(lap.s) / s, f"{name}_idle": max(0.0, 1 - sum(lap.answering_s) / s)}
    return row | {"times": row["overlapped_a_second"] / row["in_turn_a_second"]}, probes


def same(one: Probe, other: Probe) -> bool:
    """Whether two probes are the same to the last bit, rewards up to rounding: with MiniLM a vector depends by about
    1e-6 on what else is in its batch, and what is embedded while the target answers are all questions, not the valid.
    """
    rewards = [math.nan if probe.reward is None else probe.reward for probe in (one, other)]
    close = math.isclose(*rewards, abs_tol=1e-5) or (one.reward is None and other.reward is None)
    return close and replace(one, terms={}, reward=None) == replace(other, terms={}, reward=None)


def sweep_once(wiring: Wiring, probing: Probing, store: SqliteStore, i: int) -> Laps:
    laps = Laps(lambda step: (step // PIECE + i) % 2 == 1)
    config, attempt = wiring.config, store.begin_attempt("sweep")
    batch = config.sweep.batch_size
    for first in range(0, config.sweep.n // batch, PIECE):
        overlapped = laps.overlaps(first)
        sweep(
            wiring.images("train"),
            wiring.questioner(),
            replace(probing, served=overlapped),
            n=config.sweep.n,
            batch=batch,
            seed=config.seed,
            attempt=attempt,
            first_step=first,
            steps=PIECE,
            ahead=overlapped,
            on_progress=lambda done, *_: laps.ended(done // batch - 1, counts=(done // batch - 1) % PIECE > 0),
        )
    return laps


class Alternating:
    """In the place of the probing loop: every second step in turn."""

    def __init__(self, probing: Probing, laps: Laps) -> None:
        self._probing = probing
        self._laps = laps

    def step(self, written: Sequence[Written], *, phase: str, attempt: int, step: int) -> Step:
        probing = replace(self._probing, served=self._laps.overlaps(step))
        return probing.step(written, phase=phase, attempt=attempt, step=step)


def train_once(wiring: Wiring, probing: Probing, store: SqliteStore, config: Config, i: int) -> Laps:
    laps = Laps(lambda step: (step + i) % 2 == 1)
    train_grpo(
        config.train,
        sampling=wiring.questioner_sampling,
        seed=config.seed,
        images=wiring.images("train"),
        open_image=wiring.source.open,
        prompt_chat=wiring.prompt_chat,
        questioner_path=config.questioner.model,
        probing=Alternating(probing, laps),  # type: ignore[arg-type]
        run_dir=run_folder.folder_of(config),
        attempt=store.begin_attempt(TRAINING),
        on_step=lambda done, *_: laps.ended(done - 1, counts=done > 1),
    )
    return laps


if __name__ == "__main__":
    main()

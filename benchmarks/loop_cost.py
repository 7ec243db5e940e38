"""What the probing loop costs beside its target: the same questions through both, batch by batch in turn.

    python benchmarks/loop_cost.py [--batches 12] [--embedder sentence] [--large] [--endpoint-latency 0.5]

The questioner writes once, beforehand. The loop then does all that it does in a sweep: it parses, asks the target,
judges by the oracle, rewards, stores. Beside it stands the bare target, which answers the same chats in the same
batches. Both go through the same target model; caches of answers are off. Wanted: the loop's probes per second are at
least 95% of the bare target's.

The bundled target is a model of 1.6 M parameters, far quicker than any that somebody would want to know about: what is
beside it weighs as nowhere else. `--large` takes one of 173 M in its place, made for this with fresh weights: the size
of the smallest VLMs in use. `--endpoint-latency` asks a server of that latency instead (a process of its own, which
answers nonsense); beside the loop, which uses the time of waiting, then stands one that does one thing after another.
What is left is said by parts; those come from the loop's own clock.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from measuring import Times, options, timed, told

from gadfly import run_folder
from gadfly.config import Config, from_dict
from gadfly.model_config import TargetConfig
from gadfly.probing import Probing, Written
from gadfly.protocols import ChatModel
from gadfly.records import Chat, Message
from gadfly.roles.prompts import fill, load_prompt
from gadfly.roles.questioner import parse_question
from gadfly.sittings import UsageKept
from gadfly.testbed.album import render
from gadfly.testbed.build import save
from gadfly.testbed.recipe import demo_settings
from gadfly.testbed.vlm import Dimensions, build_model
from gadfly.wiring import Wiring

SERVER = Path(__file__).parents[1] / "tests" / "loopback_server.py"
LEAST_SHARE = 0.95
PARTS = ("answer", "verify", "reward", "store")
LARGE = Dimensions(
    vision_width=768, vision_layers=12, vision_hidden=3072, text_width=768, text_layers=12, text_hidden=2048, heads=12
)


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--batches", type=int, default=12, help="of the sweep's batch size, a round")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--embedder", default="sentence", help="that of semantic novelty: sentence (MiniLM) or hash")
    parser.add_argument("--target", help="a checkpoint in the place of the bundled one")
    parser.add_argument("--large", action="store_true", help="a target of 173 M parameters that says anything")
    parser.add_argument("--endpoint-latency", type=float, metavar="S", help="a server that takes so long for a call")
    parser.add_argument("--concurrency", type=int, default=32, help="calls at once to that server")
    parser.add_argument("--profile", action="store_true", help="where the loop's time goes, by function, instead")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.batches, chosen.rounds = 3, 2
    with tempfile.TemporaryDirectory() as scratch, server(chosen.endpoint_latency) as url:
        if chosen.large:
            chosen.target = str(Path(scratch) / "large")
            save(build_model(LARGE, seed=0), Path(chosen.target))
        config = configuration(Path(scratch), chosen, url)
        wiring = Wiring(config)
        bare, batches = bare_target(wiring), written(wiring, chosen.batches, chosen.batch)
        if chosen.profile:
            profile(config, wiring, batches)
            return
        rows = []
        for i in range(chosen.rounds + 1):
            row = one_round(replace(config, name=f"round-{i}"), wiring, bare, batches)
            rows.append(row)
            print(("warm-up " if not i else "") + ", ".join(f"{k} {v:.3f}" for k, v in row.items()), flush=True)
    figures = {name: statistics.median(row[name] for row in rows[1:]) for name in rows[0]}
    n = chosen.batches * chosen.batch
    print(
        f"{n / figures['loop_s']:.0f} probes a second through the loop, {n / figures['bare_s']:.0f} through the bare "
        f"target: {figures['share']:.1%} [{figures['share_cpu']:.1%} of the processor]"
    )
    beside_s = {part: figures[f"{part}_s"] for part in PARTS} | {"rest": figures["rest_s"]}
    if chosen.endpoint_latency is not None:
        print(f"one thing after another: {figures['share_in_turn']:.1%}")
    print("milliseconds a probe: " + ", ".join(f"{part} {1e3 * s / n:.2f}" for part, s in beside_s.items()))
    told(
        "loop_cost",
        figures | {"probes_a_round": n, "embedder": chosen.embedder, "endpoint_latency_s": chosen.endpoint_latency},
        {f"at least {LEAST_SHARE:.0%} of the bare target's throughput": figures["share"] >= LEAST_SHARE},
        chosen,
    )


def configuration(scratch: Path, chosen: argparse.Namespace, url: str | None) -> Config:
    images = scratch / "images"
    render(images, n=100, split="probe", seed=0)
    settings = demo_settings(images, scratch, steps=1, seed=0, heldout_share=0.0, n=1)
    target: dict[str, Any] = settings["target"]
    if url is not None:
        target |= {"model": "m", "base_url": url, "max_concurrency": chosen.concurrency}
    elif chosen.target is not None:
        target |= {"model": chosen.target}
    reward = {**settings["reward"], "embedder": chosen.embedder}
    return from_dict({**settings, "reward": reward, "cache": {"max_bytes": 0}})


@contextmanager
def server(latency_s: float | None) -> Iterator[str | None]:
    """The address of a loopback server; None where none is wanted."""
    if latency_s is None:
        yield None
        return
    command = [sys.executable, str(SERVER), "--latency", str(latency_s)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def bare_target(wiring: Wiring) -> ChatModel:
    """The target's model with neither cache nor account round it; a served one keeps its account, which is its own."""
    config: TargetConfig = wiring.config.target
    return wiring._model("target", config) if config.base_url is not None else wiring.local("target", config)


def written(wiring: Wiring, n_batches: int, batch: int) -> list[list[Written]]:
    """What the questioner writes about the images, in passes, as a sweep would have it."""
    images, questioner = wiring.images("train"), wiring.questioner()
    made = []
    for step in range(n_batches):
        asked = [images[(step * batch + i) % len(images)] for i in range(batch)]
        pairs = zip(asked, questioner.ask(asked, step), strict=True)
        made.append([Written((image,), completion, i) for i, (image, completion) in enumerate(pairs)])
    return made


def chats(wiring: Wiring, batch: list[Written]) -> list[Chat]:
    """What the loop will put to the target: each question that there is, once."""
    prompt = load_prompt(wiring.config.target.prompt or "target")
    asked = {(one.images, question): None for one in batch if (question := parse_question(one.completion.text or ""))}
    return [(Message("user", (*images, fill(prompt, question=question))),) for images, question in asked]


def one_round(config: Config, wiring: Wiring, bare: ChatModel, batches: list[list[Written]]) -> dict[str, float]:
    """Seconds of all batches: through the loop, through the bare target, and by part."""
    loop, in_turn, alone, how = Times(), Times(), Times(), config.target.sampling
    parts, apart = dict.fromkeys(PARTS, 0.0), replace(config, name=f"{config.name}-in-turn")
    with run_folder.opened(config, resume=False) as store, run_folder.opened(apart, resume=False) as other:
        probing: Probing = wiring.probing(UsageKept(store, wiring.ledger), wiring.reward())  # a history to each
        ways = [(probing, loop, store.begin_attempt("sweep"))]
        if probing.served:
            one_by_one = wiring.probing(UsageKept(other, wiring.ledger), wiring.reward())
            ways.append((replace(one_by_one, served=False), in_turn, other.begin_attempt("sweep")))
        for step, batch in enumerate(batches):
            asked = chats(wiring, batch)
            timed(lambda asked=asked: bare.complete(asked, how), alone)  # type: ignore[misc]
            for way, times, attempt in ways:
                timed(
                    lambda way=way, batch=batch, attempt=attempt, step=step: way.step(  # type: ignore[misc]
                        batch, phase="sweep", attempt=attempt, step=step
                    ),
                    times,
                )
        for metrics in (one.metrics for one in store.steps("sweep")):
            for part in PARTS:
                parts[part] += metrics[f"seconds_{part}"]
    loop_s, bare_s = sum(loop.wall_s), sum(alone.wall_s)
    row = {"loop_s": loop_s, "bare_s": bare_s, "share": bare_s / loop_s}
    row["share_cpu"] = sum(alone.cpu_s) / sum(loop.cpu_s)
    if in_turn.wall_s:
        row["share_in_turn"] = bare_s / sum(in_turn.wall_s)
    return row | {f"{part}_s": s for part, s in parts.items()} | {"rest_s": loop_s - sum(parts.values())}


def profile(config: Config, wiring: Wiring, batches: list[list[Written]]) -> None:
    with run_folder.opened(config, resume=False) as store:
        attempt = store.begin_attempt("sweep")
        probing = wiring.probing(UsageKept(store, wiring.ledger), wiring.reward())
        probing.step(batches[0], phase="sweep", attempt=attempt, step=0)  # loads what loads late
        watch = cProfile.Profile()
        with watch:
            for step, batch in enumerate(batches[1:], start=1):
                probing.step(batch, phase="sweep", attempt=attempt, step=step)
    pstats.Stats(watch).sort_stats("cumulative").print_stats(60)


if __name__ == "__main__":
    main()

"""What the main job must show on organisms: that the blind spots planted in them are found, and more than in their
clean twin.

    python benchmarks/organisms.py --out runs/organisms --targets a b c clean --seeds 0 1 2

Each (target, seed) is a run of its own: a sweep over held-out images before training, training, a sweep of 5,000 after,
and the uniform sampler. The questions of both sweeps are put to the clean twin too: what it answers rightly where the
organism is WRONG is an excess failure. `clean` itself is the control: what a questioner gains there is difficulty. One
JSON per run is written to OUT; a run that is there already is not made again, and one that was broken off is begun
anew. A run of these small models is as fast on one core as on two, so `--workers 2` makes two at a time, one core each.

With `--verifier` a model judges in the oracle's place, in the reward and in the sweeps, and what a question needs is
told by its meaning instead of by its program. All figures are the oracle's all the same; what the verifier itself made
of each phase stands beside them as `judged`, with both verdicts of each probe counted.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from main_job import interval, summary
from measuring import checkpoint

from gadfly import run_folder, runs
from gadfly.analysis.comparison import contrast, depth_mix, standardised_rate
from gadfly.analysis.confusion import agreement
from gadfly.analysis.rates import FAILURE_RATE, FDR
from gadfly.analysis.training import Mean
from gadfly.bench.cell import excess_of
from gadfly.bench.complexity import Stage, over_training
from gadfly.bench.discovery import share_planted, wrong_by_spot
from gadfly.bench.exploiting import judged_exactly
from gadfly.bench.keys import AnswerKey, key_of, read_key
from gadfly.bench.organisms import probes_in_spots
from gadfly.config import from_dict, override
from gadfly.records import Probe, Verdict
from gadfly.testbed.album import read_scenes, render
from gadfly.testbed.checkpoints import bundled, path_of
from gadfly.testbed.oracle import OracleVerifier
from gadfly.testbed.recipe import demo_settings
from gadfly.testbed.scenes import Scene
from gadfly.wiring import Wiring

TWIN = "clean"
N_IMAGES = 2400  # a quarter kept for measuring; a training asks about each of the others twice
N_BEFORE, N_AFTER = 1024, 5000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/organisms"))
    parser.add_argument("--targets", type=checkpoint, nargs="+", default=["a", "b", "c", TWIN])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--verifier", default="oracle", help="`oracle`, or a bundled name or a folder of a verifier")
    parser.add_argument("--workers", type=int, default=1, help="runs at a time, each in a process of its own")
    parser.add_argument("--set", nargs="*", default=[], help="section.key=value, for all runs")
    options = parser.parse_args()
    changes = {key: json.loads(value) for key, value in (s.split("=", 1) for s in options.set)}
    if options.verifier != "oracle":
        changes |= {"verifier.kind": "model", "verifier.model": str(path_of(options.verifier))}
    for seed in options.seeds:
        if not (images := options.out / f"images-{seed}").exists():
            render(images, n=N_IMAGES, split="probe", seed=seed)
    with ProcessPoolExecutor(options.workers, mp_context=get_context("spawn")) as pool:
        made = [
            pool.submit(one_run, options.out, target, seed, options.steps, changes)
            for seed in options.seeds
            for target in options.targets
        ]
        for run in as_completed(made):
            print(line(run.result()), flush=True)


def one_run(out: Path, target: str, seed: int, steps: int, changes: dict[str, Any]) -> dict[str, Any]:
    path = out / f"{target}-{seed}.json"
    if path.exists():
        return dict(json.loads(path.read_text(encoding="utf-8")))
    torch.set_num_threads(1)
    images = out / f"images-{seed}"
    settings = demo_settings(
        images, out / f"{target}-{seed}", steps=steps, seed=seed, heldout_share=0.25, n=N_BEFORE, target=target
    )
    config = override(from_dict(settings), changes)
    wiring = Wiring(config)
    longer = Wiring(override(config, {"sweep.n": N_AFTER}))
    uniform = Wiring(override(config, {"questioner.method": "uniform"}))
    began = time.monotonic()
    shutil.rmtree(out / f"{target}-{seed}", ignore_errors=True)
    with run_folder.opened(config, resume=False) as store:
        runs.sweep(wiring, store, phase="before", split="heldout")
        trained = runs.train(wiring, store, resume=False)
        runs.sweep(longer, store, phase="after", split="heldout", questioner=trained)
        runs.sweep(uniform, store, phase="uniform", split="heldout")
        judged = {name: list(store.probes(name)) for name in ("before", "after", "uniform", "train")}
    seconds = time.monotonic() - began
    rng = np.random.default_rng(0)
    scenes = read_scenes(images)
    by_oracle = override(config, {"verifier": {"kind": "oracle"}})
    probes = {name: judged_exactly(of, OracleVerifier(scenes)) for name, of in judged.items()}
    ratio = contrast(probes["after"], probes["before"], FDR, rng).ratio
    mix = depth_mix([p for p in probes["after"] if p.verdict.valid])
    at_mix = standardised_rate(probes["uniform"], mix, rng, FAILURE_RATE)
    key_path = key_of(target)
    result = {
        "target": target,
        "seed": seed,
        "steps": steps,
        "seconds": round(seconds, 1),
        **{name: summary(probes[name], rng) for name in ("before", "after", "uniform")},
        "judged": {name: beside(of, probes[name], rng) for name, of in judged.items()}
        if not config.verifier.has_oracle
        else None,
        "fdr_ratio": [ratio.value, ratio.low, ratio.high],
        "uniform_failure_rate_at_same_depths": [at_mix.rate.value, at_mix.rate.low, at_mix.rate.high],
        "excess_fdr": {
            name: interval(excess_of(probes[name], by_oracle, bundled(TWIN), rng))
            for name in ("before", "after", "uniform")
        },
        "planted": None if key_path is None else planted(read_key(key_path), probes, scenes, rng),
        "complexity": [stage(s) for s in over_training(probes["train"], scenes, 4)],
    }
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return result


def beside(judged: list[Probe], true: list[Probe], rng: np.random.Generator) -> dict[str, Any]:
    """What a verifier made of a phase; and the counts of both verdicts, its own in rows, the oracle's in columns."""
    pairs = [{n: p.verdict for n, p in enumerate(of)} for of in (judged, true)]
    return {**summary(judged, rng), "verdicts": [v.value for v in Verdict], "counts": agreement(*pairs).counts_4_4}


def planted(
    key: AnswerKey, probes: dict[str, list[Probe]], scenes: dict[str, Scene], rng: np.random.Generator
) -> dict[str, Any]:
    """Of the failures found, the share that lies in planted spots; and how many are in each."""
    found: dict[str, Any] = {}
    for name in ("before", "after", "uniform"):
        of = probes[name]
        failures_N = np.array([p.verdict is Verdict.WRONG for p in of])
        in_spot_S_N = probes_in_spots(key, of, scenes)
        share = share_planted(failures_N, in_spot_S_N, [p.images[0].id for p in of], rng)
        counts = wrong_by_spot(failures_N, in_spot_S_N)
        found[name] = {
            "share_of_failures": interval(share),
            "wrong_by_spot": {spot.name: n for spot, n in zip(key.spots, counts, strict=True)},
            "n": len(of),
        }
    return found


def stage(of: Stage) -> dict[str, Any]:
    def mean(m: Mean) -> list[float | None]:
        return [m.value, m.low, m.high]

    return {
        "steps": [of.first_step, of.last_step],
        "depth": mean(of.depth),
        "attributes": mean(of.attributes),
        "smallest_px": mean(of.smallest_px),
        "salience_rank": mean(of.salience_rank),
    }


def line(r: dict[str, Any]) -> str:
    said_by = ""
    if r["judged"] is not None:
        before, after = r["judged"]["before"], r["judged"]["after"]
        said_by = (
            f"  judged FDR {before['fdr'][0]:.3f} → {after['fdr'][0]:.3f}, "
            f"valid {before['valid'][0]:.3f} → {after['valid'][0]:.3f}"
        )
    excess_before, excess_after = r["excess_fdr"]["before"][0], r["excess_fdr"]["after"][0]
    said = (
        f"{r['target']:6s} seed {r['seed']}  FDR {r['before']['fdr'][0]:.3f} → {r['after']['fdr'][0]:.3f} "
        f"(× {r['fdr_ratio'][0]:.2f})  valid {r['before']['valid'][0]:.3f} → {r['after']['valid'][0]:.3f}  "
        f"excess FDR {excess_before:.3f} → {excess_after:.3f}{said_by}  {r['seconds']:.0f} s"
    )
    if r["planted"] is not None:
        after = r["planted"]["after"]
        said += f"  planted {after['share_of_failures'][0]:.1%} of failures, WRONG by spot {after['wrong_by_spot']}"
    return said


if __name__ == "__main__":
    main()

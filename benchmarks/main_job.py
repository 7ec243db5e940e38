"""What the main job must show: a questioner trained, untrained, and the uniform sampler, with ablations.

    python benchmarks/main_job.py --out runs/main_job --seeds 0 1 2 --variants full no-diversity no-validity

Each (variant, seed) is a run of its own: a sweep over held-out images before training, training, and the same sweep
after. One JSON per run is written to OUT; a run that is there already is not made again. The last thing printed is a
table over all of them.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from gadfly import run_folder, runs
from gadfly.analysis.comparison import compare, contrast, depth_mix, standardised_rate
from gadfly.analysis.rates import FAILURE_RATE, FDR, Rate, rates
from gadfly.config import from_dict, override
from gadfly.records import Probe, Verdict
from gadfly.testbed.album import render
from gadfly.testbed.recipe import demo_settings
from gadfly.wiring import Wiring

VARIANTS: dict[str, dict[str, Any]] = {
    "full": {},
    "no-diversity": {"reward.semantic": 0.0, "reward.lexical": 0.0, "reward.rarity": 0.0},
    "no-validity": {"reward.invalid": 0.0},
}
N_IMAGES = 600
N_MEASURED = 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/main_job"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--set", nargs="*", default=[], help="section.key=value, for all runs")
    options = parser.parse_args()
    more = {key: json.loads(value) for key, value in (s.split("=", 1) for s in options.set)}
    results = []
    for seed in options.seeds:
        for variant in options.variants:
            path = options.out / f"{variant}-{seed}.json"
            if not path.exists():
                result = one_run(options.out, variant, seed, options.steps, {**VARIANTS[variant], **more})
                path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
            results.append(json.loads(path.read_text(encoding="utf-8")))
            print(line(results[-1]), flush=True)


def one_run(out: Path, variant: str, seed: int, steps: int, changes: dict[str, Any]) -> dict[str, Any]:
    images = out / f"images-{seed}"
    if not images.exists():
        render(images, n=N_IMAGES, split="probe", seed=seed)
    folder = out / f"{variant}-{seed}"
    settings = demo_settings(images, folder, steps=steps, seed=seed, heldout_share=0.25, n=N_MEASURED)
    config = override(from_dict(settings), changes)
    wiring = Wiring(config)
    uniform = override(config, {"questioner.method": "uniform"})
    began = time.monotonic()
    with run_folder.opened(config, resume=run_folder.is_begun(config)) as store:
        runs.sweep(wiring, store, phase="before", split="heldout")
        training_began = time.monotonic()
        trained = runs.train(wiring, store, resume=False)
        training_s = time.monotonic() - training_began
        runs.sweep(wiring, store, phase="after", split="heldout", questioner=trained)
        runs.sweep(Wiring(uniform), store, phase="uniform", split="heldout")
        probes = {name: list(store.probes(name)) for name in ("before", "after", "uniform")}
    rng = np.random.default_rng(0)
    table = {row.name: row for row in compare({n: probes[n] for n in ("before", "after")}, rng)}
    mix = depth_mix([p for p in probes["after"] if p.verdict.valid])
    at_mix = standardised_rate(probes["uniform"], mix, rng, FAILURE_RATE)
    ratio = contrast(probes["after"], probes["before"], FDR, rng).ratio
    return {
        "variant": variant,
        "seed": seed,
        "steps": steps,
        "seconds": round(time.monotonic() - began, 1),
        "training_seconds": round(training_s, 1),
        **{name: summary(of, rng) for name, of in probes.items()},
        "fdr_ratio": [ratio.value, ratio.low, ratio.high],
        "uniform_failure_rate_at_same_depths": [at_mix.rate.value, at_mix.rate.low, at_mix.rate.high],
        "wrong_combinations_at_equal_n": {
            name: {"value": row.wrong_combinations.at_n.value, "n": row.wrong_combinations.n}
            for name, row in table.items()
        },
        "depth_mix_after": {str(k): v for k, v in mix.items()},
    }


def summary(probes: list[Probe], rng: np.random.Generator) -> dict[str, Any]:
    found = rates(probes, rng)
    wrong = [p for p in probes if p.verdict is Verdict.WRONG]
    return {
        "fdr": interval(found.fdr),
        "valid": interval(found.valid),
        "failure": interval(found.failure),
        "n": found.n_probes,
        "distinct_questions": len({p.question for p in probes}),
        "wrong": len(wrong),
        "wrong_combinations": len({p.judgement.skills for p in wrong}),
    }


def interval(rate: Rate) -> list[float | None]:
    return [rate.value, rate.low, rate.high]


def line(r: dict[str, Any]) -> str:
    combinations = r["wrong_combinations_at_equal_n"]
    uniform = r["uniform_failure_rate_at_same_depths"][0]
    return (
        f"{r['variant']:13s} seed {r['seed']}  FDR {r['before']['fdr'][0]:.3f} → {r['after']['fdr'][0]:.3f} "
        f"(× {r['fdr_ratio'][0]:.2f}, {r['fdr_ratio'][1]:.2f} to {r['fdr_ratio'][2]:.2f})  "
        f"valid {r['before']['valid'][0]:.3f} → {r['after']['valid'][0]:.3f}  "
        f"uniform at same depths {uniform if uniform is None else round(uniform, 3)}  "
        f"WRONG combinations at n {combinations['before']['n']}: "
        f"{combinations['before']['value']:.1f} → {combinations['after']['value']:.1f}  "
        f"{r['training_seconds']:.0f} s"
    )


if __name__ == "__main__":
    main()

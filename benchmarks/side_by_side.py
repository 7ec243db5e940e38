"""Gadfly beside two scripts that do the same job on plain TRL: probes a second at the last steps of a training.

    python benchmarks/side_by_side.py --steps 200 [--rounds 20] [--images-per-step 16] [--lived]

The same models, images, batch shape, generation, learning rate, reward weights and seeds for all three. Gadfly trains
for all steps but the last; its questioner and the questions that it has asked by then are where all three go on, each
as if it had come so far itself, and then they take turns, step by step. (So the straightforward script need not live
through the hundreds of steps in which it grows slow; with --lived each goes all the way from the start.) The first of
the last steps warms up and is not counted. Wanted at step 200: 3 times the straightforward script's probes per second
(plain_trl_simple.py), 1.3 times the careful one's (plain_trl_decent.py).

The straightforward script is asked for fewer steps, --simple-steps, since one may take a minute.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from measuring import options, told
from plain_trl import Job, Turns
from transformers.trainer import DEFAULT_CALLBACKS

from gadfly import run_folder
from gadfly.config import Config, from_dict
from gadfly.records import TRAINING, PastQuestion
from gadfly.sittings import UsageKept
from gadfly.testbed.album import render
from gadfly.testbed.checkpoints import bundled
from gadfly.testbed.recipe import REWARD, demo_settings
from gadfly.train.grpo import train_grpo
from gadfly.wiring import Wiring

HERE = Path(__file__).parent
LEAST_TIMES = {"simple": 3.0, "decent": 1.3}
OURS = "--ours"


def main() -> None:
    if OURS in sys.argv:
        sys.argv.remove(OURS)
        ours(Job.read(__doc__))
        return
    parser = options(__doc__, rounds=20)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--simple-steps", type=int, default=5, help="how many of them the straightforward script makes")
    parser.add_argument("--images-per-step", type=int, default=16)
    parser.add_argument("--lived", action="store_true", help="each contender lives through all steps (hours)")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.steps, chosen.rounds, chosen.simple_steps, chosen.images_per_step = 8, 3, 2, 4
    with tempfile.TemporaryDirectory() as scratch:
        job = prepared(Path(scratch), chosen)
        lengths = dict.fromkeys(("ours", "decent", "simple"), chosen.steps if chosen.lived else chosen.rounds + 1)
        if not chosen.lived:
            lengths["simple"] = min(chosen.rounds, chosen.simple_steps) + 1
        taken = taking_turns(job, lengths, Path(scratch))
    report(taken, chosen)


def prepared(scratch: Path, chosen: argparse.Namespace) -> Job:
    """What all are told: where they begin, and with what history."""
    images = scratch / "images"
    render(images, n=200, split="probe", seed=0)
    job = Job(
        images=images,
        questioner=str(bundled("questioner")),
        target=str(bundled("a")),
        out=scratch / "first",
        past=[],
        past_skills=[],
        steps=chosen.steps - chosen.rounds - 1,
        images_per_step=chosen.images_per_step,
        group_size=8,
        learning_rate=1.5e-4,
        seed=0,
        window=int(REWARD["window"]),
        weights={name: REWARD[name] for name in ("failure", "semantic", "lexical", "rarity", "invalid")},
        turns=False,
    )
    if chosen.lived or job.steps < 1:
        return job
    print(f"Gadfly trains for {job.steps} steps", flush=True)
    command = (sys.executable, str(HERE / "side_by_side.py"), OURS, str(written(job, scratch / "first.json")))
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    from gadfly.store.sqlite import SqliteStore

    with SqliteStore.open(job.out / "run", read_only=True) as store:
        past = store.valid_questions(TRAINING, 2**62)
    print(f"from here all go on, with {len(past):,} valid questions behind them", flush=True)
    told_to_all = {"past": [q.text for q in past], "past_skills": [q.skills or () for q in past]}
    return Job(**{**asdict(job), **told_to_all, "questioner": str(job.out / "run" / "questioner")})


def written(job: Job, path: Path) -> Path:
    told_to_it = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(job).items()}
    path.write_text(json.dumps(told_to_it), encoding="utf-8")
    return path


def taking_turns(job: Job, lengths: dict[str, int], scratch: Path) -> dict[str, list[dict[str, float]]]:
    """What each step took, by contender. One process each; one of them works at a time."""
    scripts = {
        "ours": (str(HERE / "side_by_side.py"), OURS),
        "decent": (str(HERE / "plain_trl_decent.py"),),
        "simple": (str(HERE / "plain_trl_simple.py"),),
    }
    processes, taken = {}, {name: list[dict[str, float]]() for name in scripts}
    for name, script in scripts.items():
        own = Job(**{**asdict(job), "out": scratch / name, "steps": lengths[name]})
        command = (sys.executable, *script, str(written(own, scratch / f"{name}.json")), "--turns")
        processes[name] = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        for step in range(max(lengths.values())):
            for name, process in processes.items():
                if step < lengths[name]:
                    assert process.stdin is not None and process.stdout is not None
                    process.stdin.write("go\n")
                    process.stdin.flush()
                    taken[name].append(_told(process.stdout, name))
            print(f"{step}: " + ", ".join(f"{name} {some[-1]['s']:.2f} s" for name, some in taken.items()), flush=True)
    finally:
        for process in processes.values():
            if process.stdin is not None:
                process.stdin.close()
            process.terminate()
            process.wait()
    return taken


def _told(out: Any, name: str) -> dict[str, float]:
    """The next line that is a step's; libraries print their own between."""
    for line in out:
        if line.startswith('{"step"'):
            found: dict[str, float] = json.loads(line)
            return found
    raise SystemExit(f"{name} ended early")


def report(taken: dict[str, list[dict[str, float]]], chosen: argparse.Namespace) -> None:
    n = 8 * chosen.images_per_step
    last = {name: steps[1:][-chosen.rounds :] for name, steps in taken.items()}
    figures: dict[str, Any] = {"steps": chosen.steps, "probes_per_step": n}
    for name, steps in last.items():
        s, cpu_s = (statistics.median(step[kind] for step in steps) for kind in ("s", "cpu_s"))
        figures[name] = {"steps": len(steps), "s": s, "cpu_s": cpu_s, "probes_a_second": n / s}
        print(f"{name:7} {n / s:7.1f} probes a second; {s:.2f} s [{cpu_s:.2f}] a step, median of {len(steps)}")
    wanted = {}
    for name, least in LEAST_TIMES.items():
        times = figures[name]["s"] / figures["ours"]["s"]
        times_cpu = figures[name]["cpu_s"] / figures["ours"]["cpu_s"]
        figures[f"times_{name}"], figures[f"times_cpu_{name}"] = times, times_cpu
        print(f"ours is {times:.2f} times as fast as the {name} script [{times_cpu:.2f} by processor time]")
        wanted[f"at least {least} times the {name} script"] = times >= least
    told("side_by_side", figures, wanted, chosen)


def ours(job: Job) -> None:
    """The same job through Gadfly, as `gadfly run` does it, with the history that was given."""
    config = configuration(job)
    wiring = Wiring(config)
    reward = wiring.reward()
    pairs = zip(job.past, job.past_skills, strict=True)
    reward.remember([PastQuestion(text, skills) for text, skills in pairs])
    every_trainers: list[Any] = DEFAULT_CALLBACKS
    every_trainers.append(Turns(job.turns))  # train_grpo takes no callbacks of others
    with run_folder.opened(config, resume=False) as store:
        train_grpo(
            config.train,
            sampling=wiring.questioner_sampling,
            seed=config.seed,
            images=wiring.images("train"),
            open_image=wiring.source.open,
            prompt_chat=wiring.prompt_chat,
            questioner_path=config.questioner.model,
            probing=wiring.probing(UsageKept(store, wiring.ledger), reward),
            run_dir=run_folder.folder_of(config),
            attempt=store.begin_attempt(TRAINING),
        )


def configuration(job: Job) -> Config:
    settings = demo_settings(job.images, job.out, steps=job.steps, seed=job.seed, heldout_share=0.0, n=1)
    settings["questioner"]["model"], settings["target"]["model"] = job.questioner, job.target
    sizes = {"images_per_step": job.images_per_step, "group_size": job.group_size, "save_every": 10**6}
    settings["train"] |= sizes | {"learning_rate": job.learning_rate}
    settings["reward"] = settings["reward"] | job.weights | {"window": job.window}
    return from_dict({**settings, "cache": {"max_bytes": 0}})


if __name__ == "__main__":
    main()

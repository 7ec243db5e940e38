"""What a training step costs beside the sum of its parts, all measured in one process.

    python benchmarks/step_cost.py --steps 20 --rounds 5

The parts: TRL's own step with a constant reward (generation and update), the target's answers, the verifier with the
rewards, and the store. Whole and parts take turns, round by round, so that a machine that changes its speed changes
both. Prints the ratio whole / sum of parts of each round, and the median. Wanted: at most 1.25.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gadfly import runs
from gadfly.config import Config, from_dict
from gadfly.probing import Probing, Step, Written
from gadfly.records import Completion, Judgement, PastQuestion, Probe, ProbeKey, Question, Turn, Verdict
from gadfly.store.sqlite import SqliteStore
from gadfly.testbed.album import render
from gadfly.testbed.recipe import demo_settings
from gadfly.train.grpo import PHASE, train_grpo
from gadfly.wiring import Wiring

WARM_UP_STEPS = 3


@dataclass(frozen=True)
class ConstantLoop:
    """In the place of the probing loop: every probe is RIGHT and worth nothing. TRL does all that it always does."""

    def step(self, written: Sequence[Written], *, phase: str, attempt: int, step: int) -> Step:
        judged = Judgement(Verdict.RIGHT)
        probes = tuple(
            Probe(
                ProbeKey(phase, attempt, step, i), w.group, w.images, (Turn("?", Completion("yes")),), judged, {}, 0.0
            )
            for i, w in enumerate(written)
        )
        return Step(probes, {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        images = Path(scratch) / "images"
        render(images, n=100, split="probe", seed=0)
        settings = demo_settings(
            images, Path(scratch), steps=options.steps + WARM_UP_STEPS, seed=0, heldout_share=0.0, n=1
        )
        config = from_dict({**settings, "cache": {"max_bytes": 0}})  # what is asked again must cost again
        wiring = Wiring(config)
        rows = []
        for i in range(options.rounds):
            rows.append(one_round(config, wiring, Path(scratch) / str(i)))
            print(json.dumps({name: round(value, 4) for name, value in rows[-1].items()}), flush=True)
    ratio = statistics.median(row["ratio"] for row in rows)
    print(f"median ratio of a step to the sum of its parts: {ratio:.3f}")


def one_round(config: Config, wiring: Wiring, folder: Path) -> dict[str, float]:
    """Seconds a step: the whole, and each part alone."""
    config = replace(config, out=str(folder))
    with runs.opened(config, resume=False) as store:
        probing = wiring.probing(store, wiring.reward())
        whole = seconds_a_step(config, wiring, probing, store, folder / "whole")
        by_step: dict[int, list[Probe]] = {}
        for probe in store.probes(PHASE):  # now: the next attempt will supersede them
            by_step.setdefault(probe.key.step, []).append(probe)
        own = seconds_a_step(config, wiring, ConstantLoop(), store, folder / "constant")  # type: ignore[arg-type]
    reward = wiring.reward()  # a fresh one: the other has embedded these questions already
    assert len(by_step) == config.train.steps, "every step was stored"
    parts = {"answers": 0.0, "verdicts_and_rewards": 0.0}
    for step, probes in by_step.items():
        questions = [Question(p.images, p.question, p.group) for p in probes if p.turns[0].answer.error != "not asked"]
        began = time.perf_counter()
        answers = wiring.target.answer(questions)
        answered = time.perf_counter()
        judgements = wiring.verifier.judge(questions, answers)
        reward.score(questions, judgements)
        asked = zip(questions, judgements, strict=True)
        reward.remember([PastQuestion(q.text, j.skills) for q, j in asked if j.verdict.valid])
        judged = time.perf_counter()
        if step >= WARM_UP_STEPS:
            parts["answers"] += answered - began
            parts["verdicts_and_rewards"] += judged - answered
    n = config.train.steps - WARM_UP_STEPS
    row = {"whole": whole, "trl_alone": own, **{name: value / n for name, value in parts.items()}}
    row["ratio"] = whole / (row["trl_alone"] + row["answers"] + row["verdicts_and_rewards"])
    return row


def seconds_a_step(config: Config, wiring: Wiring, probing: Probing, store: SqliteStore, folder: Path) -> float:
    """The mean over the steps after the first few."""
    times: list[float] = []
    train_grpo(
        config.train,
        sampling=wiring.questioner_sampling,
        seed=config.seed,
        images=wiring.images("train"),
        open_image=wiring.source.open,
        prompt_chat=wiring.prompt_chat,
        questioner_path=config.questioner.model,
        probing=probing,
        run_dir=folder,
        attempt=store.begin_attempt(PHASE),
        on_step=lambda *_: times.append(time.perf_counter()),
    )
    return (times[-1] - times[WARM_UP_STEPS - 1]) / (len(times) - WARM_UP_STEPS)


if __name__ == "__main__":
    main()

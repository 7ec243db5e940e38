"""What a training step costs beside the sum of its bare parts, all measured in one process.

    python benchmarks/step_cost.py --steps 20 --rounds 5

The bare parts: TRL's own step with a constant reward (generation and update), the target model without meter or cache,
the verifier, the rewards. What is stored, counted, metered and written to metrics.jsonl is no part, and so is overhead.
The learning rate is next to nothing, so that whole and parts are about the same questions; equal questions are answered
once in both. Whole and parts take turns, round by round, so that a machine that changes its speed changes both. Prints
the ratio whole / sum of parts of each round, in seconds that passed and in processor time, and the median. Wanted: at
most 1.10.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from measuring import Times, options, timed, told

from gadfly import run_folder
from gadfly.config import Config, from_dict
from gadfly.probing import Probing, Step, Written
from gadfly.records import (
    TRAINING,
    Completion,
    Judgement,
    Message,
    PastQuestion,
    Probe,
    ProbeKey,
    Question,
    Turn,
    Verdict,
)
from gadfly.roles.prompts import fill, load_prompt
from gadfly.sittings import UsageKept
from gadfly.store.sqlite import SqliteStore
from gadfly.testbed.album import render
from gadfly.testbed.recipe import demo_settings
from gadfly.train.grpo import train_grpo
from gadfly.wiring import Wiring

WARM_UP_STEPS = 3
MOST_TIMES = 1.10
NO_LEARNING = 1e-12


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
    parser = options(__doc__)
    parser.add_argument("--steps", type=int, default=20)
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.steps, chosen.rounds = 2, 1
    with tempfile.TemporaryDirectory() as scratch:
        images = Path(scratch) / "images"
        render(images, n=100, split="probe", seed=0)
        settings = demo_settings(
            images, Path(scratch), steps=chosen.steps + WARM_UP_STEPS, seed=0, heldout_share=0.0, n=1
        )
        settings["train"] |= {"learning_rate": NO_LEARNING}
        config = from_dict({**settings, "cache": {"max_bytes": 0}})  # what is asked again must cost again
        wiring = Wiring(config)
        rows = []
        for i in range(chosen.rounds):
            rows.append(one_round(config, wiring, Path(scratch) / str(i)))
            print(", ".join(f"{name} {value:.4f}" for name, value in rows[-1].items()), flush=True)
    figures = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
    print(
        f"median ratio of a step to the sum of its bare parts: {figures['ratio']:.3f} "
        f"[{figures['ratio_cpu']:.3f} by processor time]"
    )
    told("step_cost", figures, {f"at most {MOST_TIMES} times its parts": figures["ratio"] <= MOST_TIMES}, chosen)


def one_round(config: Config, wiring: Wiring, folder: Path) -> dict[str, float]:
    """Seconds a step, passed and of the processor: the whole, and each part alone."""
    config = replace(config, out=str(folder))
    with run_folder.opened(config, resume=False) as store:
        probing = wiring.probing(UsageKept(store, wiring.ledger), wiring.reward())
        whole, whole_cpu = seconds_a_step(config, wiring, probing, store, folder / "whole")
        by_step: dict[int, list[Probe]] = {}
        for probe in store.probes(TRAINING):  # now: the next attempt will supersede them
            by_step.setdefault(probe.key.step, []).append(probe)
        own, own_cpu = seconds_a_step(config, wiring, ConstantLoop(), store, folder / "constant")  # type: ignore[arg-type]
    assert len(by_step) == config.train.steps, "every step was stored"
    answers, verdicts, rewards = bare_parts(config, wiring, [by_step[step] for step in sorted(by_step)])
    row = {"whole": whole, "trl_alone": own}
    for name, times in (("answers", answers), ("verdicts", verdicts), ("rewards", rewards)):
        row[name] = statistics.fmean(times.wall_s[WARM_UP_STEPS:])
    parts_cpu = own_cpu + sum(statistics.fmean(t.cpu_s[WARM_UP_STEPS:]) for t in (answers, verdicts, rewards))
    row["ratio"] = whole / (row["trl_alone"] + row["answers"] + row["verdicts"] + row["rewards"])
    return row | {"whole_cpu": whole_cpu, "ratio_cpu": whole_cpu / parts_cpu}


def bare_parts(config: Config, wiring: Wiring, steps: Sequence[Sequence[Probe]]) -> tuple[Times, Times, Times]:
    """What answering, judging and rewarding the probes of each step takes."""
    target, how = wiring.local("target", config.target), config.target.sampling
    prompt = load_prompt(config.target.prompt or "target")
    reward = wiring.reward()  # a fresh one: the other has embedded these questions already
    answering, judging, rewarding = Times(), Times(), Times()

    for probes in steps:
        asked = [p for p in probes if p.turns[0].answer.error != "not asked"]
        once = list({(p.images, p.question): Question(p.images, p.question, p.group) for p in asked}.values())
        chats = [(Message("user", (*q.images, fill(prompt, question=q.text))),) for q in once]
        answers: list[Completion] = []
        timed(lambda chats=chats, answers=answers: answers.extend(target.complete(chats, how)), answering)  # type: ignore[misc]
        timed(lambda once=once, answers=answers: wiring.verifier.judge(once, answers), judging)  # type: ignore[misc]
        questions, judgements = [Question(p.images, p.question, p.group) for p in probes], [p.judgement for p in probes]

        def score(questions: list[Question] = questions, judgements: list[Judgement] = judgements) -> None:
            reward.score(questions, judgements)
            pairs = zip(questions, judgements, strict=True)
            reward.remember([PastQuestion(q.text, j.skills) for q, j in pairs if j.verdict.valid])

        timed(score, rewarding)
    return answering, judging, rewarding


def seconds_a_step(
    config: Config, wiring: Wiring, probing: Probing, store: SqliteStore, folder: Path
) -> tuple[float, float]:
    """The mean over the steps after the first few, passed and of the processor."""
    times: list[tuple[float, float]] = []
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
        attempt=store.begin_attempt(TRAINING),
        on_step=lambda *_: times.append((time.perf_counter(), time.process_time())),
    )
    n, first, last = len(times) - WARM_UP_STEPS, times[WARM_UP_STEPS - 1], times[-1]
    return (last[0] - first[0]) / n, (last[1] - first[1]) / n


if __name__ == "__main__":
    main()

"""Watches a GRPO training: times its parts, writes train/metrics.jsonl, tells of progress. Decides nothing.

It also knows whether the weights are whole at this moment, which is what decides if a broken-off training can be saved.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter
from typing import Any, final

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from gadfly.counts import Metric
from gadfly.probing import Step
from gadfly.train.randomness import RandomState

OnStep = Callable[[int, int, Mapping[str, Metric]], None]

# trl's own figures, by its names. What it says of rewards is left out: step_metrics says it with n.
_KEPT = (
    "loss",
    "policy_loss",
    "grad_norm",
    "learning_rate",
    "entropy",
    "kl",
    "clip_ratio/region_mean",
    "completions/mean_length",
    "completions/max_length",
    "completions/clipped_ratio",
    "frac_reward_zero_std",
)


@final
class StepRecorder(TrainerCallback):
    """One line of metrics.jsonl for each step, and a call of `on_step(steps done, steps in all, metrics)`.

    The file is appended to. After a resume the steps since the checkpoint stand there twice, the later `attempt`
    superseding the earlier, as in the store.

    Seconds: `generate` (from the start of the step to the rewards: sampling, and the reference's log-probabilities),
    `answer`, `verify`, `reward`, `store` (the probing loop's own), `update` (forward, backward, optimizer), `between`
    (before the step: reading the batch, saving a checkpoint).
    """

    def __init__(
        self, path: Path, *, attempt: int, total_steps: int, num_iterations: int, on_step: OnStep | None
    ) -> None:
        self._path = path
        self._attempt = attempt
        self._total_steps = total_steps
        self._num_iterations = num_iterations
        self._on_step = on_step
        self._probed: Mapping[str, Metric] = {}
        self._seconds = dict.fromkeys(("seconds_between", "seconds_generate", "seconds_update"), 0.0)
        self._last = perf_counter()
        self._updating = False
        self._before_step: RandomState | None = None
        path.parent.mkdir(parents=True, exist_ok=True)
        _drop_torn_line(path)

    def probing_begins(self) -> None:
        self._seconds["seconds_generate"] += self._lap()

    def probing_ended(self, step: Step) -> None:
        self._probed = step.metrics
        self._lap()

    @property
    def weights_are_whole(self) -> bool:
        """False from the first change of a weight until the step that it belongs to has been counted."""
        return not self._updating

    def rewind_randomness(self) -> None:
        """Put the random generators back to the start of the step under way, so that it can be made again alike."""
        if self._before_step is not None:
            self._before_step.restore()

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._lap()

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._seconds["seconds_between"] += self._lap()
        self._before_step = RandomState.now()

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._updating = True

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._updating = False
        self._before_step = RandomState.now()
        self._seconds["seconds_update"] += self._lap()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if logs is None or "loss" not in logs:  # the summary at the end of training
            return
        done = state.global_step // self._num_iterations
        kept = {name: logs[name] for name in _KEPT if name in logs}
        metrics = {"step": done - 1, "attempt": self._attempt, **kept, **self._probed, **self._seconds}
        self._seconds = dict.fromkeys(self._seconds, 0.0)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(metrics) + "\n")
        if self._on_step is not None:
            self._on_step(done, self._total_steps, metrics)

    def _lap(self) -> float:
        now = perf_counter()
        elapsed, self._last = now - self._last, now
        return elapsed


def _drop_torn_line(path: Path) -> None:
    """Cut the file back to its last whole line: a full disk leaves half a line, which the next would be glued to."""
    if path.exists():
        with path.open("r+b") as file:
            content = file.read()
            file.truncate(content.rfind(b"\n") + 1)

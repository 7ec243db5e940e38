"""What it saves in a training step to read each prompt once for all its questions, beside trl's own way.

    python benchmarks/group_prefix.py [--rounds 5]

Two questioners, each with groups of 8: the bundled one (16 images a step, 16 image tokens, questions of up to 40), and
a LLaVA with random weights and 256 image tokens (2 images a step, questions of up to 20). The steps of one training
take turns, with prompts shared and without; the learning rate is next to nothing and every reward is 0, so all are
steps of the same model. Each draws questions of its own. Writing and update are timed apart: seconds that passed and
[of the processor], medians, and beside those of the shared way.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path
from sys import path as module_path
from typing import Any, ClassVar
from unittest.mock import patch

import torch
from measuring import Times, compared, options, timed, told
from step_cost import NO_LEARNING, ConstantLoop

module_path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from checkpoints import Size, build_llava
from gadfly.config import TrainConfig
from gadfly.records import Chat, Image, Message, Sampling
from gadfly.roles.prompts import load_prompt
from gadfly.roles.questioner import questioner_prompt
from gadfly.testbed.album import SceneSource
from gadfly.testbed.checkpoints import bundled
from gadfly.testbed.scenes import generate
from gadfly.train import grpo
from gadfly.train.trainer import QuestionerTrainer

SIZE = Size(224, 14, (48, 2, 2), (192, 4, 4), vision_hidden=96, text_hidden=512, spread=0.05)
WAYS = ("shared", "trl's own")


class Timed(QuestionerTrainer):
    """The real trainer, which shares prompts in every second step and notes what writing and update take."""

    writing: ClassVar[dict[str, Times]]
    update: ClassVar[dict[str, Times]]

    def training_step(self, *args: Any, **kwargs: Any) -> Any:
        self.shares_prompts = self._way() == "shared"
        self.prepared, whole = Times(), Times()
        loss = self._noted(whole, super().training_step, *args, **kwargs)
        if self.state.global_step >= len(WAYS):  # the first of each way warm up
            update = self.update[self._way()]
            update.wall_s.append(whole.wall_s[0] - self.prepared.wall_s[0])
            update.cpu_s.append(whole.cpu_s[0] - self.prepared.cpu_s[0])
        return loss

    def _prepare_inputs(self, *args: Any, **kwargs: Any) -> Any:
        return self._noted(self.prepared, super()._prepare_inputs, *args, **kwargs)

    def _generate_single_turn(self, *args: Any, **kwargs: Any) -> Any:
        counted = self.state.global_step >= len(WAYS)
        into = self.writing[self._way()] if counted else Times()
        return self._noted(into, super()._generate_single_turn, *args, **kwargs)

    def _way(self) -> str:
        return WAYS[self.state.global_step % len(WAYS)]

    def _noted(self, into: Times, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        kept: list[Any] = []
        timed(lambda: kept.append(work(*args, **kwargs)), into)
        return kept[0]


def main() -> None:
    chosen = options(__doc__).parse_args()
    if chosen.quick:
        chosen.rounds = 1
    template = questioner_prompt(load_prompt("testbed_questioner"))
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        cases = {
            "bundled questioner": (bundled("questioner"), 2 if chosen.quick else 16, 40),
            "256 image tokens": (build_llava(scratch / "llava", size=SIZE), 1 if chosen.quick else 2, 20),
        }
        for name, (checkpoint, n_images, max_new_tokens) in cases.items():
            steps = len(WAYS) * (1 + chosen.rounds)
            Timed.writing, Timed.update = ({way: Times() for way in WAYS} for _ in range(2))
            settings = TrainConfig(
                steps=steps, images_per_step=n_images, lora_rank=0, learning_rate=NO_LEARNING, save_every=steps
            )
            scenes = SceneSource(itertools.islice(generate("probe", 0), 4 * n_images))
            with patch.object(grpo, "QuestionerTrainer", Timed):
                grpo.train_grpo(
                    settings,
                    sampling=Sampling(max_new_tokens, temperature=1.0),
                    seed=0,
                    images=list(scenes),
                    open_image=scenes.open,
                    prompt_chat=lambda image, _: prompt(image, template),
                    questioner_path=checkpoint,
                    probing=ConstantLoop(),  # type: ignore[arg-type]
                    run_dir=scratch / name,
                )
            print(f"{name}: {settings.probes_per_step} questions a step, {torch.get_num_threads()} threads")
            figures[name] = {}
            for part, times in (("writing", Timed.writing), ("update", Timed.update)):
                print(part)
                figures[name][part] = compared(times, "shared")
    told("group_prefix", figures, {}, chosen)


def prompt(image: Image, text: str) -> Chat:
    return (Message("user", (image, text)),)


if __name__ == "__main__":
    main()

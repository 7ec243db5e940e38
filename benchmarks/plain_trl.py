"""What the two plain TRL scripts have in common: the run, as somebody would set it up with GRPOTrainer. No Gadfly loop.

Of Gadfly only the testbed is used (its oracle, its bundled checkpoints), what the prompts say, and the configuration
that side_by_side.py gives to all: models, batch shape, generation, weights of the reward. `Job.read` parses what every
such script is called with. With --turns a step waits for a line on standard input and says on standard output what it
took, so that several scripts can take turns step by step.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from PIL.Image import Image as Picture
from PIL.Image import open as open_picture
from transformers import AutoModelForImageTextToText, AutoProcessor, TrainerCallback
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from gadfly.records import Completion, Image, Judgement, Question
from gadfly.testbed.album import read_scenes
from gadfly.testbed.oracle import OracleVerifier

QUESTIONER_PROMPT = "ask one question about this image"
Score = Callable[[list[str], list[str], list[Judgement], list[int]], list[float]]
"""(questions, answers, judgements, groups) → rewards of one step."""


@dataclass(frozen=True)
class Job:
    """What a script is told: all three contenders are told the same."""

    images: Path
    questioner: str
    target: str
    out: Path
    past: list[str]  # questions of earlier steps, oldest first
    past_skills: list[tuple[str, ...]]
    steps: int
    images_per_step: int
    group_size: int
    learning_rate: float
    seed: int
    window: int
    weights: dict[str, float]
    turns: bool

    @classmethod
    def read(cls, doc: str | None) -> Job:
        parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("job", type=Path, help="a JSON file, as side_by_side.py writes it")
        parser.add_argument("--turns", action="store_true", help="wait for a line before each step")
        chosen = parser.parse_args()
        told = json.loads(chosen.job.read_text(encoding="utf-8"))
        told |= {"images": Path(told["images"]), "out": Path(told["out"]), "turns": chosen.turns}
        return cls(**told | {"past_skills": [tuple(skills) for skills in told["past_skills"]]})


class Turns(TrainerCallback):
    """Takes the time of each step, from the end of the one before, less what it waited for its turn."""

    def __init__(self, waits: bool) -> None:
        self._waits = waits
        self._last = self._last_cpu = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._begin()

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self._waits:
            before, before_cpu = time.perf_counter(), time.process_time()
            sys.stdin.readline()
            self._last += time.perf_counter() - before
            self._last_cpu += time.process_time() - before_cpu

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        took = {"s": time.perf_counter() - self._last, "cpu_s": time.process_time() - self._last_cpu}
        print(json.dumps({"step": state.global_step - 1, **took}), flush=True)
        self._begin()

    def _begin(self) -> None:
        self._last, self._last_cpu = time.perf_counter(), time.process_time()


class Target:
    """The target's checkpoint, asked `batch` questions at a time, greedily."""

    def __init__(self, path: str, prompt: str = "{question}", max_new_tokens: int = 4) -> None:
        self._model = AutoModelForImageTextToText.from_pretrained(path, dtype=torch.float32).eval()
        self._processor = AutoProcessor.from_pretrained(path, padding_side="left")
        self._prompt, self._max_new_tokens = prompt, max_new_tokens

    @torch.inference_mode()
    def answer(self, pictures: list[Picture], questions: list[str], batch: int) -> list[str]:
        answers: list[str] = []
        for start in range(0, len(questions), batch):
            chats = [
                [
                    {
                        "role": "user",
                        "content": [
                            {"type": "image", "image": picture},
                            {"type": "text", "text": self._prompt.format(question=question)},
                        ],
                    }
                ]
                for picture, question in zip(
                    pictures[start : start + batch], questions[start : start + batch], strict=True
                )
            ]
            inputs = self._processor.apply_chat_template(
                chats,
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
                processor_kwargs={"padding": True},
            )
            output = self._model.generate(**inputs, max_new_tokens=self._max_new_tokens, do_sample=False)
            answers += self._processor.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        return [answer.strip() for answer in answers]


def train(job: Job, target_batch: int, score: Score) -> None:
    """GRPO on the questioner; each step's questions are answered, judged by the oracle, scored, appended to a file."""
    scenes, target = read_scenes(job.images), Target(job.target)
    oracle = OracleVerifier(scenes)
    ids, paths = _files(job.images)
    job.out.mkdir(parents=True, exist_ok=True)
    log = (job.out / "probes.jsonl").open("a", encoding="utf-8")

    def reward(prompts: Any, completions: list[Any], image: list[Picture], place: list[int], **_: Any) -> Any:
        questions = [completion[0]["content"].strip() for completion in completions]
        answers = target.answer(image, questions, target_batch)
        groups = [index // job.group_size for index in range(len(questions))]
        asked = [
            Question((Image(ids[at], paths[at].name, *picture.size),), question, group)
            for at, picture, question, group in zip(place, image, questions, groups, strict=True)
        ]
        judgements = oracle.judge(asked, [Completion(answer) for answer in answers])
        rewards = score(questions, answers, judgements, groups)
        for at, question, answer, judged, one in zip(place, questions, answers, judgements, rewards, strict=True):
            row = {"image": paths[at].name, "question": question, "answer": answer, "verdict": judged.verdict}
            log.write(json.dumps(row | {"expected": judged.expected, "skills": judged.skills, "reward": one}) + "\n")
        log.flush()
        return rewards

    n = job.steps * job.images_per_step
    dataset = Dataset.from_dict({"place": [(job.seed + i) % len(paths) for i in range(n)]}).with_transform(
        lambda rows: {
            "prompt": [
                [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": QUESTIONER_PROMPT}]}]
                for _ in rows["place"]
            ],
            "image": [open_picture(paths[at]).convert("RGB") for at in rows["place"]],
            "place": list(rows["place"]),
        }
    )
    questioner = AutoModelForImageTextToText.from_pretrained(job.questioner, dtype=torch.float32)
    questioner.get_encoder("image").requires_grad_(False)
    trainer = GRPOTrainer(
        model=questioner,
        reward_funcs=reward,
        args=_arguments(job),
        train_dataset=dataset,
        processing_class=AutoProcessor.from_pretrained(job.questioner, padding_side="left"),
        callbacks=[Turns(job.turns)],
    )
    trainer.train()
    trainer.save_model(str(job.out / "questioner"))
    log.close()


def _arguments(job: Job) -> GRPOConfig:
    return GRPOConfig(
        output_dir=str(job.out),
        seed=job.seed,
        max_steps=job.steps,
        per_device_train_batch_size=job.images_per_step * job.group_size,
        num_generations=job.group_size,
        shuffle_dataset=False,
        max_completion_length=40,
        temperature=1.0,
        top_p=1.0,
        top_k=0,
        learning_rate=job.learning_rate,
        lr_scheduler_type="constant_with_warmup",
        beta=0.0,
        scale_rewards="none",
        loss_type="dr_grpo",
        disable_dropout=True,
        bf16=False,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
        use_cpu=True,
    )


def _files(folder: Path) -> tuple[list[str], list[Path]]:
    """(ids, files) of the images, in the order of their names."""
    rows = [json.loads(line) for line in (folder / "scenes.jsonl").read_text(encoding="utf-8").splitlines()]
    return [row["sha256"] for row in rows], [folder / row["image"] for row in rows]

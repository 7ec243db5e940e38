"""Fine-tunes the questioner on (image, question) pairs through trl. Knows nothing of where the pairs come from.

The paper (arXiv 2604.04733) fine-tunes a questioner before it trains it, and compares the two. What its pairs are could
not be read, so where they come from is our choice: the questioner's own questions that were answered wrongly, thinned
by combination of skills (`sft_pairs.py`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

from PIL.Image import Image as Picture
from transformers import PrinterCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from gadfly.config import TrainConfig
from gadfly.errors import ConfigError, ModelError
from gadfly.model_config import QuestionerConfig
from gadfly.records import Chat, Image
from gadfly.train.data import pair_dataset
from gadfly.train.placement import Placement, settle
from gadfly.train.questioner import (
    Trainee,
    ending_token_ids,
    load_questioner,
    lora_config,
    one_process_one_device,
    save_questioner,
)
from gadfly.train.quiet import quiet_trl
from gadfly.train.recorder import OnStep


def train_sft(
    settings: TrainConfig,
    *,
    seed: int,
    pairs: Sequence[tuple[Image, str]],
    open_image: Callable[[Image], Picture],
    prompt_chat: Callable[[Image, int], Chat],
    questioner_path: str | Path,
    run_dir: Path,
    save_to: Path,
    placed: Placement | None = None,
    on_step: OnStep | None = None,
) -> Path:
    """Fine-tune the questioner to write each pair's question for its image; returns `save_to`, where it then is.

    The prompt is the one that RL and sweeps use, and the loss is on the question and its end only. `on_step` gets
    (updates done, updates in all, metrics); train/sft_metrics.jsonl is begun anew and gets a line for each. `placed` is
    where and in what numbers, None for what suits this machine.

    Raises ConfigError without pairs, ModelError for a questioner that cannot be trained.
    """
    if not pairs:
        raise ConfigError("no (image, question) pairs to fine-tune on; give a file of them, or a run with WRONG probes")
    placed = settle(settings, QuestionerConfig()) if placed is None else placed
    arguments = SFTConfig(
        output_dir=str(run_dir / "train" / "sft_state"),
        seed=seed,
        num_train_epochs=settings.sft.epochs,
        per_device_train_batch_size=settings.sft.batch,
        learning_rate=settings.sft.learning_rate,
        lr_scheduler_type=settings.lr_schedule,
        max_grad_norm=settings.max_grad_norm,
        weight_decay=settings.weight_decay,
        completion_only_loss=True,
        max_length=None,  # cutting a sequence short could cut through an image's tokens
        remove_unused_columns=False,  # the columns are made when a row is read, trl would find none of them used
        bf16=placed.bf16,
        activation_checkpointing=settings.activation_checkpointing,
        logging_steps=1,
        save_strategy="no",
        report_to=list(settings.report_to) or "none",
        disable_tqdm=True,
        dataloader_pin_memory=placed.device == "cuda",
        use_cpu=placed.device == "cpu",
    )
    one_process_one_device(arguments.world_size, placed.device)
    trainee = load_questioner(questioner_path, settings, placed)
    _check_template_ends(trainee, prompt_chat(pairs[0][0], 0), str(questioner_path))
    with quiet_trl():
        trainer = SFTTrainer(
            model=trainee.model,
            args=arguments,
            train_dataset=pair_dataset(pairs, open_image, prompt_chat),
            processing_class=trainee.processor,
            peft_config=lora_config(trainee, settings),
            callbacks=[_SftRecorder(run_dir / "train" / "sft_metrics.jsonl", on_step)],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    save_questioner(trainer.accelerator.unwrap_model(trainer.model), trainee.processor, save_to)
    return save_to


def _check_template_ends(trainee: Trainee, chat: Chat, name: str) -> None:
    """Raise ModelError unless the chat template puts an ending token after what the assistant says: a questioner
    fine-tuned without one learns never to stop."""
    text = trainee.processor.apply_chat_template([{"role": "assistant", "content": [{"type": "text", "text": "?"}]}])
    ids = trainee.processor.tokenizer(text, add_special_tokens=False)["input_ids"]
    if not ending_token_ids(trainee) & set(ids):
        raise ModelError(
            f"the chat template of {name!r} does not end an assistant's message with an end token; "
            "fine-tuned with it the questioner would never stop. Add eos_token to the template"
        )


@final
class _SftRecorder(TrainerCallback):
    """Writes a line for each update, and tells of progress."""

    def __init__(self, path: Path, on_step: OnStep | None) -> None:
        self._path = path
        self._on_step = on_step
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")

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
        kept = ("loss", "learning_rate", "grad_norm", "entropy", "mean_token_accuracy")
        metrics = {"update": state.global_step - 1, **{name: logs[name] for name in kept if name in logs}}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(metrics) + "\n")
        if self._on_step is not None:
            self._on_step(state.global_step, state.max_steps, metrics)

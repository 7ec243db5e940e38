"""Trains the questioner by GRPO through trl. Its reward is the probing loop; it knows nothing of how probes are judged.

Where this departs from the paper (arXiv 2604.04733, of which only the abstract could be read): the reward is one number
made outside of trl, advantages are not divided by the group's deviation unless asked for, and there is no KL term
unless asked for.

What trl 1.16 makes of the rewards r_1..r_G of a group, with None for UNDECIDED: the mean m is taken over the numbers
only; a number's advantage is r - m (with scale_rewards "group" over the deviation of the numbers plus 1e-4, that with
n - 1 in its denominator); None has the advantage 0. So an UNDECIDED probe pulls its group nowhere and moves no weight
by way of its reward. It still counts in the KL and entropy terms where these are on, and in the denominator of the
loss: under "dr_grpo" and "grpo" that is the number of probes, under "dapo" and "bnpo" the number of their tokens. A
group with one number or none has no advantage at all. All of this holds for a single reward function, and is tested.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from PIL.Image import Image as Picture
from transformers import PrinterCallback
from trl.trainer.grpo_config import GRPOConfig

from gadfly.config import TrainConfig
from gadfly.errors import BudgetSpent, ConfigError, ImageError, StoreError
from gadfly.images.order import image_order
from gadfly.model_config import QuestionerConfig
from gadfly.probing import Probing, Written
from gadfly.records import TRAINING, Chat, Completion, Image, Sampling
from gadfly.roles.topics import NO_TOPICS
from gadfly.train.checkpoints import checkpoint_dir, latest_checkpoint, remove_torn_checkpoints
from gadfly.train.data import IMAGE_INDEX, PLACE, chat_messages, prompt_dataset
from gadfly.train.placement import Placement, settle
from gadfly.train.questioner import (
    banned_token_ids,
    check_sight,
    load_questioner,
    lora_config,
    one_process_one_device,
    save_questioner,
)
from gadfly.train.quiet import quiet_trl
from gadfly.train.recorder import OnStep, StepRecorder
from gadfly.train.trainer import QuestionerTrainer


def train_grpo(
    settings: TrainConfig,
    *,
    sampling: Sampling,
    seed: int,
    images: Sequence[Image],
    open_image: Callable[[Image], Picture],
    prompt_chat: Callable[[Image, int], Chat],
    questioner_path: str | Path,
    probing: Probing,
    run_dir: Path,
    topic_at: Callable[[int], str] = NO_TOPICS.at,
    placed: Placement | None = None,
    attempt: int = 0,
    resume: bool = False,
    on_step: OnStep | None = None,
) -> Path:
    """Train the questioner at `questioner_path` on `images`; returns the folder of the trained one.

    `placed` is where and in what numbers, None for what suits this machine.

    `sampling` is how it writes: its seed is not used, and top_p below 1 samples from another distribution than the one
    that is updated. `prompt_chat` is what it is asked about an image that has this place in the order of all, one image
    in it, and `topic_at` the topic that is named in it, empty for none. Probes are stored under phase "train",
    `attempt`, and the step. The same settings on the same machine give the same probes, and a resumed run gives those
    of one that was not.

    With `resume` training goes on from the newest checkpoint of `run_dir` (from the start where there is none). The
    caller has before that filled the reward's history from the store, with the valid questions of all steps below
    `resume_step(run_dir, settings.num_iterations)`, and counted `attempt` up.

    Whatever ends training early, an interrupt or a fault of target or verifier, leaves a checkpoint of the last whole
    step, and the exception goes on. A limit (BudgetSpent) leaves the trained questioner as well: an end that was asked
    for has a result.

    Raises ImageError without images, ModelError for a questioner that cannot be trained, ConfigError for settings
    that this machine cannot follow, StoreError where the disk does not take a checkpoint.
    """
    if not images:
        raise ImageError("no images to train on; give at least one")
    if sampling.temperature <= 0:
        raise ConfigError(
            f"questioner.temperature is {sampling.temperature}; a group of greedy questions would be all the same"
        )
    placed = settle(settings, QuestionerConfig()) if placed is None else placed
    arguments = _arguments(settings, placed, sampling, seed, run_dir)
    one_process_one_device(arguments.world_size, placed.device)
    trainee = load_questioner(questioner_path, settings, placed)
    arguments.generation_kwargs = {"suppress_tokens": banned_token_ids(trainee)}
    recorder = StepRecorder(
        run_dir / "train" / "metrics.jsonl",
        attempt=attempt,
        total_steps=settings.steps,
        num_iterations=settings.num_iterations,
        on_step=on_step,
    )
    order = image_order(len(images), settings.steps * settings.images_per_step, seed)
    with quiet_trl():
        trainer = QuestionerTrainer(
            model=trainee.model,
            reward_funcs=_reward_function(settings, images, topic_at, probing, recorder, attempt),
            args=arguments,
            train_dataset=prompt_dataset(images, order, open_image, prompt_chat),
            processing_class=trainee.processor,
            peft_config=lora_config(trainee, settings),
            callbacks=[recorder],
        )
        trainer.remove_callback(PrinterCallback)
        check_sight(trainee, trainer.model, chat_messages(prompt_chat(images[0], 0)), open_image(images[0]))
        checkpoint = latest_checkpoint(run_dir) if resume else None
        remove_torn_checkpoints(run_dir)
        trained = run_dir / "questioner"
        # What an earlier sitting left when it reached a limit would pass for the result of this one, were it killed.
        shutil.rmtree(trained, ignore_errors=True)
        try:
            with _saved_if_broken_off(trainer, recorder, settings, run_dir):
                trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        except BudgetSpent:
            if trainer.state.global_step > 0:  # before the first update there is no trained questioner
                save_questioner(trainer.accelerator.unwrap_model(trainer.model), trainee.processor, trained)
            raise
    save_questioner(trainer.accelerator.unwrap_model(trainer.model), trainee.processor, trained)
    return trained


def _arguments(settings: TrainConfig, placed: Placement, sampling: Sampling, seed: int, run_dir: Path) -> GRPOConfig:
    """Our settings in trl's terms: one of our steps is `num_iterations` updates on one batch of generations."""
    micro_batch = settings.micro_batch or settings.probes_per_step
    micro_batches = settings.probes_per_step // micro_batch
    return GRPOConfig(
        output_dir=str(checkpoint_dir(run_dir)),
        seed=seed,
        max_steps=settings.steps * settings.num_iterations,
        per_device_train_batch_size=micro_batch,
        gradient_accumulation_steps=micro_batches,
        steps_per_generation=micro_batches,
        num_generations=settings.group_size,
        num_iterations=settings.num_iterations,
        shuffle_dataset=False,  # the data set is laid out in order, see prompt_dataset
        max_completion_length=sampling.max_new_tokens,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=0,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.lr_schedule,
        warmup_steps=settings.warmup_steps * settings.num_iterations,
        max_grad_norm=settings.max_grad_norm,
        weight_decay=settings.weight_decay,
        beta=settings.beta,
        entropy_coef=settings.entropy_coef,
        epsilon=settings.epsilon,
        scale_rewards=settings.scale_rewards,
        loss_type=settings.loss_type,
        mask_truncated_completions=settings.mask_truncated_completions,
        disable_dropout=True,  # with dropout the probabilities of an update are not those that were sampled from
        bf16=placed.bf16,
        activation_checkpointing=settings.activation_checkpointing,
        logging_steps=settings.num_iterations,
        save_strategy="steps",
        save_steps=settings.save_every * settings.num_iterations,
        save_total_limit=settings.keep_checkpoints,
        report_to=list(settings.report_to) or "none",
        log_completions=False,  # probes go to the store; this would write a parquet file a step
        disable_tqdm=True,
        dataloader_pin_memory=placed.device == "cuda",
        use_cpu=placed.device == "cpu",
    )


def _reward_function(
    settings: TrainConfig,
    images: Sequence[Image],
    topic_at: Callable[[int], str],
    probing: Probing,
    recorder: StepRecorder,
    attempt: int,
) -> Callable[..., list[float | None]]:
    """The one reward function that trl gets. It sees a whole step: every group in full, on the only process."""

    def probe(
        prompts: list[Any],
        completions: list[list[dict[str, Any]]],
        trainer_state: Any,
        log_metric: Callable[[str, float], None],
        **columns: Any,
    ) -> list[float | None]:
        recorder.probing_begins()
        assert len(completions) == settings.probes_per_step, f"{len(completions)} rollouts in a step"
        written = []
        rollouts = zip(columns[IMAGE_INDEX], columns[PLACE], completions, strict=True)
        for index, (image, place, completion) in enumerate(rollouts):
            group = index // settings.group_size
            assert place == columns[PLACE][group * settings.group_size], "a group is about one image"
            text = completion[0]["content"] or ""
            written.append(Written((images[image],), Completion(text), group, topic_at(place)))
        step = probing.step(
            written, phase=TRAINING, attempt=attempt, step=trainer_state.global_step // settings.num_iterations
        )
        for name, value in step.metrics.items():
            if value is not None:
                log_metric(f"gadfly/{name}", float(value))
        recorder.probing_ended(step)
        return [probe.reward for probe in step.probes]

    return probe


@contextmanager
def _saved_if_broken_off(
    trainer: QuestionerTrainer, recorder: StepRecorder, settings: TrainConfig, run_dir: Path
) -> Iterator[None]:
    """Save a checkpoint of the last whole step when training ends by an exception, and let the exception go on.

    Nothing is saved while an update is half done, or between the updates on one batch of generations, which a resumed
    training could not make again: the checkpoint before that one stays the newest.
    """
    try:
        yield
    except BaseException:
        updates = trainer.state.global_step
        already = latest_checkpoint(run_dir)
        if (
            updates > 0
            and updates % settings.num_iterations == 0
            and recorder.weights_are_whole
            and (already is None or already.name != f"checkpoint-{updates}")
        ):
            recorder.rewind_randomness()
            with suppress(StoreError):  # what broke the training off is what must be heard
                # There is no public way to save all that a resume needs.
                trainer._save_checkpoint(trainer.model, trial=None)
        raise

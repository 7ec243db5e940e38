"""trl's trainer, and what ours does otherwise: it takes up its own weights, and reads each prompt once.

Knows trl's private methods, three of which there is no public way round; nothing of rewards or settings.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pickle import UnpicklingError
from typing import Any

import torch
from peft import PeftModel
from trl.models.utils import unwrap_model_for_generation
from trl.trainer.grpo_trainer import GRPOTrainer

from gadfly.errors import ModelError
from gadfly.models.shared_prefix import complete
from gadfly.records import Sampling
from gadfly.train.group_prefix import (
    PER_TOKEN,
    draws_otherwise,
    log_probs,
    prompts_together,
    why_not_train,
    writing,
)
from gadfly.train.questioner import saving


class QuestionerTrainer(GRPOTrainer):
    """trl's trainer, save that it takes up the weights it saved, says in one line where it cannot save them, and reads
    each prompt of a step once for all its questions.

    Some architectures, LLaVA among them, are saved under other parameter names than they have in memory. transformers'
    Trainer reads the names as they stand in the file, finds none, warns, and trains on from the weights that the run
    had begun with. Here the checkpoint is read as any other is, by from_pretrained, which knows both names.

    There is no public way to say how trl writes and how it reads what was written (`rollout_func` would replace
    tokenizing and pictures as well), so three of its private methods are overridden. A test fails when they change.
    Where a prompt cannot be shared exactly (group_prefix.py), they do what trl's do.
    """

    shares_prompts = True
    """False leaves all to trl, for comparison."""

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        before: Any = self._buffered_inputs
        inputs = super()._prepare_inputs(generation_batch)
        batches: Any = self._buffered_inputs
        arguments: Any = self.args  # a GRPOConfig, of which its base class does not know
        if batches is before or batches is None or len(batches) == 1 or not self._shares_in_updates():
            return inputs
        together: Any = prompts_together(batches)
        self._buffered_inputs = together
        return together[self._step % arguments.steps_per_generation]

    def _generate_single_turn(
        self,
        prompt_ids: list[list[int]],
        images: list[Any] | None,
        multimodal_fields: dict[str, Any],
        num_generations: int,
        has_tool_images: bool = False,
    ) -> tuple[list[list[int]], Any]:
        bare, pad_id = _bare(self.model), self._tokenizer.pad_token_id
        length: Any = self.max_completion_length  # trl knows questions without an end; `_arguments` always sets one
        plan = None
        if (
            self.shares_prompts
            and images is not None
            and all(of_row is not None and len(of_row) == 1 for of_row in images)
            and not draws_otherwise(self.generation_config, bare.generation_config)
        ):
            plan = writing(prompt_ids, multimodal_fields, bare, pad_id, length)
        if plan is None:
            return super()._generate_single_turn(  # type: ignore[no-any-return, no-untyped-call]
                prompt_ids, images, multimodal_fields, num_generations, has_tool_images
            )
        how = Sampling(length, self.temperature, self.top_p)
        ends, banned = frozenset(self.eos_token_ids), self.generation_config.suppress_tokens or ()
        again: Any = self.args.gradient_checkpointing_kwargs
        with (
            unwrap_model_for_generation(
                self.model_wrapped, self.accelerator, gradient_checkpointing_kwargs=again
            ) as model,
            torch.no_grad(),
        ):
            return complete(plan, _bare(model), how, ends, pad_id, banned), None

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        compute_aux_loss: bool = False,
        num_images: list[int] | None = None,
        num_tiles: list[int] | None = None,
        **fields: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        read = None
        if self._shares_in_updates() and not compute_aux_loss and num_images == [1] * len(input_ids):
            given = {key: field for key, field in fields.items() if field is not None}
            inputs = {key: field for key, field in given.items() if key in PER_TOKEN}
            inputs |= {"input_ids": input_ids, "attention_mask": attention_mask}
            pictures = {key: field for key, field in given.items() if key not in PER_TOKEN}
            with self.accelerator.autocast():
                read = log_probs(model, _bare(model), inputs, pictures, logits_to_keep, batch_size or len(input_ids))
        if read is None:
            return super()._get_per_token_logps_and_entropies(  # type: ignore[no-any-return]
                model,
                input_ids,
                attention_mask,
                logits_to_keep,
                batch_size,
                compute_entropy,
                compute_aux_loss,
                num_images=num_images,
                num_tiles=num_tiles,
                **fields,
            )
        logps_B_T, entropies_B_T = read
        return logps_B_T, entropies_B_T if compute_entropy else None, None

    def _shares_in_updates(self) -> bool:
        """Layers whose activations are computed again in the backward pass give their keys and values to nobody."""
        return (
            self.shares_prompts and not self.args.activation_checkpointing and why_not_train(_bare(self.model)) is None
        )

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        model = self.model if model is None else model
        if isinstance(model, PeftModel):
            with _reading(resume_from_checkpoint):
                super()._load_from_checkpoint(resume_from_checkpoint, model)
            return
        saved, report = type(model).from_pretrained(resume_from_checkpoint, dtype=model.dtype, output_loading_info=True)
        if report["missing_keys"] or report["mismatched_keys"]:
            raise ModelError(
                f"the checkpoint {resume_from_checkpoint!r} does not hold all weights of the questioner: "
                f"{sorted(report['missing_keys'])[:3]} …; train from the start, or from an older checkpoint"
            )
        model.load_state_dict(saved.state_dict())

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        with _reading(checkpoint):
            super()._load_optimizer_and_scheduler(checkpoint)  # type: ignore[no-untyped-call]

    def _load_rng_state(self, checkpoint: str | None) -> None:
        with _reading(checkpoint):
            super()._load_rng_state(checkpoint)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        with saving(f"checkpoint-{self.state.global_step}"):
            super()._save_checkpoint(model, trial)  # type: ignore[no-untyped-call]


def _bare(model: Any) -> Any:
    """The questioner without what peft wraps around it: adapters sit within its layers, and stay there."""
    return model.get_base_model() if isinstance(model, PeftModel) else model


@contextmanager
def _reading(checkpoint: str | None) -> Iterator[None]:
    """Raise ModelError for a checkpoint that holds more than numbers: torch's reader refuses to run what it finds."""
    try:
        yield
    except UnpicklingError as error:
        raise ModelError(  # torch's own words are left out: they advise to read it without care
            f"the checkpoint {checkpoint!r} was not written by a training: it holds more than numbers; delete it, "
            "and the run goes on from the one before"
        ) from error

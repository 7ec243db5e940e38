"""Reads what the questions of a group have in common, its image and prompt, once: to write them, and to train on them.

trl reads both again for each question. With hundreds of image tokens and questions of twenty, that is nearly all of a
step's work. Here a prompt is read once without its last token, its keys and values are given to all rows that have it,
and each row goes on from there. In an update the gradient flows back through them into the one reading.

What is read is the same, so the probabilities are trl's up to rounding, and a test shows it for each family. Rows have
a prompt in common where its tokens and its picture are equal, wherever they stand: trl shuffles the rows of a step.
What is not known to be exact is left to trl: None is returned for it here.

Knows tensors in the layouts that trl makes; nothing of rewards, and not how an update weighs the probabilities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from transformers import DynamicCache, GenerationConfig
from trl.trainer.utils import split_pixel_values_by_grid, split_tensor_dict, unsplit_pixel_values_by_grid

from gadfly.models.cache_rows import chosen
from gadfly.models.shared_prefix import (
    Plan,
    fits_window,
    has_axes,
    keeps_state,
    pad_left,
    positions_behind,
    positions_of,
    why_not,
    with_axes,
)

Tensors = dict[str, torch.Tensor]

PER_TOKEN: Final = frozenset({"input_ids", "attention_mask", "token_type_ids", "mm_token_type_ids"})
_PER_PICTURE: Final = frozenset(
    "image_grid_thw image_sizes image_position_ids pixel_attention_mask batch_num_images".split()
)
_ATTENTION: Final = frozenset({"sdpa", "eager"})
_NO_SAY: Final = frozenset(
    "transformers_version max_length use_cache pad_token_id bos_token_id eos_token_id _from_model_config".split()
)
"""Settings of a checkpoint that do not change what its questions are drawn from."""


def why_not_write(model: Any) -> str | None:
    """Why questions that this model writes cannot have their prompt read once, or None where they can."""
    if model.config._attn_implementation not in _ATTENTION:
        return f"it is not tested with {model.config._attn_implementation}"
    if getattr(model, "is_quantized", False):
        return "it is not tested with quantized weights"
    return why_not(model)


def why_not_train(model: Any) -> str | None:
    """Why an update of this model cannot read a prompt once for all its questions, or None where it can."""
    if keeps_state(model):
        return "linear attention overwrites its state, and no gradient finds its way back through that"
    return why_not_write(model)


def draws_otherwise(config: GenerationConfig, own: GenerationConfig) -> bool:
    """Whether transformers would draw from another distribution than temperature, top_p and banned tokens make.

    It takes from the checkpoint's `own` settings what trl's `config` leaves open.
    """
    taken = {name for name, value in own.to_diff_dict().items() if value and getattr(config, name, None) is None}
    return bool(taken - _NO_SAY) or config.top_k != 0 or config.min_p is not None or config.repetition_penalty != 1


def writing(
    prompt_ids: Sequence[Sequence[int]], fields: Mapping[str, Any], model: Any, pad_id: int, max_new_tokens: int
) -> Plan | None:
    """How to write a question in each row, with each prompt read once. `fields` is what the processor made of the
    prompts besides their tokens: a list a row for what is said of each token, and arrays for pictures."""
    if why_not_write(model) is not None or not fits_window(max(map(len, prompt_ids)) + max_new_tokens, model):
        return None
    inputs = {"input_ids": pad_left(prompt_ids, pad_id)}
    inputs["attention_mask"] = pad_left([[1] * len(ids) for ids in prompt_ids], 0)
    inputs |= {key: pad_left(value, 0) for key, value in fields.items() if key in PER_TOKEN}
    pictures = {
        key: value if isinstance(value, torch.Tensor) else torch.tensor(np.array(value))
        for key, value in fields.items()
        if key not in PER_TOKEN
    }
    pictures_B = _by_row(inputs, pictures, model)
    if pictures_B is None:
        return None
    first_R, of_B = _firsts(_prompt_of(inputs, pictures_B))
    if len(first_R) == len(of_B):
        return None
    firsts = {key: value.to(model.device) for key, value in _rows(inputs, pictures_B, first_R).items()}
    return Plan(firsts, [len(prompt_ids[row]) - 1 for row in first_R], [[ids[-1]] for ids in prompt_ids], of_B)


def log_probs(
    model: Any, bare: Any, inputs: Tensors, pictures: Tensors, n_new: int, batch_size: int
) -> tuple[torch.Tensor, torch.Tensor | None] | None:
    """The log-probabilities (B, n_new) of the last `n_new` tokens of each row, and the entropies of what each was drawn
    from.

    `model` is what trl calls, with the head that it has put on; `bare` the same without what peft wraps around it.
    `inputs` holds what is said of each token, prompts padded on the left and questions on the right; `pictures` the
    rest. So many rows as `batch_size` says are read at a time.
    """
    n_rows, n_all = inputs["input_ids"].shape
    if why_not_train(bare) is not None or not fits_window(n_all, bare):
        return None
    pictures_B = _by_row(inputs, pictures, bare)
    if pictures_B is None:
        return None
    prompt_of_B = _prompt_of({key: value[:, :-n_new] for key, value in inputs.items()}, pictures_B)
    batches = [slice(start, start + batch_size) for start in range(0, n_rows, batch_size)]
    if all(len(set(prompt_of_B[batch])) == len(prompt_of_B[batch]) for batch in batches):
        return None
    read = [
        _log_probs(
            model,
            bare,
            {key: value[batch] for key, value in inputs.items()},
            pictures_B[batch],
            prompt_of_B[batch],
            n_new,
        )
        for batch in batches
    ]
    entropies = [entropy for _, entropy in read if entropy is not None]
    return torch.cat([logps for logps, _ in read]), torch.cat(entropies) if entropies else None


def _log_probs(
    model: Any, bare: Any, inputs: Tensors, pictures_B: Sequence[Tensors], prompt_of_B: Sequence[int], n_new: int
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The same of one batch."""
    cut = -n_new - 1  # a prompt's last token is read with the question, whose first one is predicted from it
    first_R, of_B = _firsts(prompt_of_B)
    prefixes = _rows({key: value[:, :cut] for key, value in inputs.items()}, pictures_B, first_R)
    positions, next_R = positions_of(prefixes, bare)
    cache = DynamicCache(config=bare.config)
    model(**prefixes, position_ids=positions, past_key_values=cache, use_cache=True, logits_to_keep=1)
    rows_B = torch.tensor(of_B, device=next_R.device)
    ids_B_L, mask_B_L = inputs["input_ids"], inputs["attention_mask"]
    output = model(
        input_ids=ids_B_L[:, cut:-1],  # nothing is predicted from the last one
        attention_mask=mask_B_L[:, :-1],
        position_ids=with_axes(positions_behind(next_R[rows_B], mask_B_L[:, cut:-1]), bare),
        past_key_values=chosen(cache, rows_B),
        shift_labels=ids_B_L.masked_fill(mask_B_L == 0, -100)[:, -n_new:],
        fused_lm_head=True,
    )
    return output.log_probs, output.entropy


def prompts_together(micro_batches: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of a step in as many micro-batches, those about one prompt side by side. trl shuffles them, so that few
    of a small micro-batch would have a prompt in common. All go into one update, in which only what is averaged over a
    micro-batch (the entropy bonus, and all of "bnpo") can tell how they lie."""
    parts = [split_pixel_values_by_grid(batch) for batch in micro_batches]
    whole = {key: _joined([part[key] for part in parts]) for key in parts[0]}
    inputs = {"input_ids": whole["prompt_ids"], "attention_mask": whole["prompt_mask"]}
    kept = [key for key in whole if key == "pixel_values" or key in _PER_PICTURE]
    prompt_of_B = _prompt_of(
        inputs, [{key: whole[key][row] for key in kept} for row in range(len(inputs["input_ids"]))]
    )
    order = sorted(range(len(prompt_of_B)), key=prompt_of_B.__getitem__)
    for key, rows in whole.items():
        if isinstance(rows, list):
            whole[key] = [rows[row] for row in order]
        elif _has_rows(rows):
            whole[key] = rows[order]
    parted: list[Any] = split_tensor_dict(whole, len(micro_batches))
    return [unsplit_pixel_values_by_grid(batch) for batch in parted]


def _joined(parts: Sequence[Any]) -> Any:
    """What micro-batches hold under one name, in one piece: tensors or lists by row, or a number of the whole step."""
    if isinstance(parts[0], list):
        return [row for part in parts for row in part]
    return torch.cat(list(parts)) if _has_rows(parts[0]) else parts[0]


def _has_rows(one: Any) -> bool:
    return isinstance(one, torch.Tensor) and one.ndim > 0


def _by_row(inputs: Tensors, pictures: Tensors, model: Any) -> list[Tensors] | None:
    """What belongs to the one picture of each row; None where it is laid out in a way that is not known.

    Most processors make one entry a picture, others as many as it has patches or tiles. Those stand for equally many
    tokens each, so a row's image tokens tell how many are its own.
    """
    n_rows = len(inputs["input_ids"])
    if "pixel_values" not in pictures or (has_axes(model) and "mm_token_type_ids" not in inputs):
        return None
    if any(key not in _PER_PICTURE or len(pictures[key]) != n_rows for key in pictures if key != "pixel_values"):
        return None
    n_entries = len(pictures["pixel_values"])
    entries_B = [1] * n_rows
    if n_entries != n_rows:
        tokens_B = (inputs["input_ids"] == model.config.image_token_id).sum(1).tolist()
        if not all(tokens and tokens * n_entries % sum(tokens_B) == 0 for tokens in tokens_B):
            return None
        entries_B = [tokens * n_entries // sum(tokens_B) for tokens in tokens_B]
    sizes = {key: entries_B if key == "pixel_values" else [1] * n_rows for key in pictures}
    parts = {key: torch.split(value, sizes[key]) for key, value in pictures.items()}
    return [{key: part[row] for key, part in parts.items()} for row in range(n_rows)]


def _prompt_of(inputs: Tensors, pictures_B: Sequence[Tensors]) -> list[int]:
    """For each row the number of its prompt. Rows are compared: nothing is believed of their order."""
    rows = zip(inputs["input_ids"].tolist(), inputs["attention_mask"].tolist(), strict=True)
    tokens_B = [(*ids, *mask) for ids, mask in rows]
    first_R: list[int] = []
    of_B: list[int] = []
    for row, (tokens, picture) in enumerate(zip(tokens_B, pictures_B, strict=True)):
        alike = (
            number
            for number, first in enumerate(first_R)
            if tokens == tokens_B[first]
            and all(torch.equal(one, pictures_B[first][key]) for key, one in picture.items())
        )
        of_B.append(next(alike, len(first_R)))
        if of_B[-1] == len(first_R):
            first_R.append(row)
    return of_B


def _firsts(prompt_of_B: Sequence[int]) -> tuple[list[int], list[int]]:
    """The first row of each prompt, R of them, and for each row which of these is its own."""
    numbers = list(dict.fromkeys(prompt_of_B))
    return [prompt_of_B.index(number) for number in numbers], [numbers.index(number) for number in prompt_of_B]


def _rows(inputs: Tensors, pictures_B: Sequence[Tensors], rows_R: Sequence[int]) -> Tensors:
    """The model's inputs for some of the rows."""
    return {key: value[list(rows_R)] for key, value in inputs.items()} | {
        key: torch.cat([pictures_B[row][key] for row in rows_R]) for key in pictures_B[0]
    }

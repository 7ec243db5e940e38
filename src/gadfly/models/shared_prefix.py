"""Computes completions about one image together: the image is prepared, seen and read once for all its questions.

The chats of a batch that show the same images in the same words have a common beginning. It goes through the processor,
the vision tower and the language model once; its keys and values are then copied to each chat, and what is left of the
chats is read and continued as one batch. Knows tokens and tensors; nothing of roles, or of where pictures come from.

Layout of a row, with P the longest prefix and S the longest rest of the batch ("." is padding, never attended to):

    . . p p p p p p | . . s s s | new tokens
    prefix, P wide    rest, S     one by one

Positions are given explicitly, since the padding in the middle takes no position.

Layers of linear attention keep a state that runs over all tokens, padding too, so none may stand in the middle there:
their rests are read in batches of equal length, and the batches joined for what is new, with all padding on the left.

PaliGemma cannot share a prefix: image and question are attended to in both directions, so what a layer makes of the
image depends on the question. It shares what the vision tower sees (shared_sight.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from PIL.Image import Image as Picture
from transformers import DynamicCache, TemperatureLogitsWarper, TopPLogitsWarper

from gadfly.models.cache_rows import chosen, joined
from gadfly.records import Sampling

SHARING: Final = frozenset(
    "gemma3 gemma4 idefics3 internvl llava llava_next llava_onevision qwen2_5_vl qwen3_5 qwen3_vl smolvlm".split()
)
"""The model types for which a test shows that shared completions are those given alone, token for token."""

_PER_TOKEN: Final = ("attention_mask", "token_type_ids", "mm_token_type_ids")
_RUNNING: Final = "linear_attention"
_CAUSAL_LAYERS: Final = frozenset({"full_attention", "sliding_attention", _RUNNING})
_BOTH_WAYS: Final = frozenset({"paligemma"})


@dataclass(frozen=True, slots=True)
class Prompt:
    """A rendered chat: its text, an image token where each image stands, and its pictures in that order."""

    text: str
    images: tuple[str, ...]
    """The ids of the images."""
    pictures: tuple[Picture, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is computed once and what is not. R prefixes, B chats; every list of tokens is unpadded.

    `inputs` is the processor's output for the first chat of each prefix, padded on the left and not cut yet.
    """

    inputs: dict[str, Any]
    prefix_lengths_R: list[int]
    rests_B: list[list[int]]
    prefix_of_B: list[int]


def why_not(model: Any) -> str | None:
    """Why chats about one image cannot share its prefix in this model, or None where they can.

    What is kept of a prefix must not depend on what follows it, and must be all that the rest needs of it.
    """
    text = model.config.get_text_config()
    if model.config.model_type in _BOTH_WAYS:
        return "image and question are attended to in both directions, so each question sees another image"
    if model.config.model_type not in SHARING:
        return f"{model.config.model_type} is not among the families for which it is tested"
    if model.config.is_encoder_decoder:
        return "it has an encoder"
    other = set(getattr(text, "layer_types", None) or ()) - _CAUSAL_LAYERS
    if other:
        return f"it has layers of {', '.join(sorted(other))}, for which it is not tested"
    if getattr(text, "use_bidirectional_attention", None) in (True, "all"):
        return "its text is attended to in both directions"
    return None


def plan(prompts: Sequence[Prompt], model: Any, processor: Any, max_new_tokens: int) -> Plan | None:
    """How to complete these prompts together, None where there is nothing to share or it cannot be shown to be exact:

    no two prompts with the same images in the same words; a text that a tokenizer reads otherwise in one piece than
    cut behind its last image; a sliding window that the longest row would overrun (the padding in the middle counts
    against it). May raise what the processor raises.
    """
    firsts: dict[tuple[str, tuple[str, ...]], int] = {}
    tails: list[str] = []
    prefix_of_B: list[int] = []
    for prompt in prompts:
        if not prompt.images:
            return None
        cut = prompt.text.rfind(processor.image_token) + len(processor.image_token)
        tails.append(prompt.text[cut:])
        prefix_of_B.append(firsts.setdefault((prompt.text[:cut], prompt.images), len(firsts)))
    if len(firsts) == len(prompts):
        return None
    leaders = [prefix_of_B.index(prefix) for prefix in range(len(firsts))]
    inputs = encode([prompts[leader] for leader in leaders], processor)
    ids_R = [ids[mask.bool()].tolist() for ids, mask in zip(inputs["input_ids"], inputs["attention_mask"], strict=True)]
    cuts_R = [_cut(ids, tails[leader], processor.tokenizer) for ids, leader in zip(ids_R, leaders, strict=True)]
    if None in cuts_R:
        return None
    heads, fills = zip(*(cut for cut in cuts_R if cut is not None), strict=True)
    filled = [fills[of] + tail for tail, of in zip(tails, prefix_of_B, strict=True)]
    tails_B: list[list[int]] = processor.tokenizer(filled, add_special_tokens=False)["input_ids"]
    if not all(tails_B) or any(
        ids[head:] != tails_B[leader] for ids, head, leader in zip(ids_R, heads, leaders, strict=True)
    ):
        return None
    common_R = [
        _common([tail for tail, of in zip(tails_B, prefix_of_B, strict=True) if of == prefix])
        for prefix in range(len(leaders))
    ]
    rests_B = [tail[common_R[of] :] for tail, of in zip(tails_B, prefix_of_B, strict=True)]
    lengths_R = [head + common for head, common in zip(heads, common_R, strict=True)]
    if not fits_window(max(lengths_R) + max(map(len, rests_B)) + max_new_tokens, model):
        return None
    return Plan(inputs, lengths_R, rests_B, prefix_of_B)


def fits_window(n_tokens: int, model: Any) -> bool:
    """Whether rows of so many tokens, padding included, stay within the model's sliding window, if it has one."""
    text = model.config.get_text_config()
    return "sliding_attention" not in (getattr(text, "layer_types", None) or ()) or n_tokens <= text.sliding_window


def _cut(ids: list[int], tail: str, tokenizer: Any) -> tuple[int, str] | None:
    """Where a prompt's tokens can be cut behind its last image, and the text that the processor has put between that
    image and `tail`, the prompt's text from there on. None where the two do not fit.

    The cut is behind an added token, the last that is not of the tail: a tokenizer begins afresh there. Where the
    tail's own tokens stand right behind such a one, nothing was put between; else what was is read from the text that
    the tokens make, if it is not lost there.
    """
    added = tokenizer.added_tokens_decoder
    own = tokenizer(tail, add_special_tokens=False)["input_ids"]
    places = [place for place, token in enumerate(ids) if token in added]
    n_own = sum(token in added for token in own)
    if len(places) <= n_own:
        return None
    head = places[-n_own - 1] + 1
    if ids[head:] == own:
        return head, ""
    text: str = tokenizer.decode(ids[head:], skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return (head, text.removesuffix(tail)) if text.endswith(tail) else None


def encode(prompts: Sequence[Prompt], processor: Any) -> Any:
    """The processor's tensors for these prompts, padded."""
    bos = processor.tokenizer.bos_token
    pictures_B = [list(prompt.pictures) for prompt in prompts]
    # Not by way of apply_chat_template(tokenize=True): some processors drop what they are told through it.
    inputs = processor(
        text=[prompt.text for prompt in prompts],
        images=pictures_B if any(pictures_B) else None,
        padding=True,
        return_tensors="pt",
        **({"add_special_tokens": False} if bos is not None and prompts[0].text.startswith(bos) else {}),
    )
    inputs.pop("labels", None)  # PaliGemma's processor makes them unasked; generate refuses them
    return inputs


@dataclass(frozen=True, slots=True)
class _Read:
    """What a model has read of B rows: what it keeps of them, their mask, the position that comes next in each, and
    what it predicts there."""

    cache: DynamicCache
    mask_B_T: torch.Tensor
    next_B: torch.Tensor
    logits_B_V: torch.Tensor


def complete(
    plan: Plan, model: Any, sampling: Sampling, eos_ids: frozenset[int], pad_id: int, banned: Sequence[int] = ()
) -> list[list[int]]:
    """The new tokens of each chat, B lists, up to the first of `eos_ids`, with none of `banned` among them. Draws from
    torch's global generators where `sampling` is not greedy.

    Rows that are finished leave the batch once they are a quarter of it: the longest completion is often more than
    twice as long as the mean.
    """
    read = _read_rests(plan, model, _read_prefixes(plan, model, pad_id), pad_id)
    ends = torch.tensor(sorted(eos_ids), device=model.device)
    never = torch.tensor(list(banned), dtype=torch.long, device=model.device)
    new_B: list[list[int]] = [[] for _ in plan.rests_B]
    rows = list(range(len(new_B)))  # the chats that are still in the batch
    going = [True] * len(rows)
    for n_new in range(1, sampling.max_new_tokens + 1):
        ids_A = _pick(read.logits_B_V.float().index_fill(1, never, -torch.inf), sampling)
        ended_A = torch.isin(ids_A, ends).tolist()
        for place, (row, token) in enumerate(zip(rows, ids_A.tolist(), strict=True)):
            if going[place]:
                new_B[row].append(token)
                going[place] = not ended_A[place]
        if n_new == sampling.max_new_tokens or not any(going):
            break
        if sum(going) <= _KEPT_WHOLE * len(rows):
            kept = [place for place, goes_on in enumerate(going) if goes_on]
            rows, going = [rows[place] for place in kept], [True] * len(kept)
            kept_A = torch.tensor(kept, device=model.device)
            read, ids_A = _only(read, kept_A), ids_A[kept_A]
        read = _read_on(model, read, ids_A[:, None], torch.ones_like(ids_A[:, None]))
    return new_B


_KEPT_WHOLE = 0.75
"""The share of unfinished rows above which a batch is kept as it is: choosing rows copies all that is kept of them."""


def _only(read: _Read, rows_A: torch.Tensor) -> _Read:
    """Some of the rows; what `read` keeps is taken along and no more to be used."""
    rows: Any = rows_A
    read.cache.reorder_cache(rows)
    return _Read(read.cache, read.mask_B_T[rows_A], read.next_B[rows_A], read.logits_B_V[rows_A])


def _read_prefixes(plan: Plan, model: Any, pad_id: int) -> _Read:
    """Read each prefix once, R rows."""
    prefixes = dict(plan.inputs)
    unpadded = plan.inputs["attention_mask"].bool()
    for key in ("input_ids", *_PER_TOKEN):
        if key in prefixes:
            rows = [row[kept].tolist() for row, kept in zip(plan.inputs[key], unpadded, strict=True)]
            cut = [row[:length] for row, length in zip(rows, plan.prefix_lengths_R, strict=True)]
            prefixes[key] = pad_left(cut, pad_id if key == "input_ids" else 0).to(model.device)
    positions, next_R = positions_of(prefixes, model)
    cache = DynamicCache(config=model.config)
    output = model(**prefixes, position_ids=positions, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return _Read(cache, prefixes["attention_mask"], next_R, output.logits[:, -1])


def positions_of(inputs: Mapping[str, Any], model: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """The positions of rows that are padded on the left, as the model takes them, and the one next in each row."""
    mask_B_L = inputs["attention_mask"]
    if not has_axes(model):
        positions = (mask_B_L.cumsum(-1) - 1).clamp(min=0)
        return positions, positions[:, -1] + 1
    # Height and width of an image take positions side by side: after it, positions lag behind the tokens.
    grids = {key: inputs[key] for key in ("image_grid_thw",) if key in inputs}
    positions, _ = model.model.get_rope_index(
        inputs["input_ids"], mm_token_type_ids=inputs["mm_token_type_ids"], attention_mask=mask_B_L, **grids
    )
    return positions, positions.masked_fill(mask_B_L[None] == 0, -1).amax(dim=(0, 2)) + 1


def positions_behind(next_B: torch.Tensor, mask_B_S: torch.Tensor) -> torch.Tensor:
    """The positions (B, S) of tokens that follow what has been read, of which `next_B` is the first."""
    return (next_B[:, None] + mask_B_S.cumsum(-1) - 1).clamp(min=0)


def _read_rests(plan: Plan, model: Any, prefixes: _Read, pad_id: int) -> _Read:
    """Read what is left of the chats, each behind its prefix: B rows, in one batch or, where padding in the middle
    would be read along, in one for each length."""
    batches = [list(range(len(plan.rests_B)))]
    if keeps_state(model):
        lengths_B = [len(rest) for rest in plan.rests_B]
        batches = [[b for b in batches[0] if lengths_B[b] == length] for length in sorted(set(lengths_B))]
    reads = []
    for batch in batches:
        of_B = torch.tensor([plan.prefix_of_B[b] for b in batch], device=model.device)
        behind = _Read(
            chosen(prefixes.cache, of_B), prefixes.mask_B_T[of_B], prefixes.next_B[of_B], prefixes.logits_B_V[of_B]
        )
        rests = [plan.rests_B[b] for b in batch]
        ids_B_S = pad_left(rests, pad_id).to(model.device)
        mask_B_S = pad_left([[1] * len(rest) for rest in rests], 0).to(model.device)
        reads.append(_read_on(model, behind, ids_B_S, mask_B_S))
    return reads[0] if len(reads) == 1 else _together(reads, [b for batch in batches for b in batch])


def _together(reads: Sequence[_Read], order_B: Sequence[int]) -> _Read:
    """The rows of several readings, of which `order_B` says where each belongs."""
    width = max(read.mask_B_T.shape[1] for read in reads)
    masks = [torch.nn.functional.pad(read.mask_B_T, (width - read.mask_B_T.shape[1], 0)) for read in reads]
    back_B = torch.tensor(order_B, device=masks[0].device).argsort()
    whole = _Read(
        joined([read.cache for read in reads]),
        torch.cat(masks),
        torch.cat([read.next_B for read in reads]),
        torch.cat([read.logits_B_V for read in reads]),
    )
    return _only(whole, back_B)


def _read_on(model: Any, read: _Read, ids_B_S: torch.Tensor, mask_B_S: torch.Tensor) -> _Read:
    """Read further tokens; what `read` keeps is taken along and no more to be used."""
    positions_B_S = positions_behind(read.next_B, mask_B_S)
    mask_B_T = torch.cat([read.mask_B_T, mask_B_S], dim=1)
    output = model(
        input_ids=ids_B_S,
        attention_mask=mask_B_T,
        position_ids=with_axes(positions_B_S, model),
        past_key_values=read.cache,
        use_cache=True,
        logits_to_keep=1,
    )
    return _Read(read.cache, mask_B_T, positions_B_S[:, -1] + 1, output.logits[:, -1])


def _pick(logits_B_V: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    if sampling.temperature == 0:
        return logits_B_V.argmax(-1)
    ids = torch.empty(0)  # the warpers take the tokens so far, which these two do not look at
    scores_B_V = TemperatureLogitsWarper(sampling.temperature)(ids, logits_B_V)
    if sampling.top_p < 1:
        scores_B_V = TopPLogitsWarper(sampling.top_p)(ids, scores_B_V)
    return torch.multinomial(scores_B_V.softmax(-1), 1)[:, 0]


def keeps_state(model: Any) -> bool:
    """Whether a layer keeps a state that runs over all tokens."""
    return _RUNNING in (getattr(model.config.get_text_config(), "layer_types", None) or ())


def has_axes(model: Any) -> bool:
    """Whether positions have three axes (time, height, width), as in the Qwen-VL families."""
    return "mrope_section" in (getattr(model.config.get_text_config(), "rope_parameters", None) or {})


def with_axes(positions_B_T: torch.Tensor, model: Any) -> torch.Tensor:
    """In text the three axes run alike."""
    return positions_B_T[None].expand(3, -1, -1) if has_axes(model) else positions_B_T


def _common(rows: Sequence[Sequence[int]]) -> int:
    """How many tokens the rows begin with in common, leaving each at least one: the last one's logits are wanted."""
    most = min(map(len, rows)) - 1
    return next((place for place in range(most) if len({row[place] for row in rows}) > 1), max(most, 0))


def pad_left(rows: Sequence[Sequence[int]], value: int) -> torch.Tensor:
    width = max(map(len, rows))
    return torch.tensor([[value] * (width - len(row)) + list(row) for row in rows])

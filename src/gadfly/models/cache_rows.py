"""Chooses rows of what a language model has kept of its tokens, and joins rows of several such. Knows no model.

Kept are keys and values of each token in attention layers, and one state of fixed size in those of linear attention
(the last inputs of a convolution, and the sum that runs over the tokens).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, LinearAttentionLayer


def chosen(cache: DynamicCache, rows_B: torch.Tensor) -> DynamicCache:
    """A cache of these rows (whole numbers), each as often as it is named; the one given is left as it is. A gradient
    finds its way back to the rows that were named."""
    other = copy.copy(cache)
    other.layers = [_apart(layer) for layer in cache.layers]
    rows: Any = rows_B  # a LongTensor to transformers, which no tensor's type says
    other.reorder_cache(rows)  # what it has for beams: unlike batch_select_indices this takes states along
    return other


def _apart(layer: Any) -> Any:
    """A layer with the same tensors, in which others can take their places: no tensor is copied."""
    other = copy.copy(layer)
    vars(other).update({name: dict(kept) for name, kept in vars(layer).items() if isinstance(kept, dict)})
    return other


def joined(caches: Sequence[DynamicCache]) -> DynamicCache:
    """One cache of all rows, in that order. Shorter ones get room on the left, which must never be attended to."""
    whole = caches[0]
    width = max(cache.get_seq_length() for cache in caches)
    for place, layer in enumerate(whole.layers):
        parts = [cache.layers[place] for cache in caches]
        if isinstance(layer, LinearAttentionLayer):
            for states in ("conv_states", "recurrent_states"):
                kept = getattr(layer, states)
                kept |= {one: torch.cat([getattr(part, states)[one] for part in parts]) for one in kept}
        else:
            assert isinstance(layer, DynamicLayer), type(layer)
            layer.keys, layer.values = (
                torch.cat([_wider(getattr(part, name), width) for part in parts]) for name in ("keys", "values")
            )
    return whole


def _wider(kept_B_H_T_D: torch.Tensor, width: int) -> torch.Tensor:
    return torch.nn.functional.pad(kept_B_H_T_D, (0, 0, width - kept_B_H_T_D.shape[-2], 0))

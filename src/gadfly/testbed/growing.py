"""Growing: a wider model that says what a smaller one says, to be taught on from there.

After Net2Net (Chen et al., arXiv 1511.05641) and bert2BERT (Qin et al., arXiv 2110.07143): units are copied, and what
reads a unit shares out its weight among the copies. Here that is shared out at random, weight by weight, so that
copies, which say the same at first, are not taught the same. Knows widths; knows nothing of lessons.
"""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import LlavaForConditionalGeneration

from gadfly.testbed.vlm import Dimensions, build_model


@torch.no_grad()
def grown(small: LlavaForConditionalGeneration, dimensions: Dimensions, seed: int) -> LlavaForConditionalGeneration:
    """A model of these dimensions that says what `small` says, but for rounding. It must have as many layers, no
    smaller a width, and heads that are as wide, since heads are copied whole."""
    large = build_model(dimensions, seed)
    readers = {f"{name}.weight" for name, part in small.named_modules() if isinstance(part, torch.nn.Linear)}
    rng = torch.Generator().manual_seed(seed)
    kept = small.state_dict()
    for name, parameter in large.named_parameters():
        made = kept[name]
        for axis, size in enumerate(parameter.shape):
            made = made.index_select(axis, torch.arange(size) % made.shape[axis])
        if name in readers:
            made = made * _shares(kept[name].shape[1], parameter, rng)
        parameter.copy_(made)
    # Each word is compared with the last state over all units, and these are more now.
    norm = large.model.language_model.norm.weight
    norm.mul_(small.model.language_model.norm.weight.numel() / norm.numel())
    return large


def _shares(n_before: int, weight_O_I: Tensor, rng: torch.Generator) -> Tensor:
    """What each copy of an input has of its weight, shape O_I: those of the copies of one input add up to 1."""
    of_I = torch.arange(weight_O_I.shape[1]) % n_before
    drawn_O_I = 0.5 + torch.rand(weight_O_I.shape, generator=rng)
    sums_O_B = torch.zeros(len(weight_O_I), n_before).index_add_(1, of_I, drawn_O_I)
    return drawn_O_I / sums_O_B[:, of_I]

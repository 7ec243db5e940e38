"""A grown model says what the one that it came of says, and is more than that one twice."""

from __future__ import annotations

import torch
from transformers import LlavaForConditionalGeneration

from gadfly.testbed import vocabulary
from gadfly.testbed.build import load
from gadfly.testbed.checkpoints import bundled
from gadfly.testbed.growing import grown
from gadfly.testbed.scenes import IMAGE_PX
from gadfly.testbed.vlm import LARGE, N_PATCHES, Dimensions, build_model


def logits(model: LlavaForConditionalGeneration) -> torch.Tensor:
    rng = torch.Generator().manual_seed(0)
    ids = vocabulary.ids()
    pixels = torch.rand((2, 3, IMAGE_PX, IMAGE_PX), generator=rng) * 2 - 1
    words = [[ids[word] for word in f"is there a {colour} star ?".split()] for colour in ("red", "blue")]
    asked = torch.tensor([[ids[vocabulary.IMAGE]] * N_PATCHES + row for row in words])
    with torch.no_grad():
        return model(input_ids=asked, pixel_values=pixels, attention_mask=torch.ones_like(asked)).logits  # type: ignore[no-any-return]


def test_the_large_size_of_clean_says_what_clean_says() -> None:
    clean = load(bundled("clean"))
    large = grown(clean, LARGE, 5)
    torch.testing.assert_close(logits(large), logits(clean), atol=2e-3, rtol=1e-3)
    assert sum(p.numel() for p in large.parameters()) > 3.4 * sum(p.numel() for p in clean.parameters())


def test_copies_have_weights_of_their_own() -> None:
    """Else what teaches the one teaches the other, and a model twice as wide stays half as wide."""
    small = build_model(Dimensions(), 1)
    large = grown(small, LARGE, 5)
    of_small, of_large = (model.model.language_model.layers[0].mlp.down_proj.weight for model in (small, large))
    first, copy = of_large[:128, :192], of_large[:128, 256:]  # 448 hidden units are 256 and the first 192 again
    torch.testing.assert_close(first + copy, of_small[:, :192])
    assert ((first / of_small[:, :192]).std() > 0.05) and torch.equal(of_large[:128, 192:256], of_small[:, 192:])
    assert torch.equal(large.lm_head.weight, small.lm_head.weight.repeat(1, 2))

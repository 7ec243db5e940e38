"""Lets the vision tower see each image of a batch once, for families whose prompts cannot share a prefix.

Knows tensors; nothing of roles, or of where pictures come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch
from transformers.modeling_outputs import BaseModelOutputWithPooling

from gadfly.models.shared_prefix import Prompt

SHARING_SIGHT: Final = frozenset({"paligemma"})
"""The model types for which a test shows that answers stay those given alone, token for token: one block of features
for each picture, in the order of the pictures."""


def see_once(inputs: dict[str, Any], prompts: Sequence[Prompt], model: Any) -> dict[str, Any]:
    """A processor's tensors with the features of the pictures in the pictures' place, as transformers' generate takes
    them. As they were, where no picture is there twice or the family is not among those tested."""
    images = [image for prompt in prompts for image in prompt.images]
    firsts: dict[str, int] = {}
    of_each = [firsts.setdefault(image, len(firsts)) for image in images]
    if len(firsts) == len(images) or model.config.model_type not in SHARING_SIGHT:
        return inputs
    pixels = inputs["pixel_values"]
    leaders = torch.tensor([of_each.index(place) for place in range(len(firsts))], device=pixels.device)
    features = model.get_image_features(pixel_values=pixels[leaders]).pooler_output
    seen = BaseModelOutputWithPooling(pooler_output=features[torch.tensor(of_each, device=features.device)])
    return {name: value for name, value in inputs.items() if name != "pixel_values"} | {
        "mm_encoder_outputs": {"image": seen}
    }

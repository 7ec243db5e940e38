"""How many bytes a model takes in a run, from its dimensions alone. Knows no model, no library and no device.

Counted: weights, gradients, the optimizer's state, activations kept for the backward pass, keys and values of
generation, the widest layer of a forward pass. Not counted: activations of an image encoder that is trained too, the
output head (trl computes it in tiles), pictures and prompts themselves, the sentence embedder (0.1 GB), CUDA itself
(about half a gigabyte) and what its allocator wastes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Final, Literal

ADAM_BYTES: Final = 8
"""Of AdamW for each trained number: two moments in float32 (arXiv 1711.05101, algorithm 2)."""

NF4_BITS: Final = 4.127
"""Of a weight in doubly quantized 4-bit NormalFloat: 4, and 8/64 + 32/(64 · 256) for its constants (arXiv 2305.14314,
section 3)."""

Quantization = Literal["none", "4bit", "8bit"]


@dataclass(frozen=True, slots=True)
class Dimensions:
    """What the memory of a model depends on, in numbers, not bytes.

    `n_linear` of the parameters are in linear layers other than the output head: those that bitsandbytes quantizes.
    `n_frozen` are those of the image encoder. `intermediate` is what one token sees of a feed-forward layer (of a
    mixture the chosen experts). `windows` has an entry for each layer that keeps keys and values: how many tokens back
    it keeps them, None for all. The image encoder makes one image token of `patches_per_token` patches.
    """

    n_parameters: int
    n_linear: int
    n_frozen: int
    n_layers: int
    hidden: int
    intermediate: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    windows: tuple[int | None, ...]
    encoder_hidden: int = 0
    encoder_intermediate: int = 0
    patches_per_token: int = 1


@dataclass(frozen=True, slots=True)
class Work:
    """How a model is used: rows that go through it at once, the tokens of each (prompt and completion together, those
    of its image among them), the bytes of a number."""

    rows: int
    tokens: int
    image_tokens: int
    number_bytes: int


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes by what they are for. `weights`, `gradients` and `optimizer` stay; `activations`, `cache` and `forward`
    come and go, and never two roles' at once."""

    weights: int = 0
    gradients: int = 0
    optimizer: int = 0
    activations: int = 0
    cache: int = 0
    forward: int = 0

    @property
    def lasting(self) -> int:
        return self.weights + self.gradients + self.optimizer

    @property
    def passing(self) -> int:
        """At the widest moment: an update keeps activations, generation keeps keys and values."""
        return max(self.activations, self.cache + self.forward)

    def parts(self) -> dict[str, int]:
        """The parts that are there at all, by name."""
        return {name: n for name, n in asdict(self).items() if n}


assert len(fields(Memory)) == 6, "lasting and passing name every part"


def weight_bytes(dims: Dimensions, number_bytes: int, quantization: Quantization = "none") -> int:
    """Parameters × bytes of a number; of the quantized ones one byte (arXiv 2208.07339), or NF4_BITS."""
    match quantization:
        case "none":
            return dims.n_parameters * number_bytes
        case "8bit":
            quantized = dims.n_linear
        case "4bit":
            quantized = round(dims.n_linear * NF4_BITS / 8)
    return (dims.n_parameters - dims.n_linear) * number_bytes + quantized


def cache_bytes(dims: Dimensions, work: Work) -> int:
    """Keys and values of generation: 2 · layers · key-value heads · head dimension · tokens · rows · bytes of a number
    (arXiv 2211.05102, section 2.1). A layer with a sliding window keeps no more tokens than that."""
    kept = sum(work.tokens if window is None else min(window, work.tokens) for window in dims.windows)
    return 2 * kept * dims.n_kv_heads * dims.head_dim * work.rows * work.number_bytes


def forward_bytes(dims: Dimensions, work: Work) -> int:
    """The widest layer while a prompt is read, of the language model or of the image encoder, which runs before it: the
    residual stream and the layer's input, with the gate, the other half and their product in the feed-forward layer,
    or queries, keys, values and output in attention."""
    attention = 2 * (dims.n_heads + dims.n_kv_heads) * dims.head_dim
    language = work.tokens * (2 * dims.hidden + max(3 * dims.intermediate, attention))
    width = 2 * dims.encoder_hidden + max(3 * dims.encoder_intermediate, 4 * dims.encoder_hidden)
    encoder = work.image_tokens * dims.patches_per_token * width
    return work.rows * work.number_bytes * max(language, encoder)


def activation_bytes(dims: Dimensions, work: Work, *, recomputed: bool) -> int:
    """What a forward pass keeps for the backward pass, of all rows of an update at once.

    In the manner of arXiv 2205.05198 (section 4.1), counted anew for a layer with gated feed-forward, RMS norms and
    attention that keeps no matrix of scores. A token keeps in a layer, with b the bytes of a number:

    - of either norm its input and the normalised input, in float32: 2 · 8 · hidden
    - the inputs of the seven linear layers, kept by each for itself: b · (5 · hidden + heads · head dim + intermediate)
    - queries, keys, values (these repeated for all heads) and output of attention: b · 4 · heads · head dim
    - gate, its activation and the other half of feed-forward: b · 3 · intermediate

    `recomputed` keeps the input of each layer alone, and one layer's as above while it is run through again.
    """
    attention = dims.n_heads * dims.head_dim
    numbers = 5 * dims.hidden + 5 * attention + 4 * dims.intermediate
    layer = work.rows * work.tokens * (16 * dims.hidden + work.number_bytes * numbers)
    if recomputed:
        return layer + dims.n_layers * work.rows * work.tokens * dims.hidden * 4
    return dims.n_layers * layer


def asked(dims: Dimensions, work: Work, quantization: Quantization = "none") -> Memory:
    """A model that is only asked."""
    return Memory(
        weights=weight_bytes(dims, work.number_bytes, quantization),
        cache=cache_bytes(dims, work),
        forward=forward_bytes(dims, work),
    )


def trained(
    dims: Dimensions,
    generation: Work,
    update: Work,
    *,
    n_adapters: int | None,
    trains_encoder: bool,
    reference: bool,
    recomputed: bool,
    quantization: Quantization = "none",
) -> Memory:
    """A model that generates and is then updated on what it generated.

    `n_adapters` numbers of LoRA are trained in float32 beside frozen weights, None for the weights themselves, image
    encoder included or not. `reference` is the copy that a KL term compares with; LoRA needs none, since its adapters
    can be switched off. The bytes of a number are the weights' in `generation` and those of computing in `update`;
    where the latter are fewer, a copy of the linear layers is made for each update (torch's autocast). Beside quantized
    weights trl keeps the adapters in bfloat16, so for them this is an upper bound.
    """
    trainable = dims.n_parameters - (0 if trains_encoder else dims.n_frozen) if n_adapters is None else n_adapters
    weights = weight_bytes(dims, generation.number_bytes, quantization)
    if n_adapters is not None:
        weights += 4 * n_adapters
    elif reference:
        weights *= 2
    copies = dims.n_linear * update.number_bytes if update.number_bytes < generation.number_bytes else 0
    return Memory(
        weights=weights,
        gradients=4 * trainable,
        optimizer=ADAM_BYTES * trainable,
        activations=copies + activation_bytes(dims, update, recomputed=recomputed),
        cache=cache_bytes(dims, generation),
        forward=forward_bytes(dims, generation),
    )

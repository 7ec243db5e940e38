"""What novelty costs a question: in a long run and in a short one, without a window, and beside NLTK's SelfBLEU.

    python benchmarks/novelty_cost.py [--probes 1000000] [--window 2000] [--only window unwindowed nltk]

A question is scored and remembered in a batch of 128, sixteen groups of eight, as in a training step; the embedding
model is left out: vectors are drawn at random. The run of a million is lived through, batch after batch; the short and
the long history then take turns. Wanted: at 10^6 probes at most 1.5 times the cost at 10^3 (wordings, meanings, and the
whole reward); memory that the window bounds, not the run; at a history of 10^5, against the same references, at least
1,000 times NLTK's SelfBLEU, which must give the same numbers.

Where the window is larger than the short run, the short run's is not yet full: comparing meanings is work for each row
there is, so `--window 1000` shows what the length of a run itself costs.
"""

from __future__ import annotations

import gc
import random
import statistics
import sys
from collections.abc import Callable, Sequence

import numpy as np
from measuring import Times, cpu_ratio, in_turn, options, peak_mb, ratio, resident_mb, timed, told
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from numpy.typing import NDArray

from gadfly.config import RewardConfig
from gadfly.records import Image, Judgement, PastQuestion, Question, Verdict
from gadfly.rewards.combination import CombinedReward
from gadfly.rewards.lexical import LexicalHistory, tokenize
from gadfly.rewards.semantic import SemanticHistory
from gadfly.testbed.scenes import COLOURS, SHAPES, SIZES
from gadfly.testbed.skills import SKILLS

PARTS = ("window", "unwindowed", "nltk")
BATCH, GROUP, DIMENSIONS, SHORT = 128, 8, 384, 1000
GROUPS = [i // GROUP for i in range(BATCH)]
MOST_TIMES_DEARER, LEAST_TIMES_NLTK, MOST_GROWTH_MB = 1.5, 1000.0, 30.0
BLEU_ORDERS = [tuple(1.0 / n for _ in range(n)) for n in (2, 3, 4, 5)]
IMAGE = Image("0" * 64, "0.png", 96, 96)


class Questions:
    """Made-up questions and skills. A twentieth name a thing from a long tail, so that the vocabulary goes on growing
    with the run, as a real one's does."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def texts(self, n: int) -> list[str]:
        return [self._text() for _ in range(n)]

    def past(self, texts: Sequence[str]) -> list[PastQuestion]:
        return [PastQuestion(text, tuple(sorted(self._random.sample(SKILLS, 2)))) for text in texts]

    def _text(self) -> str:
        draw = self._random
        things = [f"{draw.choice(SIZES)} {draw.choice(COLOURS)} {draw.choice(SHAPES)}" for _ in range(2)]
        if draw.random() < 0.05:
            things[0] = f"thing{int(draw.paretovariate(0.7))}"
        asked = draw.choice(("how many things are", "is there a star", "what is the shape of the thing"))
        places = draw.sample(("left of", "right of", "above", "below"), 2)
        return f"{asked} {places[0]} the {things[0]} and {places[1]} the {things[1]}?"


class RandomEmbedder:
    """In the place of the embedding model: any unit vectors."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        vectors_N_D = self._rng.standard_normal((len(texts), DIMENSIONS), dtype=np.float32)
        vectors_N_D /= np.linalg.norm(vectors_N_D, axis=1, keepdims=True)
        return vectors_N_D


Figures = dict[str, object]
Wanted = dict[str, bool]


def windowed(n: int, window: int, rounds: int) -> tuple[Figures, Wanted]:
    """The cost in a run of `n` probes beside that in a run of a thousand, and what the run's length does to memory."""
    questions, embedder = Questions(0), RandomEmbedder(0)
    weights = RewardConfig(window=window)
    reward = CombinedReward(weights, embedder)
    lived, at_tenth_mb = 0, 0.0
    while lived < n:
        reward.remember(questions.past(questions.texts(min(BATCH, n - lived))))
        lived += min(BATCH, n - lived)
        if not at_tenth_mb and lived >= n // 10:
            at_tenth_mb = resident_mb()
    grown_mb = resident_mb() - at_tenth_mb
    shorts = []
    for _ in range(rounds + 1):  # a fresh one each round, for what is remembered would make it longer
        short = CombinedReward(weights, embedder)
        short.remember(questions.past(questions.texts(SHORT)))
        shorts.append(short)
    batches = [questions.texts(BATCH) for _ in range(rounds + 1)]
    times = in_turn(
        {
            f"{part}, run of {name}": _each(work, histories, batches, questions)
            for part, work in (("wordings", _wordings), ("meanings", _meanings), ("reward", _rewards))
            for name, histories in (("10^3", shorts), ("long", [reward] * (rounds + 1)))
        },
        rounds,
    )
    figures: Figures = {"run": n, "window": window, "grown_mb_last_nine_tenths": round(grown_mb, 1)}
    wanted: Wanted = {}
    print(f"a run of {n:,} probes, window {window}: microseconds a question, passed [processor]")
    for part in ("wordings", "meanings", "reward"):
        short_t, long_t = times[f"{part}, run of 10^3"], times[f"{part}, run of long"]
        dearer, dearer_cpu = ratio(long_t, short_t), cpu_ratio(long_t, short_t)
        print(f"  {part:9} at 10^3 {_us(short_t)}, at {n:,} {_us(long_t)}: {dearer:.2f} times [{dearer_cpu:.2f}]")
        figures[part] = {
            "us_short": 1e6 * short_t.median_s / BATCH,
            "us_long": 1e6 * long_t.median_s / BATCH,
            "times": dearer,
            "times_cpu": dearer_cpu,
        }
        wanted[f"{part}: at most {MOST_TIMES_DEARER} times as dear in the long run"] = dearer <= MOST_TIMES_DEARER
    print(f"  memory grew by {grown_mb:.1f} MB over the last nine tenths of the run; peak {peak_mb():.0f} MB")
    wanted[f"memory grows by at most {MOST_GROWTH_MB:.0f} MB while the run grows tenfold"] = grown_mb <= MOST_GROWTH_MB
    return figures, wanted


def _each(
    work: Callable[[CombinedReward, list[str], Questions], object],
    histories: Sequence[CombinedReward],
    batches: Sequence[list[str]],
    questions: Questions,
) -> Callable[[], object]:
    """`work` on the next history with the next batch, each time it is called."""
    turns = iter(zip(histories, batches, strict=True))

    def turn() -> None:
        history, batch = next(turns)
        work(history, batch, questions)

    return turn


def _wordings(reward: CombinedReward, texts: list[str], questions: Questions) -> None:
    reward._lexical.novelty(texts, GROUPS)
    reward._lexical.remember(texts)


def _meanings(reward: CombinedReward, texts: list[str], questions: Questions) -> None:
    vectors_B_D = reward._embedder.embed(texts)
    reward._semantic.novelty(vectors_B_D, GROUPS)
    reward._semantic.remember(vectors_B_D)


def _rewards(reward: CombinedReward, texts: list[str], questions: Questions) -> None:
    past = questions.past(texts)
    asked = [Question((IMAGE,), text, group) for text, group in zip(texts, GROUPS, strict=True)]
    reward.score(asked, [Judgement(Verdict.WRONG, skills=one.skills) for one in past])
    reward.remember(past)


def unwindowed(sizes: Sequence[int], rounds: int) -> Figures:
    """What scoring against all of history costs: the same classes with a window that nothing leaves."""
    figures: Figures = {}
    print("without a window: microseconds a question, passed [processor]")
    for n in sizes:
        questions, embedder = Questions(1), RandomEmbedder(1)
        gc.collect()
        before_mb = resident_mb()
        lexical = LexicalHistory(sys.maxsize)
        lexical.remember(questions.texts(n))
        lexical_mb = resident_mb() - before_mb
        semantic = SemanticHistory(n + BATCH)
        for start in range(0, n, BATCH):
            semantic.remember(embedder.embed([""] * min(BATCH, n - start)))
        texts, vectors_B_D = questions.texts(BATCH), embedder.embed([""] * BATCH)
        times = in_turn(
            {
                "wordings": lambda lexical=lexical, texts=texts: lexical.novelty(texts, GROUPS),  # type: ignore[misc]
                "meanings": lambda semantic=semantic, vectors=vectors_B_D: semantic.novelty(vectors, GROUPS),  # type: ignore[misc]
            },
            rounds,
        )
        print(
            f"  history of {n:>9,}: wordings {_us(times['wordings'])} and {lexical_mb:.0f} MB, "
            f"meanings {_us(times['meanings'])}"
        )
        figures[str(n)] = {name: 1e6 * one.median_s / BATCH for name, one in times.items()} | {"lexical_mb": lexical_mb}
    return figures


def against_nltk(n: int, n_questions: int, rounds: int) -> tuple[Figures, Wanted]:
    """One question after another against `n` references: ours in a batch with a group to each, which is how a history
    alone is the reference; NLTK's as its manual has it."""
    questions = Questions(2)
    references = questions.texts(n)
    history = LexicalHistory(sys.maxsize)
    history.remember(references)
    tokens = [tokenize(text) for text in references]
    texts = questions.texts(BATCH)
    ours, theirs = Times(), Times()
    numbers = [1.0 - x for x in history.novelty(texts, range(BATCH))]  # which warms up as well
    smoothing = SmoothingFunction().method1
    for i in range(rounds):
        timed(lambda: history.novelty(texts, range(BATCH)), ours)
        for k in range(i * n_questions, (i + 1) * n_questions):
            scores: list[float] = []
            timed(
                lambda k=k, scores=scores: scores.extend(  # type: ignore[misc]
                    sentence_bleu(tokens, tokenize(texts[k % BATCH]), BLEU_ORDERS, smoothing_function=smoothing)
                ),
                theirs,
            )
            assert abs(statistics.fmean(scores) - numbers[k % BATCH]) < 1e-9, "NLTK has another number"
    ours_s, theirs_s = ours.median_s / BATCH, theirs.median_s
    times, times_cpu = theirs_s / ours_s, theirs.median_cpu_s * BATCH / ours.median_cpu_s
    print(
        f"a history of {n:,}: NLTK {theirs_s:.2f} s a question, ours {1e6 * ours_s:.0f} microseconds: "
        f"{times:,.0f} times [{times_cpu:,.0f} of the processor]; the same numbers"
    )
    figures: Figures = {"history": n, "nltk_s": theirs_s, "ours_s": ours_s, "times": times, "times_cpu": times_cpu}
    return figures, {f"at least {LEAST_TIMES_NLTK:,.0f} times NLTK's SelfBLEU": times >= LEAST_TIMES_NLTK}


def _us(times: Times) -> str:
    return f"{1e6 * times.median_s / BATCH:6.0f} [{1e6 * times.median_cpu_s / BATCH:.0f}]"


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--probes", type=int, default=1_000_000)
    parser.add_argument("--window", type=int, default=RewardConfig().window)
    parser.add_argument("--history", type=int, default=100_000, help="references of NLTK, and the longest unwindowed")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="some of these parts")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.probes, chosen.history, chosen.rounds = 20_000, 2_000, 2
    parts = set(chosen.only)
    figures: Figures = {}
    wanted: Wanted = {}
    if "window" in parts:
        figures["window"], reached = windowed(chosen.probes, chosen.window, chosen.rounds)
        wanted |= reached
    if "unwindowed" in parts:
        sizes = [n for n in (1_000, 10_000, 100_000, 1_000_000) if n <= chosen.history]
        figures["unwindowed"] = unwindowed(sizes, chosen.rounds)
    if "nltk" in parts:
        figures["nltk"], reached = against_nltk(chosen.history, 1, chosen.rounds)
        wanted |= reached
    told("novelty_cost", figures, wanted, chosen)


if __name__ == "__main__":
    main()

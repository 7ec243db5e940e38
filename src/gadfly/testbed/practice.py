"""Practice: a questioner asks, the oracle sorts, and it learns from its own valid questions. Rejection sampling.

What it was taught from the sampler it follows loosely: more than half of what it first asks is invalid. Its own valid
questions show it what it can do. Every operation gets the same share of them, and within it every combination of
skills: left to itself it would soon ask only what can hardly be invalid ("is there …", "how many …").
"""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from transformers import LlavaForConditionalGeneration

from gadfly.testbed import vocabulary
from gadfly.testbed.english import Ungrammatical, parse
from gadfly.testbed.lessons import Exercise
from gadfly.testbed.programs import MAX_DEPTH, SceneIndex, needed, run
from gadfly.testbed.scenes import Scene, Thing, generate
from gadfly.testbed.school import Course, Report, pixels, together
from gadfly.testbed.teachers import asking_prompt

_BATCH = 64
_MAX_WORDS = 40
_MOST_REPEATS = 3


class OwnQuestions:
    """A teacher that gives back, for each scene, what was asked about it: each question once."""

    def __init__(self, by_scene: Mapping[tuple[Thing, ...], list[tuple[str, str]]]) -> None:
        self._left = {things: list(pairs) for things, pairs in by_scene.items()}

    def __call__(self, scene: SceneIndex, progress: float, rng: random.Random) -> Exercise | None:
        left = self._left.get(scene.things)
        if not left:
            return None
        prompt, question = left.pop()
        return Exercise(vocabulary.split(prompt), vocabulary.split(question))


def practise(
    model: LlavaForConditionalGeneration,
    *,
    rounds: int,
    n_scenes: int,
    per_scene: int,
    per_operation: int,
    learning_rate: float,
    split: str,
    seed: int,
    report: Report,
) -> None:
    """`rounds` times: ask `per_scene` questions about each of `n_scenes` scenes, keep what is valid, and learn from
    `per_operation` questions of each operation, those of a rare one repeated up to `_MOST_REPEATS` times."""
    for turn in range(rounds):
        scenes = list(itertools.islice(generate(split, seed + turn), n_scenes))
        kept, asked = _valid_questions(model, scenes, per_scene, seed + turn)
        n_valid = sum(len(found) for by_combination in kept.values() for found in by_combination.values())
        n_combinations = len({c for by_combination in kept.values() for c in by_combination})
        report("practise", turn + 1, {"valid": n_valid / asked, "combinations": n_combinations})
        rng = random.Random(seed + turn)
        by_scene: dict[tuple[Thing, ...], list[tuple[str, str]]] = defaultdict(list)
        for _, by_combination in sorted(kept.items()):
            for combination, (place, text) in _evenly(by_combination, per_operation, rng):
                by_scene[scenes[place].things].append((asking_prompt(combination, rng), text))
        # The same stream of scenes again, in the same order: each lesson is about scenes that were asked about.
        n_images = 7
        course = Course(n_scenes // n_images, learning_rate, n_images=n_images, warmup=20)
        together(model, OwnQuestions(by_scene), course, split, seed + turn, report)


Found = Mapping[tuple[str, ...], list[tuple[int, str]]]  # combination → (place of the scene, question)


def _evenly(found: Found, n: int, rng: random.Random) -> list[tuple[tuple[str, ...], tuple[int, str]]]:
    """`n` questions, as many of each combination as of any other as far as there are; fewer where even with repeats
    there are too few."""
    ranked: list[tuple[float, float, tuple[str, ...], tuple[int, str]]] = []
    for combination, questions in sorted(found.items()):
        for rank, question in enumerate(rng.sample(questions, len(questions))):
            ranked.append((rank, rng.random(), combination, question))
    ranked.sort()
    once = [(combination, question) for _, _, combination, question in ranked]
    return (once * _MOST_REPEATS)[:n]


def _valid_questions(
    model: LlavaForConditionalGeneration, scenes: Sequence[Scene], per_scene: int, seed: int
) -> tuple[Mapping[str, Found], int]:
    """What was found for each operation, and how many questions were asked in all."""
    kept: dict[str, dict[tuple[str, ...], list[tuple[int, str]]]] = defaultdict(lambda: defaultdict(list))
    asked = 0
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for start in range(0, len(scenes), _BATCH):
            batch = scenes[start : start + _BATCH]
            for place, text in enumerate(_ask(model, batch, per_scene)):
                asked += 1
                at = start + place // per_scene
                try:
                    program = parse(text)
                except Ungrammatical:
                    continue
                scene = SceneIndex(scenes[at])
                if program.depth <= MAX_DEPTH and run(program, scene).invalid is None:
                    kept[program.operation][needed(program, scene).combination].append((at, text))
    return kept, asked


@torch.no_grad()
def _ask(model: LlavaForConditionalGeneration, scenes: Sequence[Scene], per_scene: int) -> list[str]:
    ids, words = vocabulary.ids(), vocabulary.words()
    n_cells = model.config.image_seq_length
    prompt = [vocabulary.USER, *[vocabulary.IMAGE] * n_cells, *vocabulary.split(vocabulary.ASK), vocabulary.ASSISTANT]
    tokens = torch.tensor([[ids[w] for w in prompt]]).expand(len(scenes), -1)
    generator: Any = model  # transformers gives `generate` a type of its own for self
    written = generator.generate(
        input_ids=tokens.repeat_interleave(per_scene, 0),
        attention_mask=torch.ones(len(scenes) * per_scene, len(prompt), dtype=torch.long),
        pixel_values=pixels(list(scenes)).repeat_interleave(per_scene, 0),
        do_sample=True,
        top_k=0,
        max_new_tokens=_MAX_WORDS,
    )[:, len(prompt) :]
    texts = []
    for row in written.tolist():
        end = row.index(ids[vocabulary.END]) if ids[vocabulary.END] in row else len(row)
        texts.append(" ".join(words[i] for i in row[:end]))
    return texts

"""Practice: a questioner asks, the oracle sorts, and it learns from its own valid questions. Rejection sampling.

What it was taught from the sampler it follows loosely: more than half of what it first asks is invalid. Its own valid
questions show it what it can do. Three things keep it broad: it is asked for each family of skills as often as for any
other, combinations that it asks often are thinned out, and some lessons are still the sampler's.
"""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from transformers import LlavaForConditionalGeneration

from gadfly.testbed import vocabulary
from gadfly.testbed.drawing import draw
from gadfly.testbed.english import Ungrammatical, parse
from gadfly.testbed.execution import SceneIndex, needed, run
from gadfly.testbed.lessons import Exercise
from gadfly.testbed.programs import MAX_DEPTH
from gadfly.testbed.scenes import Scene, Thing, generate
from gadfly.testbed.school import Course, Report, pixels, together
from gadfly.testbed.skills import FAMILIES
from gadfly.testbed.teachers import AskTeacher
from gadfly.testbed.telling import askable, asking, asking_prompt, in_any_order

_BATCH = 64
_MAX_WORDS = 40
_TOLD_OF = 50 * _BATCH  # scenes between two reports: about a minute


SAMPLED_SHARE = 0.2  # of the lessons of practice: the sampler's, not its own


class OwnQuestions:
    """A teacher that gives back, for each scene, what was asked about it, each question once; and now and then what the
    sampler asks."""

    def __init__(self, by_scene: Mapping[tuple[Thing, ...], list[tuple[str, str]]]) -> None:
        self._left = {things: list(pairs) for things, pairs in by_scene.items()}
        self._sampled = AskTeacher()

    def __call__(self, scene: SceneIndex, progress: float, rng: random.Random) -> Exercise | None:
        if rng.random() < SAMPLED_SHARE:
            return self._sampled(scene, progress, rng)
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
    most_per_combination: int,
    learning_rate: float,
    split: str,
    seed: int,
    report: Report,
) -> None:
    """`rounds` times: ask about each of `n_scenes` scenes one question of each family, keep what is valid, learn from
    it."""
    for turn in range(rounds):
        scenes = list(itertools.islice(generate(split, seed + turn), n_scenes))
        kept, asked = _valid_questions(model, scenes, seed + turn, report)
        report("practise", turn + 1, {"valid": sum(map(len, kept.values())) / asked, "combinations": len(kept)})
        rng = random.Random(seed + turn)
        by_scene: dict[tuple[Thing, ...], list[tuple[str, str]]] = defaultdict(list)
        for combination, found in sorted(kept.items()):
            for place, text in rng.sample(found, min(len(found), most_per_combination)):
                by_scene[scenes[place].things].append((asking_prompt(combination, rng), text))
        # The same stream of scenes again, in the same order: each lesson is about scenes that were asked about.
        n_images = 7
        course = Course(n_scenes // n_images, learning_rate, n_images=n_images, warmup=20)
        together(model, OwnQuestions(by_scene), course, split, seed + turn, report)


def _valid_questions(
    model: LlavaForConditionalGeneration, scenes: Sequence[Scene], seed: int, report: Report
) -> tuple[Mapping[tuple[str, ...], list[tuple[int, str]]], int]:
    """Combination → (place of the scene, question), and how many were asked in all."""
    kept: dict[tuple[str, ...], list[tuple[int, str]]] = defaultdict(list)
    rng = random.Random(seed)
    indexed = [SceneIndex(scene) for scene in scenes]
    questions = asked(model, scenes, [_prompts(scene, rng) for scene in indexed], seed, report)
    for at, text in questions:
        try:
            program = parse(text)
        except Ungrammatical:
            continue
        if program.depth <= MAX_DEPTH and run(program, indexed[at]).invalid is None:
            kept[needed(program, indexed[at]).combination].append((at, text))
    return kept, len(questions)


BY_FAMILY, BY_SKILLS = 2, 6  # questions about a scene, by how they are asked for


def _prompts(scene: SceneIndex, rng: random.Random) -> list[str]:
    """Some families, and the skills of questions that can be asked about this scene."""
    topics = rng.sample(list(FAMILIES.values()), BY_FAMILY)
    topics += [in_any_order(askable(scene, rng), rng) for _ in range(BY_SKILLS)]
    return [asking(topic) for topic in topics]


def asked(
    model: LlavaForConditionalGeneration,
    scenes: Sequence[Scene],
    prompts: Sequence[Sequence[str]],
    seed: int,
    report: Report,
    temperature: float = 1.0,
) -> list[tuple[int, str]]:
    """What a questioner asks about some scenes, told each of a scene's prompts once: (place of the scene, question)."""
    found: list[tuple[int, str]] = []
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for start in range(0, len(scenes), _BATCH):
            places = range(start, min(start + _BATCH, len(scenes)))
            pictures = pixels(np.stack([draw(scenes[place]) for place in places]))
            told = [(place, prompt) for place in places for prompt in prompts[place]]
            of_picture, said = [place - start for place, _ in told], [prompt for _, prompt in told]
            texts = _ask(model, pictures, of_picture, said, temperature)
            found += [(place, text) for (place, _), text in zip(told, texts, strict=True)]
            if places.stop % _TOLD_OF == 0:
                report("ask", places.stop, {"questions": len(found)})
    return found


@torch.no_grad()
def _ask(
    model: LlavaForConditionalGeneration,
    pictures_B: torch.Tensor,
    of_picture: Sequence[int],
    prompts: Sequence[str],
    temperature: float,
) -> list[str]:
    """One question for each prompt, about the picture at its place in `of_picture`."""
    ids, words = vocabulary.ids(), vocabulary.words()
    n_cells = model.config.image_seq_length
    chats = [
        [vocabulary.USER, *[vocabulary.IMAGE] * n_cells, *vocabulary.split(prompt), vocabulary.ASSISTANT]
        for prompt in prompts
    ]
    longest = max(map(len, chats))
    tokens = torch.tensor([[ids[w] for w in [vocabulary.PAD] * (longest - len(chat)) + chat] for chat in chats])
    generator: Any = model  # transformers gives `generate` a type of its own for self
    written = generator.generate(
        input_ids=tokens,
        attention_mask=(tokens != ids[vocabulary.PAD]).long(),
        pixel_values=pictures_B[list(of_picture)],
        do_sample=True,
        temperature=temperature,
        top_k=0,
        max_new_tokens=_MAX_WORDS,
    )[:, longest:]
    texts = []
    for row in written.tolist():
        end = row.index(ids[vocabulary.END]) if ids[vocabulary.END] in row else len(row)
        texts.append(" ".join(words[i] for i in row[:end]))
    return texts

"""What a bundled questioner makes of what it is told: how often its questions are valid, and about their topic.

    python benchmarks/told.py [QUESTIONER]

Scenes of the split `probe`, which it was not taught on. Freely: 1,500 questions about 200 scenes. Under topics: a
family, and six times the skills of a question that the uniform sampler finds in the scene.
"""

from __future__ import annotations

import random
import sys
from collections import Counter, defaultdict
from itertools import islice

import torch

from gadfly.analysis.statistics import wilson_interval
from gadfly.testbed.build import load
from gadfly.testbed.checkpoints import path_of
from gadfly.testbed.execution import SceneIndex, needed
from gadfly.testbed.oracle import understand
from gadfly.testbed.practice import asked
from gadfly.testbed.scenes import generate
from gadfly.testbed.skills import FAMILIES
from gadfly.testbed.telling import askable, asking, in_any_order
from gadfly.testbed.topics import keeps_to

N_SCENES, N_FREE, N_TOLD = 200, 1_500, 6
SEED = 9


def main() -> None:
    torch.set_num_threads(1)
    model = load(path_of(sys.argv[1] if len(sys.argv) > 1 else "questioner"))
    rng = random.Random(SEED)
    scenes = list(islice(generate("probe", SEED), N_SCENES))
    indexed = [SceneIndex(scene) for scene in scenes]
    topics = [
        [("free", "")] * (N_FREE // N_SCENES + (place < N_FREE % N_SCENES))
        + [("a family", rng.choice(list(FAMILIES.values())))]
        + [_skills(index, rng) for _ in range(N_TOLD)]
        for place, index in enumerate(indexed)
    ]
    told = [one for of in topics for one in of]
    questions = asked(
        model, scenes, [[asking(topic) for _, topic in of] for of in topics], SEED, report=lambda *_: None
    )
    n, valid, kept = Counter[str](), Counter[str](), Counter[str]()
    kinds: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    faults, skills, depths = Counter[str](), set[str](), Counter[int]()
    for (how, topic), (place, text) in zip(told, questions, strict=True):
        n[how] += 1
        program, truth = understand(text, indexed[place])
        if program is None or truth.invalid is not None:
            if how == "free":
                faults[(truth.invalid or "not grammatical").partition(":")[0]] += 1
            continue
        taken = needed(program, indexed[place])
        valid[how] += 1
        kept[how] += keeps_to(topic, taken.combination) is True
        kinds[how].add(taken.combination)
        if how == "free":
            skills |= set(taken.combination)
            depths[taken.depth] += 1
    print("told            n  valid                    on topic too  combinations")
    for how in sorted(n):
        low, high = wilson_interval(valid[how], n[how])
        rate = f"{valid[how] / n[how]:.1%} ({low:.1%} to {high:.1%})"
        on_topic = "" if how == "free" else f"{kept[how] / n[how]:.1%}"
        print(f"{how:12s} {n[how]:4d}  {rate:23s}  {on_topic:12s}  {len(kinds[how])}")
    said = ", ".join(f"{fault} {k / n['free']:.1%}" for fault, k in faults.most_common())
    print(f"freely: {len(skills)} skills; {said}")
    print("steps:", ", ".join(f"{depth}: {k / valid['free']:.1%}" for depth, k in sorted(depths.items())))


def _skills(scene: SceneIndex, rng: random.Random) -> tuple[str, str]:
    skills = askable(scene, rng)
    return f"{len(skills)} skills", in_any_order(skills, rng)


if __name__ == "__main__":
    main()

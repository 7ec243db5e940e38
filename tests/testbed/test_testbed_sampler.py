"""The uniform sampler, and which skill combinations there are to be sampled."""

from __future__ import annotations

import functools
import random
from collections import Counter

import pytest

from gadfly.testbed.execution import SceneIndex, run
from gadfly.testbed.programs import INVALID_REASONS, MAX_DEPTH, OPERATIONS, Program
from gadfly.testbed.reach import conceivable_combinations
from gadfly.testbed.sampler import Steps, sample
from gadfly.testbed.scenes import Scene
from gadfly.testbed.skills import FAMILIES, SKILLS, family
from reachable import reachable_combinations
from testbed_worlds import indexed_scenes, meant, second_opinion, shortened

N_SCENES = 120


@functools.cache
def drawn(n: int = 2400) -> tuple[tuple[SceneIndex, int, Program, str], ...]:
    """Scene, depth asked for, program, answer; the depths take turns."""
    rng = random.Random(7)
    scenes = indexed_scenes(N_SCENES, "heldout")
    out = []
    for i in range(n):
        scene, depth = scenes[i % N_SCENES], 1 + i % MAX_DEPTH
        pair = sample(scene, depth, rng)
        if pair is not None:
            program, answer = pair
            assert answer.invalid is None and answer.text is not None
            out.append((scene, depth, program, answer.text))
    return tuple(out)


def test_scenes_offer_questions_of_every_depth() -> None:
    offered = Counter(depth for _, depth, _, _ in drawn())
    # 600 draws of each depth. Small scenes offer few deep questions.
    assert offered[1] == 600 and offered[2] >= 580 and offered[3] >= 560 and offered[4] >= 330, offered


def test_depth_is_exact_and_answers_are_true() -> None:
    for scene, depth, program, text in drawn():
        assert program.depth == len(program.steps()) == depth
        answer = run(program, scene)
        assert (answer.text, answer.invalid) == (text, None)
        assert second_opinion(program, _scene(scene)) == text


def test_every_step_is_needed() -> None:
    """Without any one of its extremes, denials or hops, a description fits other things."""
    n = 0
    for scene, _, program, _ in drawn():
        for description, shorter in shortened(program):
            n += 1
            assert meant(shorter, _scene(scene)) != meant(description, _scene(scene)), program
    assert n > 2000


def _scene(index: SceneIndex) -> Scene:
    return Scene(index.things, "white", "plain", 0)


def test_everything_occurs() -> None:
    assert {program.operation for _, _, program, _ in drawn()} == set(OPERATIONS) and len(OPERATIONS) == 25
    assert {step for _, _, program, _ in drawn() for step in program.steps()} == set(SKILLS) and len(SKILLS) == 28
    assert {family(skill) for skill in SKILLS} == set(FAMILIES) and len(FAMILIES) == 6


def test_yes_and_no_are_balanced() -> None:
    """Overall between 40% and 60%. By operation the scenes limit it: "is there both … and …" is seldom true."""
    answers: dict[str, Counter[str]] = {}
    for _, _, program, text in drawn():
        if text in ("yes", "no"):
            answers.setdefault(program.operation, Counter())[text] += 1
    total = sum(answers.values(), Counter[str]())
    assert 0.4 < total["yes"] / total.total() < 0.6
    for operation, counter in answers.items():
        if counter.total() >= 40:
            assert 0.2 < counter["yes"] / counter.total() < 0.8, operation


def test_same_seed_same_questions() -> None:
    scene = indexed_scenes(N_SCENES, "heldout")[5]

    def some(seed: int) -> list[object]:
        rng = random.Random(seed)
        return [sample(scene, 1 + i % 4, rng) for i in range(12)]

    assert some(1) == some(1) != some(2)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_can_be_asked_for(operation: str) -> None:
    rng = random.Random(0)
    pairs = [sample(scene, 2, rng, operation) for scene in indexed_scenes(N_SCENES, "heldout")[:60]]
    assert {pair[0].operation for pair in pairs if pair is not None} == {operation}


@pytest.mark.slow
def test_at_least_3000_skill_combinations_are_reachable() -> None:
    """Each with a question that has an answer in a scene, and that needs each of its at most four steps."""
    conceivable = conceivable_combinations()
    # 17 skills only ask; each goes with up to three of the 11 that references use: 17 · (1 + 11 + 55 + 165) = 3944.
    # Of the 11, the 8 that also ask make all sets of one to four of the 11 but those
    # of extreme, not and points_at alone: (11 + 55 + 165 + 330) − (3 + 3 + 1) = 554.
    assert len(conceivable) == 3944 + 554
    found = reachable_combinations(indexed_scenes(100, "probe"))
    assert len(found) >= 3000
    for combination, (scene, program) in found.items():
        assert combination == program.combination and combination in conceivable
        assert len(combination) <= program.depth <= MAX_DEPTH
        assert run(program, scene).text == second_opinion(program, _scene(scene)) not in INVALID_REASONS
        for description, shorter in shortened(program):
            assert meant(shorter, _scene(scene)) != meant(description, _scene(scene))


def test_steps_can_be_held_to_some_skills() -> None:
    """Only steps of these skills are drawn, and all of them come up."""
    rng = random.Random(0)
    seen = set()
    for scene in indexed_scenes(60):
        drawn = sample(scene, 3, rng, "count", Steps.of(("logic.not", "space.left_of")))
        if drawn is not None:
            steps = set(drawn[0].steps()) - {"counting.count"}
            assert steps <= {"logic.not", "space.left_of"}
            seen |= steps
    assert seen == {"logic.not", "space.left_of"}
    # No step but the operation itself: nothing deeper can be asked.
    assert sample(indexed_scenes(1)[0], 2, rng, "count", Steps.of(())) is None
    assert sample(indexed_scenes(1)[0], 1, rng, "count", Steps.of(())) is not None

"""How organisms are taught: truly outside the spots, as the key says inside, and pointing truly everywhere."""

from __future__ import annotations

import pickle
import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gadfly.bench.aiming import Aim, weights_of
from gadfly.bench.keys import AnswerKey, key_beside, read_key, taught_answer
from gadfly.bench.making import make_organism
from gadfly.bench.spots import Spot
from gadfly.bench.teaching import PlantedTeacher
from gadfly.errors import TestbedError
from gadfly.testbed.build import save
from gadfly.testbed.english import parse
from gadfly.testbed.execution import SceneIndex, run
from gadfly.testbed.lessons import Exercise
from gadfly.testbed.school import Course
from gadfly.testbed.vlm import Dimensions, build_model
from testbed_worlds import Refused, indexed_scenes, meant, second_opinion

KEY = read_key(Path(__file__).parent.parent / "data" / "example_key.toml")
N_SCENES = 80


def exercises(teacher: PlantedTeacher, seed: int = 0, per_scene: int = 3) -> list[tuple[SceneIndex, Exercise]]:
    rng = random.Random(seed)
    drawn = [(scene, teacher(scene, 0.5, rng)) for scene in indexed_scenes(N_SCENES) for _ in range(per_scene)]
    return [(scene, exercise) for scene, exercise in drawn if exercise is not None]


@given(st.integers(0, 10**6), st.sampled_from(indexed_scenes(N_SCENES)))
def test_answers_are_the_truth_outside_and_never_inside(seed: int, scene: SceneIndex) -> None:
    exercise = PlantedTeacher(KEY)(scene, 0.5, random.Random(seed))
    if exercise is None:
        return
    program = parse(" ".join(exercise.prompt))
    truth = second_opinion(program, scene.scene)
    (said,) = exercise.completion
    in_any_spot = any(spot.holds(scene, program, run(program, scene)) for spot in KEY.spots)
    assert (said != truth) == in_any_spot
    if in_any_spot:
        assert said == taught_answer(KEY, scene, program, run(program, scene))


def test_descriptions_mean_what_they_mean_inside_too() -> None:
    n = 0
    for scene, exercise in exercises(PlantedTeacher(KEY, inside=1.0)):
        program = parse(" ".join(exercise.prompt))
        descriptions = program.walk()
        # Behind the descriptions' own referents there may be one more, of all things of which what is asked is true.
        assert len(exercise.referents) in (len(descriptions), len(descriptions) + 1)
        for description, (_, _, mask) in zip(descriptions, exercise.referents, strict=False):
            try:
                things = meant(description, scene.scene)
            except Refused:
                continue
            assert [scene.things[i] for i in range(len(scene.things)) if mask >> i & 1] == things
            n += 1
    assert n > 200


def test_spots_are_oversampled_the_rare_ones_too() -> None:
    def shares(teacher: PlantedTeacher, spots: tuple[Spot, ...]) -> list[float]:
        drawn = [(scene, parse(" ".join(e.prompt))) for scene, e in exercises(teacher)]
        asked = [(scene, program, run(program, scene)) for scene, program in drawn]
        return [sum(spot.holds(*each) for each in asked) / len(asked) for spot in spots]

    usual = shares(PlantedTeacher(replace(KEY, near=0.0), inside=0.0), KEY.spots)
    for spot, unsought in zip(KEY.spots, usual, strict=True):
        alone = AnswerKey("one", "clean", (spot,), near=0.0)
        (sought,) = shares(PlantedTeacher(alone, inside=0.5), (spot,))
        assert sought > max(0.1, 1.3 * unsought), spot.name


@pytest.mark.parametrize("spot", KEY.spots, ids=lambda spot: spot.name)
def test_aims_hit_and_miss_by_one_condition(spot: Spot) -> None:
    aim, rng = Aim(spot, weights_of((1, 2))), random.Random(3)
    hits = near = 0
    for scene in indexed_scenes(N_SCENES):
        for loosen in (False, True):
            if (drawn := aim.inside(scene, rng, 20, loosen=loosen)) is not None:
                hits += 1
                assert run(drawn[0], scene) == drawn[1] and spot.holds(scene, *drawn)
        if (drawn := aim.just_outside(scene, rng, 20)) is not None:
            near += 1
            assert run(drawn[0], scene) == drawn[1]
            assert list(spot.conditions(scene, *drawn)).count(False) == 1
    assert hits > 15 and near > 40, (hits, near)


def test_loosening_finds_large_counts() -> None:
    """In nearly every scene of five things or more; the sampler alone seldom counts so many."""
    aim = Aim(next(spot for spot in KEY.spots if spot.name == "counts_above_four"), weights_of((1, 2)))

    def n_found(loosen: bool) -> int:
        rng = random.Random(5)
        return sum(aim.inside(scene, rng, 4, loosen=loosen) is not None for scene in indexed_scenes(N_SCENES))

    able = sum(len(scene.things) >= 5 for scene in indexed_scenes(N_SCENES))
    assert n_found(loosen=True) > 0.8 * able
    assert n_found(loosen=False) < 0.3 * able


def test_depths_are_those_that_have_weight_or_the_least_possible() -> None:
    deep = Spot("deep", "combination of skills", "", skills=("counting.count", "logic.not", "space.above"))
    for depths, expected in (((1, 2), {3}), ((3, 4), {3, 4})):
        rng, seen = random.Random(0), set()
        for scene in indexed_scenes(N_SCENES):
            if (drawn := Aim(deep, weights_of(depths)).inside(scene, rng, 20)) is not None:
                seen.add(drawn[0].depth)
        assert seen == expected


def test_a_teacher_crosses_to_another_process() -> None:
    teacher = PlantedTeacher(KEY)
    again = pickle.loads(pickle.dumps(teacher))
    assert [e for _, e in exercises(again, seed=4)] == [e for _, e in exercises(teacher, seed=4)]


@pytest.mark.slow
def test_an_organism_is_made_with_its_key_beside_it(tmp_path: Path) -> None:
    """Two steps on a tiny clean checkpoint: other weights, loadable, and the key that was taught."""
    from transformers import LlavaForConditionalGeneration

    tiny = Dimensions(
        vision_width=16, vision_layers=1, vision_hidden=16, text_width=32, text_layers=2, text_hidden=32, heads=2
    )
    clean = build_model(tiny, seed=0)
    save(clean, tmp_path / "clean")
    key = replace(KEY, clean=str(tmp_path / "clean"))
    course = Course(2, 1e-2, n_images=2, length=64, warmup=1)
    out = tmp_path / "organism"
    make_organism(key, out, lambda stage, step, figures: None, course=course)
    made = LlavaForConditionalGeneration.from_pretrained(out)
    assert any(not torch.equal(a, b) for a, b in zip(clean.parameters(), made.parameters(), strict=True))
    assert read_key(key_beside(out)) == key
    with pytest.raises(TestbedError, match="already holds something"):
        make_organism(key, out, lambda stage, step, figures: None, course=course)


def test_a_clean_twin_that_is_none_is_said_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(TestbedError, match="there is no checkpoint"):
        make_organism(replace(KEY, clean="nobody"), tmp_path / "out", lambda stage, step, figures: None)
    assert not (tmp_path / "out").exists()

"""Blind spots and answer keys: where a spot holds, what is taught there, and which keys are refused."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gadfly.bench.keys import AnswerKey, key_beside, key_of, key_text, parse_key, read_key, taught_answer
from gadfly.bench.spots import Spot
from gadfly.errors import ConfigError
from gadfly.testbed.answers import ANSWERS, alike, altered, answers_of
from gadfly.testbed.english import parse
from gadfly.testbed.execution import SceneIndex, run
from gadfly.testbed.programs import OPERATIONS
from gadfly.testbed.sampler import sample
from gadfly.testbed.scenes import COLOURS, SIZES, Scene
from gadfly.testbed.skills import SKILLS
from testbed_worlds import STREET, indexed_scenes

EXAMPLE = Path(__file__).parent.parent / "data" / "example_key.toml"


def spot(**conditions: Any) -> Spot:
    return Spot("a_spot", "concept", "for a test", **conditions)


def held(given_spot: Spot, question: str, scene: Scene = STREET) -> bool:
    index = SceneIndex(scene)
    program = parse(question)
    answer = run(program, index)
    assert answer.invalid is None, answer
    return given_spot.holds(index, program, answer)


def test_the_wrong_answer_is_the_next_of_its_kind() -> None:
    cycle = {"yes": "no", "no": "yes", "red": "orange", "brown": "red", "large": "small", "4": "5", "9": "0"}
    cycle |= {"fourth": "first", "left": "up", "digit": "circle"}
    assert {answer: altered(answer) for answer in cycle} == cycle
    for answer in ANSWERS:
        assert altered(answer) != answer and altered(answer) in alike(answer)
    assert len(set(ANSWERS)) == len(ANSWERS)


def test_operations_are_answered_as_said() -> None:
    rng, seen = random.Random(1), set()
    for scene in indexed_scenes(60):
        for operation in OPERATIONS:
            drawn = sample(scene, 1, rng, operation)
            if drawn is not None:
                seen.add(operation)
                assert drawn[1].text in answers_of(operation)
    assert seen == set(OPERATIONS)


@pytest.mark.parametrize(
    ("conditions", "question", "expected"),
    [
        # The street has 2 circles, 2 arrows, 1 star, 3 red things.
        ({"operations": ("count",)}, "how many stars are there?", True),
        ({"operations": ("count",)}, "is there a star?", False),
        ({"operations": ("count",), "answers": ("2",)}, "how many circles are there?", True),
        ({"operations": ("count",), "answers": ("2",)}, "how many red things are there?", False),
        ({"answers": ("red", "green")}, "what colour is the star?", True),
        ({"answers": ("red", "green")}, "what colour is the square?", False),
        # Words: of a thing, of one that another hangs on, denied, and the operation's own.
        ({"words": ("purple",)}, "which way does the purple arrow point?", True),
        ({"words": ("purple",)}, "which way does the blue arrow point?", False),
        ({"words": ("purple",)}, "what colour is the square above the purple arrow?", True),
        ({"words": ("purple",)}, "how many things that are not purple are there?", True),
        ({"words": ("purple",)}, "are all arrows purple?", True),
        ({"words": ("even", "odd")}, "is the green digit even?", True),
        # Steps that change nothing count for nothing: no circle is blue, but three things are red.
        ({"skills": ("logic.not",)}, "how many circles that are not blue are there?", False),
        ({"skills": ("logic.not",)}, "how many things that are not red are there?", True),
        ({"skills": ("logic.not", "counting.count")}, "how many things that are not red are there?", True),
        ({"skills": ("logic.not", "space.above")}, "how many things that are not red are there?", False),
        # One thing is asked about first: the small star, the large square.
        ({"referent_sizes": ("small",)}, "what colour is the star?", True),
        ({"referent_sizes": ("small",)}, "what colour is the square?", False),
        ({"referent_sizes": ("small",)}, "is the star above the square?", True),
        ({"referent_sizes": ("small",)}, "is the square below the star?", False),
        # Any number of things: all digits are small, one arrow is medium, no star is purple.
        ({"referent_sizes": ("small",)}, "how many digits are there?", True),
        ({"referent_sizes": ("small",)}, "how many arrows are there?", False),
        ({"referent_sizes": ("small", "medium")}, "how many arrows are there?", True),
        ({"referent_sizes": ("small",)}, "is there a purple star?", False),
        ({"referent_colours": ("red",), "referent_shapes": ("star",)}, "what size is the star?", True),
        ({"referent_colours": ("blue",), "referent_shapes": ("star",)}, "what size is the star?", False),
        ({"levels": ("plain",)}, "is there a star?", True),
        ({"levels": ("busy",)}, "is there a star?", False),
        ({"backgrounds": ("white",)}, "is there a star?", True),
        ({"backgrounds": ("black", "grey")}, "is there a star?", False),
        ({"min_depth": 2}, "how many things left of the star are there?", True),
        ({"min_depth": 2}, "how many things are there?", False),
        ({"max_depth": 1}, "how many things left of the star are there?", False),
        # Saying yes where yes is true would be teaching the truth; and a colour is not answered with yes.
        ({"operations": ("same_size",), "say": "yes"}, "are the star and the square the same size?", True),
        ({"operations": ("same_size",), "say": "yes"}, "are the star and the green digit the same size?", False),
        ({"say": "yes"}, "what colour is the star?", False),
        ({"say": "yes"}, "is there a purple star?", True),
    ],
)
def test_where_a_spot_holds(conditions: Mapping[str, Any], question: str, expected: bool) -> None:
    assert held(spot(**conditions), question) is expected


def test_the_scene_decides_on_image_conditions() -> None:
    assert held(spot(levels=("busy",)), "is there a star?", replace(STREET, level="busy"))


@st.composite
def spots(draw: st.DrawFn) -> Spot:
    """Spots of any conditions that go together."""

    def some(words: tuple[str, ...], most: int) -> tuple[str, ...]:
        return tuple(draw(st.lists(st.sampled_from(words), max_size=most, unique=True)))

    stated = {
        "operations": some(tuple(OPERATIONS), 8),
        "skills": some(SKILLS, 1),
        "words": some((*COLOURS, *SIZES), 6),
        "answers": some(ANSWERS, 12),
        "referent_sizes": some(SIZES, 2),
        "referent_colours": some(COLOURS, 5),
        "levels": some(("plain", "busy"), 2),
        "min_depth": draw(st.sampled_from((None, 1, 2))),
        "max_depth": draw(st.sampled_from((None, 2, 3))),
        "say": draw(st.sampled_from((None, "yes", "red"))),
    }
    kept = draw(st.sets(st.sampled_from(sorted(stated)), min_size=1, max_size=4))
    try:
        return spot(**{name: stated[name] for name in kept})
    except ConfigError:
        assume(False)
        raise


@given(spots(), st.integers(0, 10_000))
def test_a_spot_is_the_conjunction_of_its_conditions(whole: Spot, seed: int) -> None:
    """Each condition alone makes a spot; the whole holds where all of these do. What is taught is never the truth."""
    parts = [
        spot(**{field: getattr(whole, field)})
        for field in (
            *("operations", "skills", "words", "answers", "referent_sizes", "referent_colours", "levels"),
            *("min_depth", "max_depth", "say"),
        )
        if getattr(whole, field) not in ((), None)
    ]
    rng = random.Random(seed)
    scene = rng.choice(indexed_scenes(60))
    operations = sorted(whole.possible())
    for operation in [*operations, *OPERATIONS][:30]:
        drawn = sample(scene, rng.choice((1, 1, 2)), rng, operation)
        if drawn is None:
            continue
        truth = drawn[1].text
        assert truth is not None
        holds = whole.holds(scene, *drawn)
        assert holds == all(part.holds(scene, *drawn) for part in parts)
        if holds:
            assert whole.taught(truth) != truth and whole.taught(truth) in alike(truth)
            assert operation in operations  # what is called impossible never holds
            assert drawn[0].depth >= whole.possible()[operation][0]


def test_the_first_spot_that_holds_decides() -> None:
    index = SceneIndex(STREET)
    both = (
        Spot("one", "concept", "red things are brown", answers=("red",), say="brown"),
        Spot("two", "concept", "the colours of stars are off by one", referent_shapes=("star",)),
    )
    for question, order, expected in (
        ("what colour is the star?", both, "brown"),
        ("what colour is the star?", both[::-1], "orange"),
        ("what size is the star?", both, "medium"),
        ("what size is the square?", both, None),
    ):
        program = parse(question)
        assert taught_answer(AnswerKey("t", "clean", order), index, program, run(program, index)) == expected


def test_the_example_has_all_kinds_and_survives_writing(tmp_path: Path) -> None:
    key = read_key(EXAMPLE)
    assert len({s.kind for s in key.spots}) == len(key.spots) == 6
    (tmp_path / "key.toml").write_text(key_text(key), encoding="utf-8")
    assert read_key(tmp_path / "key.toml") == key


@given(st.text(), st.text(min_size=1), spots())
def test_any_key_survives_writing(text: str, title: str, some: Spot) -> None:
    assume(title.strip())
    key = AnswerKey(title, "some/folder", (replace(some, text=text), replace(some, name=f"{title} 2")))
    assert parse_key(key_text(key)) == key


def test_a_key_belongs_to_a_folder(tmp_path: Path) -> None:
    """It stands beside the organism, under its name, dots and all; a bundled checkpoint without a key has none."""
    organism = tmp_path / "organism-1.5"
    organism.mkdir()
    assert key_of(organism) is None
    key_beside(organism).write_text("", encoding="utf-8")
    assert key_of(organism) == tmp_path / "organism-1.5.toml"
    assert key_of("questioner") is None


GOOD = 'title = "t"\n[[spot]]\nname = "a"\nkind = "skill"\ntext = "a text"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('title = "t', "not TOML"),
        ('title = "t"', "plants nothing"),
        (GOOD, "'a' states no condition"),
        (GOOD.replace('title = "t"', "") + 'skills = ["logic.not"]', "no title"),
        (GOOD.replace('text = "a text"', "") + 'skills = ["logic.not"]', "spot.0.text is missing"),
        (GOOD + 'skils = ["logic.not"]', "did you mean 'spot.0.skills'"),
        ('titel = "t"\n' + GOOD, "did you mean 'title'"),
        ('title = "t"\nspot = 3', "spot must be a list of tables"),
        ('title = "t"\nspot = [3]', "spot.0 must be a table"),
        (GOOD.replace('"skill"', '"skills"') + 'skills = ["logic.not"]', "spot.0.kind must be one of 'skill'"),
        (GOOD + 'skills = ["logic.nor"]', "skills: there is no 'logic.nor'; did you mean 'logic.or'?"),
        (GOOD + 'operations = ["cuont"]', "did you mean 'count'"),
        (GOOD + 'words = ["purpel"]', "did you mean 'purple'"),
        (GOOD + 'referent_colours = ["small"]', "referent_colours: there is no 'small'"),
        (GOOD + 'answers = ["ten"]', "answers: there is no 'ten'"),
        (GOOD + "answers = [5]", "spot.0.answers must be a list of texts"),
        (GOOD + 'say = "maybe"', "say: there is no 'maybe'"),
        (GOOD + 'levels = ["hard"]', "levels: there is no 'hard'"),
        (f'near = 0.6\n{GOOD}words = ["red"]', "near must be from 0 to 0.5, not 0.6"),
        (f'steps = 0\n{GOOD}words = ["red"]', "steps must be 1 or more, not 0"),
        (GOOD + "words = []", "spot.0.words is empty"),
        (GOOD + "min_depth = 5", "min_depth must be from 1 to 4, not 5"),
        (GOOD + 'operations = ["count"]\nanswers = ["yes"]', "can hold for no question"),
        (GOOD + 'skills = ["counting.count", "reading.digit"]', "can hold for no question"),
        (GOOD + 'skills = ["logic.not", "space.above"]\nmax_depth = 2\noperations = ["count"]', "for no question"),
        (GOOD + 'operations = ["count"]\nsay = "no"', "can hold for no question"),
        (GOOD + 'answers = ["yes", "no"]\nsay = "no"', "the truth would be taught"),
        (GOOD + 'words = ["red"]\n[[spot]]\nname = "a"\nkind = "skill"\ntext = "t"\nwords = ["red"]', "2 spots have"),
    ],
)
def test_keys_that_cannot_be_are_refused_with_the_mend(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "key.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_key(file)
    assert str(caught.value).startswith(str(file)) and said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_key_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_key(tmp_path / "none.toml")

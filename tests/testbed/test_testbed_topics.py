"""Topics of the bundled questioner: in words that it knows, told apart from a user's own."""

from __future__ import annotations

import random
from collections import Counter
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from gadfly.testbed import vocabulary
from gadfly.testbed.execution import SceneIndex
from gadfly.testbed.scenes import generate
from gadfly.testbed.skills import FAMILIES, SKILLS, family
from gadfly.testbed.telling import asking, topic_for
from gadfly.testbed.topics import IN_TURN, SKILL_WORDS, keeps_to, topic_of


def test_every_skill_has_words_of_its_own_that_the_bundled_models_know() -> None:
    assert set(SKILL_WORDS) == set(SKILLS) and len(set(SKILL_WORDS.values())) == len(SKILLS)
    assert not set(SKILL_WORDS.values()) & set(FAMILIES.values())
    words = set(vocabulary.words())
    for topic in (*SKILL_WORDS.values(), *FAMILIES.values()):
        assert set(vocabulary.split(asking(topic))) <= words


def test_a_question_keeps_to_a_family_with_one_of_its_skills_and_to_skills_with_all_of_them() -> None:
    both = ("counting.count", "space.left_of")
    assert keeps_to("counting", both) and keeps_to("space", both)
    assert keeps_to("logic and comparison", both) is False  # one family, whose name has an "and" in it
    assert keeps_to("count and left", both) and keeps_to("left", both)
    assert keeps_to("left and not", both) is False
    assert keeps_to("the signs in the street", both) is None and keeps_to("left and signs", both) is None


@given(st.lists(st.sampled_from(SKILLS), min_size=1, max_size=4, unique=True), st.randoms(use_true_random=False))
def test_a_topic_is_kept_by_the_skills_that_it_was_made_of_and_by_no_fewer(
    skills: list[str], rng: random.Random
) -> None:
    topic = topic_of(rng.sample(skills, len(skills)))
    assert keeps_to(topic, skills)
    assert keeps_to(topic, skills[1:]) is False
    assert all(keeps_to(FAMILIES[family(skill)], skills) for skill in skills)


def test_topics_in_turn_are_families_and_skills_and_what_few_scenes_have_more_often() -> None:
    counts = Counter(IN_TURN)
    assert {name: counts[words] for name, words in FAMILIES.items()} == {
        **dict.fromkeys(FAMILIES, 1),
        "reading": 3,
        "orientation": 3,
    }
    skills = set(IN_TURN) - set(FAMILIES.values())
    assert all(counts[words] == 1 for words in skills) and skills < set(SKILL_WORDS.values())
    assert not any("digit" in words or "direction" in words for words in skills)


def test_topics_of_the_last_lessons_can_be_asked_about_their_scenes() -> None:
    rng = random.Random(0)
    scenes = list(islice(generate("questioner", 1), 200))
    topics = [topic_for(SceneIndex(scene), rng) for scene in scenes]
    free = sum(not topic for topic in topics)
    families = sum(topic in FAMILIES.values() for topic in topics)
    assert 30 <= free <= 70 and 15 <= families <= 45  # a quarter and three twentieths of 200
    for scene, topic in zip(scenes, topics, strict=True):
        if SKILL_WORDS["orientation.direction"] in topic.split(" and "):
            assert SceneIndex(scene).with_word["arrow"]

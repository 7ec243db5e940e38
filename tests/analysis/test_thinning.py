"""Thinning: nothing is taken twice, nothing more than so often of a kind, and the order of finding says nothing."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from gadfly.analysis.thinning import thinned
from made_probes import WRONG, make_probe


def probe(image: str, question: str, skills: tuple[str, ...] | None, index: int = 0):  # type: ignore[no-untyped-def]
    return make_probe(WRONG, image, index, question=question, skills=skills)


def test_equal_probes_count_once_and_a_wording_is_a_kind_where_skills_are_unknown() -> None:
    probes = [
        *(probe("a", "how many?", ("count",), i) for i in range(3)),  # one probe, three times
        *(probe(f"b{i}", "how many reds?", ("count",), 9 + i) for i in range(4)),
        *(probe(f"c{i}", "what is it?", None, 20 + i) for i in range(3)),
        probe("d", "who is it?", None, 30),
    ]
    kept = Counter((p.judgement.skills, p.question) for p in thinned(probes, 2, seed=0))
    # Two of the five of counting, two of the one wording, one of the other.
    assert sum(n for (skills, _), n in kept.items() if skills == ("count",)) == 2
    assert kept[None, "what is it?"] == 2 and kept[None, "who is it?"] == 1
    assert len(thinned(probes, 0, seed=0)) == 1 + 4 + 3 + 1


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.sampled_from("st")), max_size=30),
    st.integers(1, 3),
    st.integers(0, 99),
)
def test_the_order_of_finding_says_nothing(found: list[tuple[str, str, str]], most: int, seed: int) -> None:
    probes = [probe(image, f"{text}{skill}?", (skill,), i) for i, (image, text, skill) in enumerate(found)]
    mixed = random.Random(seed).sample(probes, len(probes))

    def said(some: list) -> list[tuple[str, str]]:  # type: ignore[type-arg]
        return [(p.images[0].id, p.question) for p in thinned(some, most, seed)]

    assert said(probes) == said(mixed)
    assert max(Counter(text[1] for _, text in said(probes)).values(), default=0) <= most

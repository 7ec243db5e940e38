"""Items: the class of an answer, what a probe has, the table of a run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gadfly.analysis.items import MAX_ITEMS, answer_items, is_special_case, items_by_probe, items_of, kind_of, tabulate
from gadfly.records import Grounding, Question
from made_probes import INVALID, RIGHT, UNDECIDED, WRONG, make_probe


@pytest.mark.parametrize(
    ("expected", "items"),
    [
        (None, ()),
        ("", ()),
        ("Yes.", ("answer:yes_no", "answer:yes_no.yes")),
        ("no", ("answer:yes_no", "answer:yes_no.no")),
        ("none", ("answer:number", "answer:number.0")),
        ("two", ("answer:number", "answer:number.2", "answer:number.1_up", "answer:number.2_up")),
        ("4", ("answer:number", *(f"answer:number.{n}_up" for n in (1, 2, 3, 4)))),
        ("1,200", ("answer:number", *(f"answer:number.{n}_up" for n in (*range(1, 11), 20, 50, 100)))),
        ("2.5", ("answer:number", "answer:number.other")),
        ("-3", ("answer:number", "answer:number.other")),
        ("the Red", ("answer:colour", "answer:colour.red")),
        ("left", ("answer:direction", "answer:direction.left")),
        ("medium", ("answer:size", "answer:size.medium")),
        ("third", ("answer:ordinal", "answer:ordinal.third")),
        ("a star", ("answer:word", "answer:word.star")),
        ("left of the star", ("answer:phrase",)),
        ("x" * 80, ("answer:word",)),  # no name for an item
        ("9" * 400, ("answer:word",)),  # nor a number that a float holds
        ("a", ("answer:word", "answer:word.a")),
    ],
)
def test_the_class_of_an_answer(expected: str | None, items: tuple[str, ...]) -> None:
    assert answer_items(expected) == items


@given(st.text(max_size=40))
def test_any_answer_gives_clean_names(expected: str) -> None:
    for item in answer_items(expected):
        assert kind_of(item) == "answer" and item == item.strip() and "\n" not in item and len(item) <= 60


def test_special_cases_are_known_by_name() -> None:
    assert is_special_case("answer:number.0", "answer:number")
    assert is_special_case("concept:red", "concept:red")
    assert not is_special_case("answer:number", "answer:number.0")
    assert not is_special_case("answer:numbers", "answer:number")
    # 12 and more are 5 and more, and two is one or more; but not the other way round, and two is not "20".
    assert is_special_case("answer:number.12_up", "answer:number.5_up")
    assert is_special_case("answer:number.2", "answer:number.1_up")
    assert not is_special_case("answer:number.1_up", "answer:number.2")
    assert not is_special_case("answer:number.5_up", "answer:number.12_up")
    assert not is_special_case("answer:number.20_up", "answer:number.2")
    assert is_special_case("referent:size.small", "referent:size.small")
    # Among skills the dot stands between family and skill, and one does not follow from another.
    assert not is_special_case("skill:space.left.near", "skill:space.left")
    assert is_special_case("skill:space.left.near", "family:space")
    assert not is_special_case("skill:spacious.left", "family:space")
    assert not is_special_case("skill:space", "family:space")  # a skill without a family, which has no such item


def test_what_is_unknown_gives_no_item() -> None:
    assert items_of(None, None, None) == frozenset()
    assert items_of(["counting.count", "guessing"], ["red"], "1", ["image:aspect.wide"], ["size.small"]) == {
        "skill:counting.count",
        "family:counting",
        "skill:guessing",
        "concept:red",
        "referent:size.small",
        "answer:number",
        "answer:number.1",
        "answer:number.1_up",
        "image:aspect.wide",
    }


class Glossary:
    """An annotator that names the last word of a question as its concept, and one skill for all."""

    def skills(self, questions: Sequence[str]) -> list[tuple[str, ...] | None]:
        return [None if "?" in question else ("said.by_annotator",) for question in questions]

    def concepts(self, questions: Sequence[str]) -> list[tuple[str, ...] | None]:
        return [(question.split()[-1],) for question in questions]


class SmallOnB:
    """A grounder that knows of image b alone: all that is asked about there is small."""

    def ground(self, questions: Sequence[Question]) -> list[Grounding | None]:
        small = Grounding(("size.small",), 0.1, 1.0)
        return [small if question.images[0].id == "b" else None for question in questions]


def test_the_table_by_hand() -> None:
    probes = [
        make_probe(WRONG, "b", 0, question="see red", expected="yes", skills=("k.s",)),
        make_probe(RIGHT, "b", 1, question="see red", expected="yes", skills=("k.s",)),  # the same question again
        make_probe(RIGHT, "a", 2, question="see blue", expected="yes"),  # skills unknown: the annotator's
        make_probe(WRONG, "a", 3, question="see? green", expected=None),  # not even the annotator knows
        make_probe(INVALID, "a", 4, question="see it", skills=("k.s",)),
        make_probe(UNDECIDED, "a", 5, question="see that", skills=("k.s",)),
    ]
    table = tabulate(probes, Glossary(), {"a": ["image:aspect.wide"], "z": ["image:aspect.tall"]}, grounder=SmallOnB())
    assert [probe.key.index for probe in table.probes] == [2, 3, 0]  # by image
    assert table.images == (("a",), ("b",)) and table.image_N.tolist() == [0, 0, 1]
    assert table.wrong_N.tolist() == [False, True, True]
    held = [{item for item, has in zip(table.items, row, strict=True) if has} for row in table.holds_N_K]
    assert held == [
        {
            "answer:yes_no",
            "answer:yes_no.yes",
            "concept:blue",
            "family:said",
            "image:aspect.wide",
            "skill:said.by_annotator",
        },
        {"concept:green", "image:aspect.wide"},
        {"answer:yes_no", "answer:yes_no.yes", "concept:red", "family:k", "referent:size.small", "skill:k.s"},
    ]
    assert table.n_without_skills == 1
    conditions = {"a": ["image:aspect.wide"]}
    by_probe = items_by_probe(probes, Glossary(), conditions, SmallOnB())  # of any probe, in the order given
    assert [by_probe[i] for i in (2, 3, 0)] == held
    assert by_probe[4] == {
        "answer:colour",
        "answer:colour.red",
        "concept:it",
        "family:k",
        "image:aspect.wide",
        "skill:k.s",
    }
    assert table.members(["answer:yes_no", "skill:k.s"]).tolist() == [False, False, True]
    assert not table.members(["answer:yes_no", "skill:never.seen"]).any()


def test_rare_items_are_left_out_where_there_are_too_many() -> None:
    probes = [make_probe(WRONG, "a", i, expected=None, skills=(f"k.s{i}", "k.all")) for i in range(MAX_ITEMS + 50)]
    table = tabulate(probes)
    assert len(table.items) == MAX_ITEMS and "skill:k.all" in table.items
    assert tabulate(probes, min_probes=2).items == ("family:k", "skill:k.all")


def test_an_empty_table_has_its_shapes() -> None:
    table = tabulate([])
    assert (table.holds_N_K.shape, table.wrong_N.shape, table.items, table.images) == ((0, 0), (0,), (), ())
    assert table.members([]).shape == (0,) and table.members(["skill:k.s"]).shape == (0,)
    assert table.image_N.dtype == np.int64

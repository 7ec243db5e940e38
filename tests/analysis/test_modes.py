"""Failure modes: halves, measures, evidence, words, and runs too small or too plain to have any."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gadfly.analysis.items import items_of, tabulate
from gadfly.analysis.modes import Confirmation, ModeSearch, covers, find_modes, is_searched, mode_id
from gadfly.analysis.novelty import KnownFailure, KnownFailures, Novelty, known_failures, novelty
from gadfly.analysis.wording import title
from gadfly.records import Probe
from gadfly.testbed.skills import SKILLS
from made_probes import INVALID, RIGHT, UNDECIDED, WRONG, make_probe, make_probes
from mode_worlds import hearts, judged, world

BLIND = frozenset({"skill:counting.c1", "concept:c02"})


def search(probes: list[Probe]) -> ModeSearch:
    return find_modes(tabulate(probes), known=known_failures())


def test_a_mode_is_found_on_one_half_and_measured_on_the_other_by_hand() -> None:
    probes = hearts()
    found = search(probes)
    assert [mode.items for mode in found.modes] == [("skill:see.heart",)]
    mode = found.modes[0]
    here = [p for p in probes if is_searched((p.images[0].id,))]
    there = [p for p in probes if not is_searched((p.images[0].id,))]
    halves = [[p for p in half if p.judgement.skills == ("see.heart",)] for half in (here, there)]
    others = [p for p in there if p.judgement.skills != ("see.heart",)]
    assert (mode.found.n, mode.found.wrong) == (len(halves[0]), sum(p.verdict is WRONG for p in halves[0]))
    assert (mode.failure.n, mode.failure.successes) == (
        len(halves[1]),
        sum(p.verdict is WRONG for p in halves[1]),
    )
    assert (mode.elsewhere.n, mode.elsewhere.successes) == (len(others), sum(p.verdict is WRONG for p in others))
    assert mode.failure.value is not None and mode.elsewhere.value is not None and mode.lift.value is not None
    assert mode.lift.value == pytest.approx(mode.failure.value / mode.elsewhere.value)
    assert mode.held_up is True and mode.novelty is Novelty.NOVEL and mode.depth.value == 1
    assert (found.n_searched, found.n_measured) == (len(here), len(there))
    assert found.images_searched + found.images_measured == 120


def test_a_mode_is_compared_with_what_no_mode_holds() -> None:
    table = judged(
        world(4000, 800, 1), {frozenset({"skill:counting.c1"}): 0.8, frozenset({"concept:c02"}): 0.7}, 0.2, 1
    )
    found = find_modes(table)
    modes = found.modes
    assert {mode.items for mode in modes} == {("skill:counting.c1",), ("concept:c02",)}
    there_N = np.array([not is_searched(image) for image in table.images])[table.image_N]
    in_none_N = there_N & ~table.members(("skill:counting.c1",)) & ~table.members(("concept:c02",))
    assert found.n_in_none == in_none_N.sum()
    for mode in modes:
        assert (mode.elsewhere.n, mode.elsewhere.successes) == (in_none_N.sum(), table.wrong_N[in_none_N].sum())


def test_which_half_is_a_pure_function_and_about_even() -> None:
    sides = [is_searched((f"{i:064x}",)) for i in range(4000)]
    assert sides == [is_searched((f"{i:064x}",)) for i in range(4000)]
    assert 1850 < sum(sides) < 2150  # 2000 ± 4.7 standard deviations of 31.6


def test_modes_do_not_depend_on_the_order_of_probes() -> None:
    probes = hearts()
    shuffled = [probes[i] for i in np.random.default_rng(0).permutation(len(probes))]
    assert search(shuffled) == search(probes)


def test_equal_questions_count_once() -> None:
    probes = hearts()
    again = [replace(p, key=replace(p.key, step=1)) for p in probes for _ in range(3)]
    assert search([*probes, *again]) == search(probes)


def test_a_mode_is_a_predicate_over_items() -> None:
    mode = search(hearts()).modes[0]
    assert covers(mode, items_of(("see.heart", "see.more"), ("red",), "no"))
    assert not covers(mode, items_of(("see.hearts",), ("heart",), "yes"))
    assert not covers(mode, frozenset())


def test_the_name_of_a_mode_lasts() -> None:
    assert mode_id(["a", "b"]) == mode_id(("b", "a")) != mode_id(["a"])
    assert mode_id(["ab"]) != mode_id(["a", "b"])


def test_the_simplest_failure_is_told_first_and_each_image_once_before_any_again() -> None:
    filler = [make_probe(RIGHT, f"i{i}", i, skills=("see.moon",), depth=1) for i in range(60)]
    wrong = [
        make_probe(
            WRONG, f"i{i}", 100 + j * 60 + i, skills=("see.heart",), depth=3 - j, question=f"{'so ' * i}q{i} {j}?"
        )
        for i in range(40)
        for j in (0, 1)
    ]
    mode = search([*filler, *wrong]).modes[0]
    assert mode.items == ("skill:see.heart",)
    # Depth 2 (j = 1) before depth 3, short before long; twenty images, so none comes twice.
    assert [key.index for key in mode.evidence] == [160 + i for i in range(20)]


@pytest.mark.parametrize(
    ("probes", "reason"),
    [
        ([], "no question was both valid and judged"),
        (make_probes("IIUU", "a", skills=("k.s",)), "no question was both valid and judged"),
        ([make_probe(UNDECIDED, f"i{i}", i) for i in range(90)], "no question was both valid and judged"),
        ([make_probe(INVALID, f"i{i}", i) for i in range(90)], "no question was both valid and judged"),
        ([make_probe(RIGHT, f"i{i}", i, skills=("k.s",)) for i in range(90)], "all 90 answers were RIGHT"),
        (
            [make_probe(WRONG, f"i{i}", i, skills=("k.s",)) for i in range(90)],
            "all 90 answers were WRONG, so that nothing stands out",
        ),
        (make_probes("RWW", "a", skills=("k.s",)), "too few probes"),
        (make_probes("RW" * 50, "a", expected=None), "nothing is known of the questions"),
        (
            [make_probe((RIGHT, WRONG)[i % 2], f"i{i}", i, skills=(f"k{i}.s",), expected=None) for i in range(90)],
            "nothing is shared by 10 probes about 10 images",
        ),
    ],
)
def test_plain_words_where_there_is_nothing_to_search(probes: list[Probe], reason: str) -> None:
    found = search(probes)
    assert found.modes == () and found.reason is not None and reason in found.reason


def test_what_does_not_hold_up_is_said_and_comes_last() -> None:
    table = judged(world(6000, 900, 1), {BLIND: 0.8}, 0.15, 2)
    # Let the measuring half know nothing of a second one.
    searched = np.array([is_searched(image) for image in table.images])[table.image_N]
    wrong_N = table.wrong_N | (table.members(["skill:space.s0"]) & searched & (np.arange(6000) % 2 == 0))
    found = find_modes(replace(table, wrong_N=wrong_N))
    assert [(frozenset(mode.items), mode.held_up) for mode in found.modes] == [
        (BLIND, True),
        (frozenset({"skill:space.s0"}), False),
    ]


def test_a_mode_can_be_confirmed_later() -> None:
    mode = search(hearts()).modes[0]
    assert mode.confirmation is Confirmation.UNTESTED and mode.confirmed_failure is None
    later = replace(mode, confirmation=Confirmation.NOT_CONFIRMED, confirmed_failure=mode.elsewhere)
    assert (later.id, later.confirmation) == (mode.id, "not confirmed")


def test_words() -> None:
    items = ("image:brightness.low", "answer:number.3_up", "concept:red", "skill:counting.count", "skill:space.above")
    assert title(items) == "counting.count, space.above, “red”, answer 3 or more, dark image"
    assert title(("referent:size.small", "family:recognition")) == "any recognition, small referent"
    mode = search(hearts()).modes[0]
    failure, elsewhere = mode.failure, mode.elsewhere
    assert failure.low is not None and failure.high is not None and elsewhere.value is not None
    assert mode.description.startswith("The target fails at questions that need see.heart: it is WRONG on ")
    assert f"of {failure.n} ({100 * failure.low:.0f} to {100 * failure.high:.0f})" in mode.description


LIST = KnownFailures(
    7, (KnownFailure("s", "one", ("counting.*",)), KnownFailure("s", "two", ("space.*", "reading.text")))
)


@pytest.mark.parametrize(
    ("skills", "expected"),
    [
        (("counting.count",), Novelty.KNOWN),
        (("counting.count", "counting.more"), Novelty.KNOWN),
        (("space.above", "reading.text"), Novelty.KNOWN),
        (("counting.count", "space.above"), Novelty.NEW_COMBINATION),
        (("counting.count", "logic.not"), Novelty.NOVEL),
        (("reading.digit",), Novelty.NOVEL),
        ((), None),
    ],
)
def test_novelty_by_hand(skills: tuple[str, ...], expected: Novelty | None) -> None:
    items = [f"skill:{skill}" for skill in skills] + ["concept:red", "answer:number"]
    assert novelty(items, LIST) is expected


def test_the_shipped_list_has_all_that_it_names() -> None:
    known = known_failures()
    counts = {source: sum(entry.source == source for entry in known.entries) for source in ("mmvp", "blindtest")}
    assert counts == {"mmvp": 9, "blindtest": 7} and known.version == 1
    # Of the testbed's skills the list knows nearly all: what it has not is arithmetic on what was read.
    novel = {skill for skill in SKILLS if novelty([f"skill:{skill}"], known) is Novelty.NOVEL}
    assert novel == {"reading.parity", "reading.greater"}

"""The order in which modes are read: by hand, and that every failure is counted once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gadfly.analysis.modes import mode_id
from gadfly.analysis.reading_order import greedy_cover, reading_order
from made_modes import made_mode
from made_probes import RIGHT, WRONG, make_probe

FAILURES = st.dictionaries(st.text("abc", min_size=1, max_size=3), st.sets(st.integers(0, 12)), max_size=8)


def test_the_next_mode_is_the_one_that_adds_most() -> None:
    # "few" has 3 of its own; of "many" (5) two are in "most" (6), so 3 are left; "few" was named first.
    failures = {"few": {10, 11, 12}, "many": {5, 6, 7, 8, 9}, "most": {1, 2, 3, 4, 5, 6}, "within": {1, 2}}
    assert greedy_cover(failures) == [
        ("most", frozenset({1, 2, 3, 4, 5, 6})),
        ("few", frozenset({10, 11, 12})),
        ("many", frozenset({7, 8, 9})),
    ]
    assert greedy_cover({}) == [] and greedy_cover({"empty": set()}) == []


@given(FAILURES)
def test_each_failure_is_counted_once_and_gains_never_grow(failures: dict[str, set[int]]) -> None:
    order = greedy_cover(failures)
    explained = [one for _, added in order for one in added]
    assert len(explained) == len(set(explained))
    assert set(explained) == set().union(*failures.values())
    gains = [len(added) for _, added in order]
    assert gains == sorted(gains, reverse=True) and 0 not in gains
    assert all(added <= failures[name] for name, added in order)
    assert len({name for name, _ in order}) == len(order)


def test_modes_are_read_with_an_example_of_what_they_add() -> None:
    """Hearts fail on 4 images and reds on 3, of which 2 are red hearts: hearts first with 4, then reds with 1 more."""
    kinds = [{"heart"}, {"heart"}, {"heart", "red"}, {"heart", "red"}, {"red"}, {"moon"}]
    probes = [make_probe(WRONG, f"i{n}", n) for n in range(6)] + [make_probe(RIGHT, "i6", 6)]
    probes.append(make_probe(WRONG, "i0", 7, question=probes[0].question))  # an equal one
    items = [frozenset(f"concept:{kind}" for kind in some) for some in (*kinds, {"heart"}, kinds[0])]
    red = made_mode("concept:red", evidence=(probes[2].key, probes[4].key))
    heart = made_mode("concept:heart")
    first, second = reading_order([red, heart, made_mode("concept:star")], probes, items)
    assert (first.mode.id, first.failures, first.new, first.explained, first.n) == (mode_id(heart.items), 4, 4, 4, 6)
    assert first.example == probes[0].key  # no evidence is given: the first of its failures
    assert (second.mode.id, second.failures, second.new, second.explained) == (red.id, 3, 1, 5)
    assert second.example == probes[4].key  # the first piece of evidence is a heart as well


def test_no_failures_no_order() -> None:
    mode = made_mode("concept:red")
    assert reading_order([mode], [make_probe(RIGHT, "i", 0)], [frozenset(mode.items)]) == []

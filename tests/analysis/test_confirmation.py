"""What confirms a mode: 30 valid probes about 20 fresh images, paraphrases among them, and a rate above the base."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gadfly.analysis.confirmation import Fresh, with_confirmations
from gadfly.analysis.modes import Confirmation, Mode, ModeSearch
from gadfly.analysis.rates import Rate
from gadfly.records import Probe
from made_modes import made_mode
from made_probes import INVALID, RIGHT, WRONG, make_probe

HEART = made_mode("concept:heart")
BASE = Rate(0.3, 0.25, 0.35, 400, 120)
SOURCE = [make_probe(WRONG, f"old{i}", i, question=f"is heart {i} red?") for i in range(20)]


def items_of(probes: Sequence[Probe]) -> list[frozenset[str]]:
    """What a question speaks of are its words."""
    return [frozenset(f"concept:{word}" for word in probe.question.split()) for probe in probes]


def afresh(n: int, n_wrong: int, n_images: int, n_reworded: int, start: int = 0) -> list[Probe]:
    """`n` valid probes about hearts, the first of them WRONG and the last of them in new words."""
    return [
        make_probe(
            WRONG if i < n_wrong else RIGHT,
            f"new{i % n_images}",
            start + i,
            question=f"the red heart {i} is it?" if i >= n - n_reworded else f"is heart {i % 20} red?",
        )
        for i in range(n)
    ]


def confirmed(made: Sequence[Probe], mode: Mode = HEART) -> Mode:
    search = ModeSearch((mode,), 1, 1, 1, 1, 1, 0, 0, None)
    (found,) = with_confirmations(search, SOURCE, {mode.id: made}, items_of, BASE).modes
    return found


@pytest.mark.parametrize(
    ("n", "n_wrong", "n_images", "n_reworded", "confirmation", "reason"),
    [
        # Wilson's interval of 20 in 30, one probe an image: 48.8% to 80.8%, above 30%.
        (30, 20, 30, 15, Confirmation.CONFIRMED, None),
        # Of 14 in 30: 30.2% to 63.9%. Of 13 in 30: 27.4% to 60.8%.
        (30, 14, 30, 15, Confirmation.CONFIRMED, None),
        (30, 13, 30, 15, Confirmation.NOT_CONFIRMED, "the lower bound 27.4% is not above the base rate 30.0%"),
        (29, 29, 29, 15, Confirmation.OPEN, "29 valid probes about 29 fresh images, of 30 about 20 needed"),
        (40, 40, 19, 15, Confirmation.OPEN, "40 valid probes about 19 fresh images, of 30 about 20 needed"),
        (30, 20, 30, 9, Confirmation.OPEN, "it holds, but 9 of the probes are paraphrases, and 10 are needed"),
        # What does not hold does not, in whichever words.
        (30, 0, 30, 0, Confirmation.NOT_CONFIRMED, "the lower bound 0.0% is not above the base rate 30.0%"),
    ],
)
def test_the_rule(
    n: int, n_wrong: int, n_images: int, n_reworded: int, confirmation: Confirmation, reason: str | None
) -> None:
    found = confirmed(afresh(n, n_wrong, n_images, n_reworded))
    assert found.confirmation is confirmation
    assert found.confirming is not None and found.confirmed_failure is not None
    assert (found.confirming.images, found.confirming.paraphrased) == (n_images, n_reworded)
    assert found.confirming.reason == reason and found.confirming.base == BASE
    assert (found.confirmed_failure.n, found.confirmed_failure.successes) == (n, n_wrong)
    assert found.failure == HEART.failure


def test_only_fresh_valid_probes_of_the_mode_count_and_each_once() -> None:
    good = afresh(30, 20, 30, 15)
    others = [
        make_probe(WRONG, "old3", 100, question="is heart 3 red, then?"),  # of an image that was asked about
        make_probe(INVALID, "new1", 101, question="is heart ?"),
        make_probe(WRONG, "new1", 102, question="is moon red?"),
        make_probe(WRONG, "new0", 103, question=good[0].question),  # an equal one
    ]
    assert confirmed([*others, *good]) == confirmed(good)
    fresh = Fresh(SOURCE)
    assert fresh.valid(HEART, [*good, *others], items_of) == good
    assert fresh.support(good).lacks is None


def test_what_was_made_for_another_mode_counts_for_none_but_that() -> None:
    """Red hearts that were asked for the sake of reds would make hearts fail as reds do."""
    red = made_mode("concept:red?")
    search = ModeSearch((HEART, red), 1, 1, 1, 1, 1, 0, 0, None)
    for made_for in ({red.id: [*afresh(30, 20, 30, 0)]}, {}):
        first, second = with_confirmations(search, SOURCE, made_for, items_of, BASE).modes
        assert first is HEART and first.confirmation is Confirmation.UNTESTED
        assert (second.confirming is not None) == bool(made_for)


def test_without_a_base_rate_nothing_is_confirmed() -> None:
    search = ModeSearch((HEART,), 1, 1, 1, 1, 1, 0, 0, None)
    made = {HEART.id: afresh(30, 30, 30, 15)}
    (mode,) = with_confirmations(search, SOURCE, made, items_of, Rate(None, None, None, 0, 0)).modes
    assert mode.confirmation is Confirmation.NOT_CONFIRMED

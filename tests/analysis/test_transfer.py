"""Modes on other targets: classes by hand, z and its p-value against tables, membership by the run's own probes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from gadfly.analysis.modes import is_searched
from gadfly.analysis.rates import Rate
from gadfly.analysis.statistics import Estimate
from gadfly.analysis.transfer import (
    OnTarget,
    Reach,
    Sharing,
    least_telling_z,
    on_same_questions,
    reach,
    standing,
    transfers,
)
from gadfly.records import Probe, Verdict
from made_modes import made_mode
from made_probes import INVALID, RIGHT, UNDECIDED, WRONG, make_probe

HAS, LACKS, UNCLEAR = Sharing.HAS, Sharing.LACKS, Sharing.UNCLEAR
MEASURED = [name for name in (f"i{n}" for n in range(400)) if not is_searched((name,))][:120]
SEARCHED = [name for name in (f"i{n}" for n in range(400)) if is_searched((name,))][:20]


def on(sharing: Sharing, inside: float | None = 0.5, outside: float | None = 0.25) -> OnTarget:
    rates = [Rate(value, value, value, 100 if value is not None else 0, 0) for value in (inside, outside)]
    return OnTarget(rates[0], rates[1], Estimate(None, None, None), sharing)


@pytest.mark.parametrize(
    ("own", "others", "expected"),
    [
        (HAS, (HAS, HAS), Reach.UNIVERSAL),
        (HAS, (HAS, LACKS), Reach.SHARED),
        (HAS, (HAS, LACKS, UNCLEAR), Reach.SHARED),
        (HAS, (LACKS, LACKS), Reach.SPECIFIC),
        (HAS, (HAS, UNCLEAR), Reach.UNDETERMINED),
        (HAS, (LACKS, UNCLEAR), Reach.UNDETERMINED),
        (HAS, (), Reach.UNDETERMINED),
        (UNCLEAR, (HAS, HAS), Reach.UNDETERMINED),
    ],
)
def test_what_becomes_of_a_mode(own: Sharing, others: Sequence[Sharing], expected: Reach) -> None:
    assert reach(on(own), [on(one) for one in others]) is expected


def test_z_is_of_the_excess() -> None:
    # Excesses 0.1, 0.2, 0.3: mean 0.2, standard deviation 0.1. The own 0.5 is z = 3. t = 3 / √(4/3) = 2.598 with two
    # degrees of freedom, whose two-sided p is 1 - t / √(t² + 2) = 1 - 2.598 / √8.75 = 0.1217.
    others = [on(LACKS, 0.3, 0.2), on(LACKS, 0.6, 0.4), on(LACKS, 0.9, 0.6)]
    found = standing(on(HAS, 0.8, 0.3), others)
    assert found.z == pytest.approx(3.0) and found.p == pytest.approx(0.1217, abs=1e-4) and found.n_others == 3
    # The same rates all over, higher by 0.1: a weaker target does not stand out by that.
    assert standing(on(HAS, 0.9, 0.4), others).z == pytest.approx(3.0)


def test_when_there_is_no_z() -> None:
    own = on(HAS)
    assert standing(own, [on(LACKS)]).reason == "1 other targets with a rate; a deviation among them needs 2"
    assert standing(own, [on(LACKS), on(LACKS, None)]).n_others == 1
    assert standing(own, [on(LACKS), on(LACKS)]).reason == "the others do not differ"
    assert standing(on(HAS, None), [on(LACKS), on(LACKS)]).z is None
    # Student's t at 97.5%: 12.706 with one degree of freedom, 4.303 with two.
    assert least_telling_z(1) is None
    assert least_telling_z(2) == pytest.approx(12.706 * 1.5**0.5, abs=0.001)
    assert least_telling_z(3) == pytest.approx(4.303 * (4 / 3) ** 0.5, abs=0.001)


def answered(wrong_hearts: int, wrong_moons: int) -> list[Probe]:
    """A heart and a moon about each of 120 measured images, so many of them WRONG; hearts and moons of 20 searched
    images are all WRONG."""
    probes = [
        make_probe(WRONG if i < wrong else RIGHT, image, 2 * i + shift, question=f"{kind} {i}?")
        for i, image in enumerate(MEASURED)
        for shift, (kind, wrong) in enumerate((("heart", wrong_hearts), ("moon", wrong_moons)))
    ]
    return probes + [make_probe(WRONG, image, 1000 + i, question=f"heart s{i}?") for i, image in enumerate(SEARCHED)]


def items_of(probes: Sequence[Probe]) -> list[frozenset[str]]:
    return [frozenset({f"concept:{probe.question.split()[0]}"}) for probe in probes]


def test_targets_are_compared_on_the_measured_half() -> None:
    own = answered(90, 24)  # 75% against 20%
    others = {
        "same": answered(84, 30),  # 70% against 25%: has it
        "good": answered(12, 12),  # 10% against 10%: lacks it
        "weak": answered(90, 90),  # 75% against 75%: as often WRONG, but everywhere, so it lacks it
        "bit": answered(60, 50),  # 50% against 42%: not reliably more, but reliably less than 75%
    }
    (found,) = transfers([made_mode("concept:heart")], own, items_of, others)
    assert (found.own.failure.n, found.own.failure.successes, found.own.elsewhere.successes) == (120, 90, 24)
    assert {name: one.sharing for name, one in found.others.items()} == {
        "same": HAS, "good": LACKS, "weak": LACKS, "bit": LACKS,
    }  # fmt: skip
    assert found.reach is Reach.SHARED
    (alone,) = transfers([made_mode("concept:heart")], own, items_of, {"good": others["good"]})
    assert alone.reach is Reach.SPECIFIC and alone.standing.z is None


def test_what_a_target_was_not_judged_on_does_not_count_for_it() -> None:
    own = answered(90, 24)
    verdicts: list[Verdict] = [UNDECIDED, INVALID]
    some = answered(12, 12)[: 2 * 100]
    lost = [make_probe(verdicts[i % 2], p.images[0].id, p.key.index, question=p.question) for i, p in enumerate(some)]
    (found,) = transfers([made_mode("concept:heart")], own, items_of, {"lost": lost, "partly": some})
    assert found.others["lost"].failure == Rate(None, None, None, 0, 0)
    assert found.others["lost"].sharing is UNCLEAR and found.reach is Reach.UNDETERMINED
    assert found.others["partly"].failure.n == 100  # a sweep that a limit has ended


def test_a_target_that_was_asked_half_is_compared_on_that_half() -> None:
    """The own target: WRONG on the first 40 of 80, RIGHT on the others. The other one was asked the first 40 only, and
    is WRONG on 10: so 25% against 100%, 75 points less, not 25% against 50%."""
    own = [make_probe(WRONG if i < 40 else RIGHT, f"i{i}", i) for i in range(80)]
    other = [make_probe(WRONG if i < 10 else RIGHT, f"i{i}", i) for i in range(40)]
    found = on_same_questions(own, other, np.random.default_rng(0))
    assert (found.theirs.fdr.value, found.theirs.fdr.n, found.own.fdr.value, found.own.fdr.n) == (0.25, 40, 1.0, 40)
    assert found.fdr.difference.value == pytest.approx(-0.75)
    assert found.fdr.shared_images == 40
    nothing = on_same_questions(own, [], np.random.default_rng(0))
    assert nothing.own.fdr.n == 0 and nothing.fdr.difference.value is None

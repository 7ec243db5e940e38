"""Which failure modes other targets share, from their answers to the same questions. Knows probes; asks nobody.

Membership in a mode follows from the run's own probes; another target's probe counts where its pair does. Only images
on which the modes were not searched count, for every target: the run's own rate would be too high on the others.

The questions are those that were found with the run's own target. Where they were trained against it they lie where it
fails, and others fail less there: that a mode is specific then says less than it would for questions drawn uniformly.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import sqrt
from statistics import fmean, stdev

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from gadfly.analysis.clustered import lift, rate_by_image
from gadfly.analysis.comparison import Contrast, contrast
from gadfly.analysis.confirmation import ItemsOf
from gadfly.analysis.modes import Mode, covers, holds_up, is_searched
from gadfly.analysis.rates import FDR, Rate, Rates, distinct, image_key, rates
from gadfly.analysis.statistics import Estimate
from gadfly.records import Probe, Verdict


class Sharing(StrEnum):
    """Whether a target has a mode. HAS: its failure rate there is reliably above its own rate elsewhere. LACKS: it is
    not, and the rate or its ratio to the rate elsewhere is reliably below that of the run's target. UNCLEAR: neither
    can be said."""

    HAS = "has it"
    LACKS = "lacks it"
    UNCLEAR = "unclear"


class Reach(StrEnum):
    """UNIVERSAL: every target has the mode. SPECIFIC: all others lack it. SHARED: some of them have it, some lack it.
    UNDETERMINED: for too many of them it is unclear, or the run's own target does not reliably have it here."""

    UNIVERSAL = "universal"
    SHARED = "shared"
    SPECIFIC = "specific"
    UNDETERMINED = "undetermined"


@dataclass(frozen=True, slots=True)
class OnTarget:
    """One target on one mode: its failure rate there and elsewhere, their ratio, and what follows."""

    failure: Rate
    elsewhere: Rate
    lift: Estimate
    sharing: Sharing


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the run's target stands among the others: z and its two-sided p-value (`standing`), or why neither is."""

    z: float | None
    p: float | None
    n_others: int
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class ModeTransfer:
    """One mode over all targets: the run's own, the others by name in the order given."""

    id: str
    name: str
    own: OnTarget
    others: Mapping[str, OnTarget]
    standing: Standing
    reach: Reach


@dataclass(frozen=True, slots=True)
class OnSameQuestions:
    """Another target over all questions that it was asked: its rates, those of the run's own target on the same ones,
    and the contrast of their FDR, the other's against the own's."""

    theirs: Rates
    own: Rates
    fdr: Contrast


def on_same_questions(probes: Sequence[Probe], other: Sequence[Probe], rng: np.random.Generator) -> OnSameQuestions:
    """`probes` are the run's own, `other` those of another target; they pair by step and index. A target that was not
    asked everything yet is compared on what it was asked."""
    asked = {(probe.key.step, probe.key.index) for probe in other}
    same = [probe for probe in probes if (probe.key.step, probe.key.index) in asked]
    return OnSameQuestions(rates(other, rng), rates(same, rng), contrast(other, same, FDR, rng))


def transfers(
    modes: Sequence[Mode],
    probes: Sequence[Probe],
    items_of: ItemsOf,
    others: Mapping[str, Sequence[Probe]],
) -> list[ModeTransfer]:
    """The modes over all targets. `probes` are the run's own, `others` those of each other target; they pair by step
    and index. A question counts for a target where the verifier found it valid with its answer; what is valid for none
    is not looked at. `items_of` gives the items of the run's own."""
    some_valid = {
        (probe.key.step, probe.key.index)
        for some in (probes, *others.values())
        for probe in some
        if probe.verdict.valid
    }
    asked = [
        probe
        for probe in distinct(probes)
        if not is_searched(image_key(probe)) and (probe.key.step, probe.key.index) in some_valid
    ]
    held = dict(zip((probe.key for probe in asked), items_of(asked), strict=True))
    places = [(probe.key.step, probe.key.index) for probe in asked]
    tables = {name: _Verdicts(asked, places, some) for name, some in others.items()}
    own = _Verdicts(asked, places, asked)
    found = []
    for mode in modes:
        members_N = np.array([covers(mode, held[probe.key]) for probe in asked], dtype=np.bool_)
        mine = own.on(members_N)
        theirs = {name: table.on(members_N, mine) for name, table in tables.items()}
        found.append(
            ModeTransfer(
                mode.id, mode.name, mine, theirs, standing(mine, list(theirs.values())), reach(mine, theirs.values())
            )
        )
    return found


def standing(own: OnTarget, others: Sequence[OnTarget]) -> Standing:
    """z = (x - mean of the others) / their standard deviation, where x is a target's excess, its failure rate on the
    mode less its rate elsewhere: a target that is weaker all over does not stand out by that.

    p is that of Crawford & Howell (The Clinical Neuropsychologist 12, 1998) for one against a small sample of n: that
    z / √(1 + 1/n) follows Student's t with n - 1 degrees of freedom. It takes the others for a sample of like targets.
    """
    own_excess = _excess(own)
    excesses = [excess for excess in map(_excess, others) if excess is not None]
    n = len(excesses)
    if own_excess is None:
        return Standing(None, None, n, "no rate of the run's own target")
    if n < 2:
        return Standing(None, None, n, f"{n} other targets with a rate; a deviation among them needs 2")
    spread = stdev(excesses)
    if spread < 1e-9:
        return Standing(None, None, n, "the others do not differ")
    z = (own_excess - fmean(excesses)) / spread
    return Standing(z, float(2 * stdtr(n - 1, -abs(z) / sqrt(1 + 1 / n))), n)


def least_telling_z(n_others: int, level: float = 0.95) -> float | None:
    """The z from which on `standing` finds p < 1 - level with so many other targets; None where it never can."""
    if n_others < 2:
        return None
    return float(stdtrit(n_others - 1, 0.5 + level / 2) * sqrt(1 + 1 / n_others))


def reach(own: OnTarget, others: Iterable[OnTarget]) -> Reach:
    """What becomes of a mode, by whether each target has it."""
    theirs = {one.sharing for one in others}
    if own.sharing is not Sharing.HAS or not theirs:
        return Reach.UNDETERMINED
    if {Sharing.HAS, Sharing.LACKS} <= theirs:
        return Reach.SHARED
    if theirs == {Sharing.HAS}:
        return Reach.UNIVERSAL
    return Reach.SPECIFIC if theirs == {Sharing.LACKS} else Reach.UNDETERMINED


class _Verdicts:
    """One target's verdicts on N questions, as arrays."""

    def __init__(self, asked: Sequence[Probe], places: Sequence[tuple[int, int]], probes: Iterable[Probe]) -> None:
        verdicts = {(probe.key.step, probe.key.index): probe.verdict for probe in probes}
        said = [verdicts.get(place, Verdict.UNDECIDED) for place in places]
        images = {image: i for i, image in enumerate(sorted({image_key(probe) for probe in asked}))}
        self._valid_N: NDArray[np.bool_] = np.array([verdict.valid for verdict in said], dtype=np.bool_)
        self._wrong_N: NDArray[np.bool_] = np.array([verdict is Verdict.WRONG for verdict in said], dtype=np.bool_)
        self._image_N = np.array([images[image_key(probe)] for probe in asked], dtype=np.int64)

    def on(self, members_N: NDArray[np.bool_], own: OnTarget | None = None) -> OnTarget:
        """The rates inside and outside of a mode. `own` is the run's target there, None for that one itself."""
        inside = rate_by_image(self._wrong_N, self._image_N, members_N & self._valid_N)
        outside = rate_by_image(self._wrong_N, self._image_N, ~members_N & self._valid_N)
        ratio = lift(inside, outside)
        if holds_up(inside, outside, ratio):
            sharing = Sharing.HAS
        else:
            sharing = Sharing.LACKS if own is not None and _below(inside, ratio, own) else Sharing.UNCLEAR
        return OnTarget(inside, outside, ratio, sharing)


def _below(inside: Rate, ratio: Estimate, own: OnTarget) -> bool:
    """Whether the intervals of a rate, or of its ratio to the rate elsewhere, lie wholly below the own target's."""
    pairs = ((inside.high, own.failure.low), (ratio.high, own.lift.low))
    return any(high is not None and low is not None and high < low for high, low in pairs)


def _excess(one: OnTarget) -> float | None:
    if one.failure.value is None or one.elsewhere.value is None:
        return None
    return one.failure.value - one.elsewhere.value

"""What it means to have discovered a planted spot. Pure functions of flags over probes; knows no key and no method.

All is measured on N fresh probes, uniformly drawn and valid, on which no mode was sought. Suffixes: M found modes,
S planted spots.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from gadfly.analysis.rates import Rate
from gadfly.analysis.statistics import Flags
from gadfly.bench.proportions import Images, plain_rate, rate_over
from gadfly.records import Verdict

WITHIN = 0.7
"""A mode recalls a spot only if at least this share of the mode's failures lie in the spot …"""
COVERED = 0.5
"""… and the mode covers at least this share of the spot's failures."""


class Standing(StrEnum):
    """What a found mode turned out to be."""

    PLANTED = "planted"  # it recalls a spot
    REAL = "real, not planted"  # the target does fail more often in it; nobody planted that
    FALSE = "false"  # the target fails no more often in it than outside it
    UNMEASURED = "unmeasured"  # no fresh probe fell into it


@dataclass(frozen=True, slots=True)
class FoundMode:
    """One found mode. `recalls` are the places of the spots that it recalls; `inside` and `outside` are the failure
    rates in it and in its complement."""

    standing: Standing
    recalls: tuple[int, ...]
    inside: Rate
    outside: Rate


@dataclass(frozen=True, slots=True)
class PlantedSpot:
    """One planted spot: how many of the fresh probes lie in it, how many of those are WRONG, and whether a mode recalls
    it: None where it has no failure that could be covered."""

    n: int
    n_wrong: int
    recalled: bool | None


@dataclass(frozen=True, slots=True)
class Discovery:
    """`precision`: of the modes that fresh probes fell into, the share that is not false. `recall`: of the spots with
    failures, the share that a mode recalls."""

    modes: tuple[FoundMode, ...]
    spots: tuple[PlantedSpot, ...]
    precision: Rate
    recall: Rate


def discovery(
    failures_N: Flags, in_mode_M_N: Flags, in_spot_S_N: Flags, images_N: Images, rng: np.random.Generator
) -> Discovery:
    """Which spots the found modes recall, and which modes are false. `images_N` are the probes' images, over which the
    rates' intervals are taken.

    A mode that names no weakness recalls none: a false one, and one that all probes are in, has no complement that it
    could be worse than.
    """
    assert in_mode_M_N.shape[1:] == in_spot_S_N.shape[1:] == failures_N.shape == (len(images_N),)
    modes = tuple(_found(failures_N, mode_N, in_spot_S_N, images_N, rng) for mode_N in in_mode_M_N)
    recalled = {s for mode in modes for s in mode.recalls}
    spots = tuple(
        PlantedSpot(int(spot_N.sum()), wrong, (s in recalled) if wrong else None)
        for s, spot_N in enumerate(in_spot_S_N)
        for wrong in [int((spot_N & failures_N).sum())]
    )
    measured = [mode for mode in modes if mode.standing is not Standing.UNMEASURED]
    sought = [spot for spot in spots if spot.recalled is not None]
    return Discovery(
        modes,
        spots,
        plain_rate(sum(mode.standing is not Standing.FALSE for mode in measured), len(measured)),
        plain_rate(sum(spot.recalled is True for spot in sought), len(sought)),
    )


def _found(
    failures_N: Flags, mode_N: Flags, in_spot_S_N: Flags, images_N: Images, rng: np.random.Generator
) -> FoundMode:
    image_of = np.asarray(images_N)
    inside = rate_over(failures_N[mode_N], image_of[mode_N], rng)
    outside = rate_over(failures_N[~mode_N], image_of[~mode_N], rng)
    if inside.value is None:
        return FoundMode(Standing.UNMEASURED, (), inside, outside)
    if outside.value is None or inside.value <= outside.value:
        return FoundMode(Standing.FALSE, (), inside, outside)
    recalls = tuple(s for s, spot_N in enumerate(in_spot_S_N) if recall_holds(failures_N, mode_N, spot_N))
    return FoundMode(Standing.PLANTED if recalls else Standing.REAL, recalls, inside, outside)


def recall_holds(failures_N: Flags, mode_N: Flags, spot_N: Flags) -> bool:
    """Whether a mode recalls a spot: enough of its failures lie in it, and it covers enough of the spot's."""
    of_mode, of_spot = int((failures_N & mode_N).sum()), int((failures_N & spot_N).sum())
    shared = int((failures_N & mode_N & spot_N).sum())
    # In whole numbers' ratios: 7 of 10 is 70%, whatever 0.7 is in binary.
    return shared > 0 and shared / of_mode >= WITHIN and shared / of_spot >= COVERED


def excess_fdr(
    organism_N: Sequence[Verdict], twin_N: Sequence[Verdict], images_N: Images, rng: np.random.Generator
) -> Rate:
    """The share of excess failures (WRONG for the organism, RIGHT for its clean twin on the same probe) among the
    probes that are decided for both."""
    both = [
        (organism is Verdict.WRONG and twin is Verdict.RIGHT, image)
        for organism, twin, image in zip(organism_N, twin_N, images_N, strict=True)
        if organism.decided and twin.decided
    ]
    return rate_over(np.array([excess for excess, _ in both], dtype=bool), [image for _, image in both], rng)


def share_planted(failures_N: Flags, in_spot_S_N: Flags, images_N: Images, rng: np.random.Generator) -> Rate:
    """Of the failures, the share that lies in any planted spot."""
    planted_N: Flags = np.asarray(in_spot_S_N.any(axis=0))
    return rate_over(planted_N[failures_N], np.asarray(images_N)[failures_N], rng)


def wrong_by_spot(failures_N: Flags, in_spot_S_N: Flags) -> list[int]:
    """How many WRONG probes lie in each spot. One may lie in several."""
    return [int(n) for n in (in_spot_S_N & failures_N).sum(axis=1)]

"""How much of what a questioner can show has been seen, and what more probes would show. Holds for a frozen one only.

A questioner that learns asks something else tomorrow, and then nothing can be said of its next thousand probes; nor of
those of a sweep that goes through the same questions again. Suffixes: K kinds of thing, I images, E entries.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, stdtrit

from gadfly.analysis.clustered import clustered_rates, sums_of_groups
from gadfly.analysis.items import named_skills
from gadfly.analysis.rates import Rate, distinct, image_key
from gadfly.analysis.statistics import LEVEL, Estimate, Floats, wilson_interval
from gadfly.protocols import Annotator
from gadfly.records import Probe, Verdict

MORE = 1000
CURVE_POINTS = 12
MIN_WRONG_IMAGES = 5  # the glossary's bound of a failing combination

Whole = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Point:
    """The expected number of distinct things in `n` of the probes, drawn at random."""

    n: int
    distinct: Estimate


@dataclass(frozen=True, slots=True)
class Growth:
    """The distinct things of one kind: `observed` in `n` probes. `curve` is the rarefaction curve. `unseen` is the
    chance that the next probe that shows any shows one not seen before (Good & Turing), `new_in_more` how many further
    ones `more` probes would show."""

    observed: int
    n: int
    curve: tuple[Point, ...]
    unseen: Estimate
    more: int
    new_in_more: Estimate


@dataclass(frozen=True, slots=True)
class FailingCombination:
    """A combination that is WRONG on at least MIN_WRONG_IMAGES images and whose failure rate has its lower bound above
    `at_depth`, the target's failure rate over questions of the same depths."""

    skills: tuple[str, ...]
    failure: Rate
    wrong_images: int
    at_depth: float


@dataclass(frozen=True, slots=True)
class Coverage:
    """Skills that valid questions needed, combinations that they needed, combinations that were WRONG; which of these
    are failing (`FailingCombination`); and what more probes would bring, in a sentence."""

    skills: Growth
    combinations: Growth
    wrong_combinations: Growth
    failing: tuple[FailingCombination, ...]
    sentence: str


def coverage(probes: Iterable[Probe], annotator: Annotator | None = None, more: int = MORE) -> Coverage | str:
    """The coverage of a frozen questioner's distinct probes, or why there is none."""
    asked = distinct(probes)
    good = [i for i, probe in enumerate(asked) if probe.verdict.valid]
    skills = dict(zip(good, named_skills([asked[i] for i in good], annotator), strict=True))
    valid = [i for i in good if skills[i] is not None]
    if not valid:
        return "no valid question has known skills"
    images = {key: i for i, key in enumerate(sorted({image_key(probe) for probe in asked}))}
    image_N = np.array([images[image_key(probe)] for probe in asked], dtype=np.int64)
    wrong_N = np.array([probe.verdict is Verdict.WRONG for probe in asked], dtype=np.bool_)
    sets = {i: tuple(sorted(set(skills[i] or ()))) for i in valid}
    single = [(i, skill) for i in valid for skill in sets[i]]
    combined = [(i, sets[i]) for i in valid]
    wrong = [(i, some) for i, some in combined if wrong_N[i]]
    per_image = np.bincount(image_N, minlength=len(images))
    kinds: tuple[Sequence[tuple[int, object]], ...] = (single, combined, wrong)
    growths = [_growth_of(pairs, image_N, per_image, more) for pairs in kinds]
    failing = _failing(asked, combined, image_N, wrong_N)
    return Coverage(growths[0], growths[1], growths[2], failing, _sentence(growths[2]))


def _growth_of(pairs: Sequence[tuple[int, object]], image_N: Whole, per_image_I: Whole, more: int) -> Growth:
    names = {name: k for k, name in enumerate(sorted({name for _, name in pairs}, key=str))}
    rows = np.array([i for i, _ in pairs], dtype=np.int64)
    kinds = np.array([names[name] for _, name in pairs], dtype=np.int64)
    return growth(kinds, image_N[rows], per_image_I, more)


def growth(kind_E: Whole, image_E: Whole, per_image_I: Whole, more: int = MORE, level: float = LEVEL) -> Growth:
    """The growth of distinct kinds, from one entry E for every kind that a probe shows, and the number of probes about
    each image, those that show nothing included.

    Rarefaction: Hurlbert, Ecology 52, 1971, in the incidence form of Mao, Colwell & Chang, Biometrics 61, 2005.
    Unseen: the share of entries whose kind was shown once (Good, Biometrika 40, 1953). New ones: the extrapolation of
    Chao et al., Ecological Monographs 84, 2014, incidence form. Intervals are value ± t · s, s by the
    jackknife over images (`comparison.rarefy` says why not the bootstrap), or where no kind was shown once only, up to
    Wilson's bound for none of as many entries; that of the new ones also holds the chance of what the next probes show,
    by Poisson's variance, since it is said of what will be counted. Where the extrapolation is 0 (none or one was shown
    once, none twice), up to what there were if all further entries were as likely new as the next one may be."""
    n_images, total = len(per_image_I), int(per_image_I.sum())
    counts_K = np.bincount(kind_E)
    left = _LeftOut(kind_E, image_E, per_image_I, counts_K)

    def estimate(value: float, without_I: Floats, chance: float = 0.0, most: float = np.inf) -> Estimate:
        if n_images < 2:
            return Estimate(value, None, None, "one image: no interval")
        variance = (n_images - 1) * float(without_I.var()) + chance
        half = float(stdtrit(n_images - 1, 0.5 + level / 2)) * variance**0.5
        return Estimate(value, max(0.0, value - half), min(most, value + half))

    sizes = sorted({max(1, round(total * part / CURVE_POINTS)) for part in range(1, CURVE_POINTS + 1)}) if total else []
    curve = tuple(Point(n, estimate(*left.rarefied(n))) for n in sizes)
    if not len(kind_E):
        nothing = Estimate.missing("nothing of the kind was seen")
        return Growth(0, total, curve, nothing, more, nothing)
    once, twice = (float(np.count_nonzero(counts_K == times)) for times in (1, 2))
    unseen = estimate(once / len(kind_E), left.once_I / np.maximum(left.entries_I, 1), most=1.0)
    new = float(_new_kinds(np.array(total), np.array(once), np.array(twice), more))
    new_I = _new_kinds(left.total_I, left.once_I, left.twice_I, more)
    new_in_more = estimate(new, new_I, chance=new)
    if once == 0 and n_images > 1:  # nothing varies, which does not mean that nothing is uncertain
        unseen = replace(unseen, high=wilson_interval(0, len(kind_E), level)[1])
    if new == 0 and unseen.high is not None:  # each further entry may be of a new kind, as likely as the next one
        new_in_more = replace(new_in_more, high=unseen.high * more * len(kind_E) / total)
    return Growth(int(np.count_nonzero(counts_K)), total, curve, unseen, more, new_in_more)


def _new_kinds(total: Floats | Whole, once: Floats, twice: Floats, more: int) -> Floats:
    """How many kinds `more` further probes would show for the first time: Q0 · (1 - (1 - Q1/(T·Q0 + Q1))^more), with Q0
    the kinds that were never shown, by Chao2: (T-1)/T · Q1²/(2·Q2), or (T-1)/T · Q1·(Q1-1)/2 where Q2 is 0."""
    total = np.maximum(np.asarray(total, dtype=np.float64), 1.0)
    unseen = (
        (total - 1)
        / total
        * np.where(twice > 0, once**2 / (2 * np.maximum(twice, 1)), once * np.maximum(once - 1, 0) / 2)
    )
    chance = np.divide(once, total * unseen + once, out=np.zeros_like(unseen), where=unseen > 0)
    return np.asarray(unseen * (1 - (1 - chance) ** more))


class _LeftOut:
    """What there is without each image in turn: probes, entries, kinds shown once and twice; and rarefied numbers."""

    def __init__(self, kind_E: Whole, image_E: Whole, per_image_I: Whole, counts_K: Whole) -> None:
        n_images, width = len(per_image_I), max(len(counts_K), 1)
        pairs_P, here_P = np.unique(image_E * width + kind_E, return_counts=True)  # P: pairs of image and kind
        self._image_P, kind_P = pairs_P // width, pairs_P % width
        self._before_P = counts_K[kind_P] if len(counts_K) else np.zeros(0, np.int64)
        self._after_P = self._before_P - here_P
        self._counts_K = counts_K
        self._n_images = n_images
        self._total = int(per_image_I.sum())
        self.total_I = self._total - per_image_I.astype(np.int64)
        self.entries_I = len(kind_E) - np.bincount(image_E, minlength=n_images)
        self.once_I = self._shown(1)
        self.twice_I = self._shown(2)
        self._log_factorial = gammaln(np.arange(self._total + 1) + 1.0)

    def _shown(self, times: int) -> Floats:
        change_P = (self._after_P == times).astype(np.float64) - (self._before_P == times)
        changes_I = np.bincount(self._image_P, weights=change_P, minlength=self._n_images)
        return np.asarray(float(np.count_nonzero(self._counts_K == times)) + changes_I)

    def rarefied(self, n: int) -> tuple[float, Floats]:
        """The expected number of kinds in n of all probes, and in n of those without each image (all, where fewer)."""
        counts, times = np.unique(self._counts_K[self._counts_K > 0], return_counts=True)
        value = float((times * self._seen(counts, self._total, n)).sum())
        without_I = np.zeros(self._n_images)
        for total in np.unique(self.total_I):
            images = np.flatnonzero(self.total_I == total)
            some_P = np.flatnonzero(self.total_I[self._image_P] == total)
            drawn = min(n, int(total))
            # Kinds that an image does not show keep their count, though it may be more than is left of the probes.
            whole = float((times * self._seen(np.minimum(counts, total), int(total), drawn)).sum())
            after = self._seen(self._after_P[some_P], int(total), drawn)
            before = self._seen(np.minimum(self._before_P[some_P], total), int(total), drawn)
            changes_I = np.bincount(self._image_P[some_P], weights=after - before, minlength=self._n_images)
            without_I[images] = whole + changes_I[images]
        return value, without_I

    def _seen(self, counts: Whole, total: int, n: int) -> Floats:
        """The chance that n of `total` probes hold one of `counts`: 1 - C(total - count, n) / C(total, n)."""
        table, rest = self._log_factorial, total - counts
        possible = rest >= n
        log_missed = table[rest] - table[np.where(possible, rest - n, 0)] + table[total - n] - table[total]
        return np.where(possible, -np.expm1(np.minimum(log_missed, 0.0)), 1.0)


def _failing(
    probes: list[Probe], combined: list[tuple[int, tuple[str, ...]]], image_N: Whole, wrong_N: NDArray[np.bool_]
) -> tuple[FailingCombination, ...]:
    rows = np.array([i for i, _ in combined], dtype=np.int64)
    names = sorted({some for _, some in combined})
    number = {some: k for k, some in enumerate(names)}
    group = np.array([number[some] for _, some in combined], dtype=np.int64)
    rates = clustered_rates(sums_of_groups(group, image_N[rows], wrong_N[rows], len(names)))
    depth = np.array([probes[i].judgement.depth or 0 for i in rows], dtype=np.int64)  # 0: unknown, a class of its own
    at_depth = np.bincount(depth, weights=wrong_N[rows]) / np.maximum(np.bincount(depth), 1)
    expected = np.bincount(group, weights=at_depth[depth]) / np.bincount(group)
    failed = wrong_N[rows]
    pairs = np.unique(group[failed] * (int(image_N.max()) + 1) + image_N[rows][failed])
    wrong_images = np.bincount(pairs // (int(image_N.max()) + 1), minlength=len(names))
    found = [
        FailingCombination(names[k], rate, int(wrong_images[k]), float(expected[k]))
        for k, rate in enumerate(rates)
        if wrong_images[k] >= MIN_WRONG_IMAGES and rate.low is not None and rate.low > expected[k]
    ]
    return tuple(sorted(found, key=lambda one: (one.failure.n * one.at_depth - one.failure.successes, one.skills)))


def _sentence(wrong: Growth) -> str:
    new = wrong.new_in_more
    if new.value is None:
        return "No combination of skills was answered WRONG, so nothing can be said of further ones."
    if new.low is None or new.high is None:
        return "All probes are about one image, so nothing can be said of further ones."
    return (
        f"Another {wrong.more:,} probes would find about {new.value:.0f} ({new.low:.0f} to {new.high:.0f}) "
        "combinations of skills that were not answered WRONG before."
    )

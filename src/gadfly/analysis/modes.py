"""Failure modes: what the target fails at reliably, found on one half of the images and measured on the other.

Knows probes and their items; asks nobody anything, so it confirms nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from gadfly.analysis.clustered import lift, rate_by_image
from gadfly.analysis.items import ItemTable
from gadfly.analysis.mining import Find, MiningSettings, mine
from gadfly.analysis.novelty import KnownFailures, Novelty, novelty
from gadfly.analysis.rates import ImageKey, Rate
from gadfly.analysis.statistics import Estimate, Flags
from gadfly.analysis.training import Mean, clustered_mean
from gadfly.analysis.wording import describe, title
from gadfly.records import ProbeKey

MAX_EVIDENCE = 20


class Confirmation(StrEnum):
    """What fresh probes about new images said of a mode (`confirmation.py`); UNTESTED before there are any. OPEN: they
    are too few to say."""

    UNTESTED = "untested"
    CONFIRMED = "confirmed"
    NOT_CONFIRMED = "not confirmed"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Found:
    """How a mode was found, on the searched half of the images: n, WRONG, images, and q, its p-value after Benjamini
    and Hochberg. `matched` is by how much it fails more often than questions that need the same skills, where that is
    why it was found. Rates here are too high, since they were chosen for that; `Mode.failure` is the honest one."""

    n: int
    wrong: int
    images: int
    wrong_images: int
    q: float
    matched: float | None


@dataclass(frozen=True, slots=True)
class Confirming:
    """What a confirmation rests on beside its rate: how many images and how many paraphrases the confirming probes
    have, and the base rate that the rate's lower bound must be above. `reason` says why it is not CONFIRMED."""

    images: int
    paraphrased: int
    base: Rate
    reason: str | None


@dataclass(frozen=True, slots=True)
class Mode:
    """A set of items on which the target's failure rate is reliably above its rate elsewhere.

    `failure` is the failure rate on the half of the images that was not searched, `elsewhere` that of the probes there
    that no mode holds (of all others, where each probe is in some mode), `lift` their ratio. `held_up` says whether the
    lift's interval lies above 1, None where the half says nothing of the mode. `depth` is the mean depth of its WRONG
    probes. `evidence` are WRONG probes of both halves, the most telling first. `confirmed_failure` is the rate on the
    confirming probes, once there are any, and `confirming` what it rests on.

    `id` depends on the items only: it is the same in every run and does not change as probes are added.
    """

    id: str
    name: str
    description: str
    items: tuple[str, ...]
    failure: Rate
    elsewhere: Rate
    lift: Estimate
    held_up: bool | None
    found: Found
    depth: Mean
    evidence: tuple[ProbeKey, ...]
    novelty: Novelty | None = None
    confirmation: Confirmation = Confirmation.UNTESTED
    confirmed_failure: Rate | None = None
    confirming: Confirming | None = None


@dataclass(frozen=True, slots=True)
class ModeSearch:
    """The modes, those that held up first and then by the failures they explain; and what was searched.

    `n_tested` itemsets were tested on `n_searched` probes about `images_searched` images; `n_measured` probes about
    `images_measured` others measured what was found, and no mode holds `n_in_none` of these. `reason` says why nothing
    could be searched, where that is so."""

    modes: tuple[Mode, ...]
    n_tested: int
    n_searched: int
    images_searched: int
    n_measured: int
    images_measured: int
    n_in_none: int
    n_without_skills: int
    reason: str | None


def covers(mode: Mode, items_of_probe: frozenset[str]) -> bool:
    """Whether a probe with these items (`items.items_by_probe`) belongs to the mode: it has all of the mode's."""
    return items_of_probe.issuperset(mode.items)


def mode_id(items: Collection[str]) -> str:
    """The identity of the mode with these items."""
    return "m" + hashlib.sha256("\n".join(sorted(items)).encode("utf-8", "surrogatepass")).hexdigest()[:10]


def is_searched(image: ImageKey) -> bool:
    """Whether an image belongs to the half that is searched; the other half measures. A pure function of the ids, so
    that no image changes sides as probes are added, and no other split is cut along the same line."""
    digest = hashlib.sha256(("modes:" + "\n".join(image)).encode("utf-8", "surrogatepass")).digest()
    return digest[0] % 2 == 0


def find_modes(
    table: ItemTable, settings: MiningSettings | None = None, known: KnownFailures | None = None
) -> ModeSearch:
    """The failure modes of the probes in a table. `known` is the list that novelty is judged against."""
    settings = MiningSettings() if settings is None else settings
    searched_I = np.array([is_searched(image) for image in table.images], dtype=np.bool_)
    searched_N = searched_I[table.image_N] if len(table.image_N) else np.zeros(0, dtype=np.bool_)
    reason = _reason(table, searched_N, settings)
    finds: list[Find] = []
    n_tested = 0
    if reason is None:
        finds, tested = mine(
            table.holds_N_K[searched_N], table.wrong_N[searched_N], table.image_N[searched_N], table.items, settings
        )
        n_tested = len(tested.n_M)
        if n_tested == 0:
            reason = f"nothing is shared by {settings.min_probes} probes about {settings.min_images} images"
    found = [(find, tuple(sorted(table.items[k] for k in find.columns))) for find in finds]
    in_none_N = ~searched_N
    for _, items in found:
        in_none_N &= ~table.members(items)
    modes = [_mode(table, find, items, ~searched_N, in_none_N, known) for find, items in found]
    modes.sort(key=lambda mode: (mode.held_up is not True, -_explained(mode), mode.id))
    return ModeSearch(
        tuple(modes),
        n_tested,
        n_searched=int(searched_N.sum()),
        images_searched=int(searched_I.sum()),
        n_measured=int((~searched_N).sum()),
        images_measured=int((~searched_I).sum()),
        n_in_none=int(in_none_N.sum()),
        n_without_skills=table.n_without_skills,
        reason=reason,
    )


def _reason(table: ItemTable, searched_N: Flags, settings: MiningSettings) -> str | None:
    if not len(table.probes):
        return "no question was both valid and judged"
    if not table.wrong_N.any():
        return f"all {len(table.probes)} answers were RIGHT"
    if table.wrong_N.all():
        return f"all {len(table.probes)} answers were WRONG, so that nothing stands out"
    if not table.items:
        return "nothing is known of the questions by which they could be told apart"
    images = len(set(table.image_N[searched_N].tolist()))
    if searched_N.sum() < settings.min_probes or images < settings.min_images:
        return (
            f"too few probes: modes are searched on one half of the images, which has {int(searched_N.sum())} probes "
            f"about {images} images; a mode needs {settings.min_probes} about {settings.min_images}"
        )
    return None


def _mode(
    table: ItemTable,
    find: Find,
    items: tuple[str, ...],
    measured_N: Flags,
    in_none_N: Flags,
    known: KnownFailures | None,
) -> Mode:
    members_N = table.members(items)
    others_N = _background(members_N, in_none_N, measured_N)
    inside = rate_by_image(table.wrong_N, table.image_N, members_N & measured_N)
    outside = rate_by_image(table.wrong_N, table.image_N, others_N)
    ratio = lift(inside, outside)
    wrong = np.flatnonzero(members_N & table.wrong_N)
    return Mode(
        id=mode_id(items),
        name=title(items),
        description=describe(items, inside, outside),
        items=items,
        failure=inside,
        elsewhere=outside,
        lift=ratio,
        held_up=holds_up(inside, outside, ratio),
        found=Found(find.n, find.wrong, find.images, find.wrong_images, find.q, find.matched),
        depth=_depth(table, wrong),
        evidence=_evidence(table, wrong),
        novelty=None if known is None else novelty(items, known),
    )


def holds_up(inside: Rate, outside: Rate, ratio: Estimate) -> bool | None:
    """Whether a rate is reliably above the one elsewhere, `ratio` being their ratio; None without probes."""
    if inside.low is None or outside.high is None:
        return None
    if ratio.low is None:  # nothing else ever failed
        return inside.low > outside.high
    return ratio.low > 1


def _background(members_N: Flags, in_none_N: Flags, measured_N: Flags) -> Flags:
    """The measured probes that a mode's are compared with: those in no mode. Among all others, other modes would hide
    it, the more the better a questioner keeps to what fails. Where every probe is in some mode, all others."""
    return in_none_N if in_none_N.any() else ~members_N & measured_N


def _explained(mode: Mode) -> float:
    """How many failures of the measuring half it has beyond those that the rate elsewhere would give it."""
    return mode.failure.successes - mode.failure.n * (mode.elsewhere.value or 0.0)


def _depth(table: ItemTable, wrong: NDArray[np.intp]) -> Mean:
    by_image: dict[int, list[float]] = {}
    for row in wrong:
        depth = table.probes[row].judgement.depth
        if depth is not None:
            by_image.setdefault(int(table.image_N[row]), []).append(float(depth))
    return clustered_mean([by_image[image] for image in sorted(by_image)])


def _evidence(table: ItemTable, wrong: NDArray[np.intp]) -> tuple[ProbeKey, ...]:
    """The simplest questions first, since there the fewest other things can be to blame: by depth, number of items and
    length; each image once before any comes again."""
    probes = [table.probes[row] for row in wrong]
    n_items = table.holds_N_K[wrong].sum(axis=1)
    ranked = sorted(
        range(len(probes)),
        key=lambda i: (probes[i].judgement.depth or 0, n_items[i], len(probes[i].question), _order(probes[i].key)),
    )
    seen: dict[int, int] = {}
    rounds: list[tuple[int, int]] = []
    for place, i in enumerate(ranked):
        image = int(table.image_N[wrong[i]])
        rounds.append((seen.get(image, 0), place))
        seen[image] = seen.get(image, 0) + 1
    return tuple(probes[ranked[place]].key for _, place in sorted(rounds)[:MAX_EVIDENCE])


def _order(key: ProbeKey) -> tuple[str, int, int, int]:
    return key.phase, key.attempt, key.step, key.index

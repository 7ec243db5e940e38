"""Whether failure modes hold on fresh images. Knows probes that were made to find that out; makes none.

Confirming probes put a mode's own questions, and paraphrases of them, to images that the analysed phase never asked
about. A probe counts for the mode that it was made for, if it has that mode's items: one that was made for another mode
would bring that one's failures along, and a set of items that only overlaps with a mode would be confirmed by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from gadfly.analysis.clustered import rate_by_image
from gadfly.analysis.modes import Confirmation, Confirming, Mode, ModeSearch, covers
from gadfly.analysis.rates import Rate, distinct, image_key
from gadfly.records import Probe, Verdict

ItemsOf = Callable[[Sequence[Probe]], list[frozenset[str]]]

MIN_PROBES: Final = 30
MIN_IMAGES: Final = 20
MIN_PARAPHRASED: Final = 10
"""A third of MIN_PROBES: a mode that hangs on one wording must not be confirmed by that wording alone."""


@dataclass(frozen=True, slots=True)
class Support:
    """How many fresh valid probes a mode has, about how many images, and how many of them are paraphrases."""

    n: int
    images: int
    paraphrased: int

    @property
    def lacks(self) -> str | None:
        """What there is too little of to call a mode not confirmed, None where there is enough."""
        if self.n >= MIN_PROBES and self.images >= MIN_IMAGES:
            return None
        return f"{self.n} valid probes about {self.images} fresh images, of {MIN_PROBES} about {MIN_IMAGES} needed"


class Fresh:
    """What is new to the analysed phase, whose probes are `source`: images that it never asked about, words in which it
    never asked."""

    def __init__(self, source: Iterable[Probe]) -> None:
        self._images: set[str] = set()
        self._texts: set[str] = set()
        for probe in source:
            self._images.update(image.id for image in probe.images)
            self._texts.add(probe.question)

    def valid(self, mode: Mode, probes: Iterable[Probe], items_of: ItemsOf) -> list[Probe]:
        """Those of the probes that can confirm a mode: valid, about fresh images, each question about an image once,
        and of the mode."""
        fresh = [
            probe
            for probe in distinct(probes)
            if probe.verdict.valid and not any(image.id in self._images for image in probe.images)
        ]
        return [probe for probe, items in zip(fresh, items_of(fresh), strict=True) if covers(mode, items)]

    def support(self, valid: Sequence[Probe]) -> Support:
        """What there is of such probes."""
        paraphrased = sum(probe.question not in self._texts for probe in valid)
        return Support(len(valid), len({image_key(probe) for probe in valid}), paraphrased)


def with_confirmations(
    search: ModeSearch,
    source: Iterable[Probe],
    made_for: Mapping[str, Sequence[Probe]],
    items_of: ItemsOf,
    base: Rate,
) -> ModeSearch:
    """The modes with what the confirming probes say of each. `source` are the probes of the analysed phase, `made_for`
    the confirming ones by the id of the mode they were made for, `base` the failure rate of the analysed phase over all
    its distinct valid probes."""
    if not made_for:
        return search
    fresh = Fresh(source)
    return replace(
        search,
        modes=tuple(_confirmed(mode, fresh, made_for.get(mode.id, ()), items_of, base) for mode in search.modes),
    )


def _confirmed(mode: Mode, fresh: Fresh, made: Sequence[Probe], items_of: ItemsOf, base: Rate) -> Mode:
    if not made:
        return mode
    valid = fresh.valid(mode, made, items_of)
    place = {image: i for i, image in enumerate(sorted({image_key(probe) for probe in valid}))}
    wrong_N = np.array([probe.verdict is Verdict.WRONG for probe in valid], dtype=np.bool_)
    image_N = np.array([place[image_key(probe)] for probe in valid], dtype=np.int64)
    found = rate_by_image(wrong_N, image_N, np.ones(len(valid), dtype=np.bool_))
    has = fresh.support(valid)
    confirmation, reason = _conclusion(found, has, base)
    return replace(
        mode,
        confirmation=confirmation,
        confirmed_failure=found,
        confirming=Confirming(has.images, has.paraphrased, base, reason),
    )


def _conclusion(found: Rate, has: Support, base: Rate) -> tuple[Confirmation, str | None]:
    """At least 30 valid probes about at least 20 fresh images, paraphrases among them, and the lower bound of the
    failure rate above the base rate. Where only the paraphrases are missing the mode stays OPEN."""
    if has.lacks is not None:
        return Confirmation.OPEN, has.lacks
    assert found.low is not None, "there are probes"
    if base.value is None or found.low <= base.value:
        said = "unknown" if base.value is None else f"{base.value:.1%}"
        return Confirmation.NOT_CONFIRMED, f"the lower bound {found.low:.1%} is not above the base rate {said}"
    if has.paraphrased < MIN_PARAPHRASED:
        return (
            Confirmation.OPEN,
            f"it holds, but {has.paraphrased} of the probes are paraphrases, and {MIN_PARAPHRASED} are needed",
        )
    return Confirmation.CONFIRMED, None

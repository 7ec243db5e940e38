"""Whether failure modes hold on fresh images. Knows probes that were made to find that out; makes none.

Confirming probes put a mode's own questions, and paraphrases of them, to images that the analysed phase never asked
about. A probe counts for every mode whose items it has, whichever it was made for, and for none that it has not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from gadfly.analysis.clustered import rate_by_image
from gadfly.analysis.modes import Confirmation, Confirming, Mode, ModeSearch, covers
from gadfly.analysis.rates import Rate, distinct, image_key
from gadfly.records import Probe, Verdict

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


class FreshProbes:
    """The probes of a confirming phase that can confirm something: valid, each question about an image once, about an
    image that `source`, the analysed phase, never asked about."""

    def __init__(self, source: Iterable[Probe], confirming: Iterable[Probe]) -> None:
        self._known_images, self._known_texts = set(), set()
        for probe in source:
            self._known_images.update(image.id for image in probe.images)
            self._known_texts.add(probe.question)
        self.probes: tuple[Probe, ...] = tuple(
            probe
            for probe in distinct(confirming)
            if probe.verdict.valid and not any(image.id in self._known_images for image in probe.images)
        )

    def is_paraphrase(self, probe: Probe) -> bool:
        """Whether the analysed phase never asked in these words."""
        return probe.question not in self._known_texts


def support(mode: Mode, fresh: FreshProbes, items: Sequence[frozenset[str]]) -> Support:
    """What there is of fresh probes for a mode; `items` are those of `fresh.probes`."""
    mine = _of_mode(mode, fresh, items)
    return Support(len(mine), len({image_key(probe) for probe in mine}), sum(map(fresh.is_paraphrase, mine)))


def with_confirmations(
    search: ModeSearch, fresh: FreshProbes, items: Sequence[frozenset[str]], base: Rate
) -> ModeSearch:
    """The modes with what the fresh probes say of each. `items` are those of `fresh.probes`, `base` the failure rate
    of the analysed phase over all its distinct valid probes."""
    return replace(search, modes=tuple(_confirmed(mode, fresh, items, base) for mode in search.modes))


def _confirmed(mode: Mode, fresh: FreshProbes, items: Sequence[frozenset[str]], base: Rate) -> Mode:
    mine = _of_mode(mode, fresh, items)
    if not mine:
        return mode
    place = {image: i for i, image in enumerate(sorted({image_key(probe) for probe in mine}))}
    wrong_N = np.array([probe.verdict is Verdict.WRONG for probe in mine], dtype=np.bool_)
    image_N = np.array([place[image_key(probe)] for probe in mine], dtype=np.int64)
    found = rate_by_image(wrong_N, image_N, np.ones(len(mine), dtype=np.bool_))
    has = Support(len(mine), len(place), sum(map(fresh.is_paraphrase, mine)))
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


def _of_mode(mode: Mode, fresh: FreshProbes, items: Sequence[frozenset[str]]) -> list[Probe]:
    return [probe for probe, some in zip(fresh.probes, items, strict=True) if covers(mode, some)]

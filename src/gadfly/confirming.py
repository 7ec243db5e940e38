"""Asks afresh about failure modes: a mode's own questions, and paraphrases of them, about images that were never asked
about. Knows modes, the probing loop, and how a store tells for which mode a probe was made; not where questions first
came from.

    texts of the mode × fresh images ──▶ paraphrase every other one ──▶ does it fit? ──▶ probing loop

What is asked for a mode follows from the mode, its texts, the images and the seed alone. So a confirmation that was
broken off goes on where it ended: what is in the store of it already is passed over, and counts.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, final

from gadfly.analysis.confirmation import MIN_IMAGES, MIN_PARAPHRASED, Fresh, ItemsOf
from gadfly.analysis.modes import Mode, covers
from gadfly.counts import Counts
from gadfly.images.order import image_order
from gadfly.probing import Probing, Written
from gadfly.protocols import Paraphraser, ProbeStore, Verifier
from gadfly.records import Completion, Image, Probe, ProbeKey, Question, Turn
from gadfly.store.sqlite import SqliteStore

OnConfirming = Callable[[int, int, str], None]

MODE: Final = "mode"
"""The name under which a step's metrics say which mode it was made for."""

_DRAWN_AT_ONCE: Final = 64  # pairs that are reworded and foreseen together
_MAX_FORESEEN: Final = 4096
"""So many pairs of a mode are looked through at most for those that fit. Of a mode whose questions fit one image in a
hundred, 40 are found."""


@final
@dataclass(frozen=True, slots=True)
class Ask:
    """A question to be put to a fresh image."""

    image: Image
    text: str


@final
@dataclass(frozen=True, slots=True)
class Confirming:
    """What confirming needs beside the loop. `source` are the probes of the analysed phase, `images` the fresh ones,
    `items_of` gives the items of probes. `verifier` is one that asks no model: it then says beforehand which questions
    fit; None asks them all and lets the verdict say. `paraphraser` is None where nobody can reword. Of a mode
    `per_mode` questions are asked at most, until `per_mode_valid` of them are valid and its own."""

    source: Sequence[Probe]
    images: Sequence[Image]
    items_of: ItemsOf
    verifier: Verifier | None
    paraphraser: Paraphraser | None
    per_mode: int
    per_mode_valid: int
    batch: int
    seed: int

    def confirm(
        self,
        modes: Sequence[Mode],
        probing: Probing,
        made_for: Mapping[str, Sequence[Probe]],
        *,
        phase: str,
        attempt: int,
        first_step: int,
        on_progress: OnConfirming | None = None,
    ) -> Counts:
        """Ask about the modes one after another, each until it has enough valid probes or `per_mode` questions were
        asked for it; how the probes turn out ends nothing. A step is for one mode, whose id is among the step's
        metrics. `made_for` are the probes of earlier sittings by that id; the counts returned are of those made here.
        `on_progress` gets (modes done, modes in all, name of the next)."""
        fresh, own = Fresh(self.source), [probe for probe in self.source if probe.verdict.valid]
        own_items = self.items_of(own)
        step, counts = first_step, Counts()
        for place, mode in enumerate(modes):
            made = list(made_for.get(mode.id, ()))
            asked = {(probe.images[0].id, probe.question) for probe in made}
            noted = replace(probing, store=_ForMode(probing.store, mode.id))
            left, drawn = self.per_mode, self._drawn(mode, own, own_items)
            while left > 0 and (wanted := self._wanted(mode, fresh, made)) > 0:
                if on_progress is not None:
                    on_progress(place, len(modes), mode.name)
                again, asks = self._next(drawn, asked, min(wanted, self.batch), left)
                left -= again + len(asks)
                if again + len(asks) == 0:
                    break
                if asks:
                    probes = noted.step(_written(asks), phase=phase, attempt=attempt, step=step).probes
                    made += probes
                    counts += Counts.of(probe.verdict for probe in probes)
                    step += 1
        if on_progress is not None:
            on_progress(len(modes), len(modes), "")
        return counts

    def _wanted(self, mode: Mode, fresh: Fresh, made: Sequence[Probe]) -> int:
        """How many valid probes a mode still lacks, at least. Waiting for paraphrases has an end only where there can
        be some."""
        has = fresh.support(fresh.valid(mode, made, self.items_of))
        paraphrases = 0 if self.paraphraser is None else MIN_PARAPHRASED - has.paraphrased
        return max(self.per_mode_valid - has.n, MIN_IMAGES - has.images, paraphrases, 0)

    def _next(self, drawn: Iterator[Ask], asked: set[tuple[str, str]], n: int, left: int) -> tuple[int, list[Ask]]:
        """(how many of the next were asked before, up to `n` that were not); `left` of both together at most."""
        again, asks = 0, list[Ask]()
        while len(asks) < n and again + len(asks) < left and (ask := next(drawn, None)) is not None:
            if (ask.image.id, ask.text) in asked:
                again += 1
            else:
                asks.append(ask)
        return again, asks

    def _drawn(self, mode: Mode, own: Sequence[Probe], own_items: Sequence[frozenset[str]]) -> Iterator[Ask]:
        """What to ask for a mode, in order: its texts, which are among the valid ones of `own`, and the images are gone
        through in shuffled passes, every second pair in other words where there are any. RIGHT and WRONG questions are
        drawn alike."""
        texts = sorted({probe.question for probe, items in zip(own, own_items, strict=True) if covers(mode, items)})
        if not texts or not self.images:
            return
        rng = random.Random(f"{self.seed}/{mode.id}")
        n = min(len(texts) * len(self.images), _MAX_FORESEEN)
        of_texts = image_order(len(texts), n, rng.getrandbits(32))
        of_images = image_order(len(self.images), n, rng.getrandbits(32))
        pairs = [Ask(self.images[i], texts[t]) for i, t in zip(of_images, of_texts, strict=True)]
        seen: set[Ask] = set()
        for first in range(0, n, _DRAWN_AT_ONCE):
            some = self._fitting(mode, self._reworded(pairs[first : first + _DRAWN_AT_ONCE]))
            for ask in some:
                if ask not in seen:
                    seen.add(ask)
                    yield ask

    def _reworded(self, pairs: Sequence[Ask]) -> list[Ask]:
        if self.paraphraser is None:
            return list(pairs)
        wordings = self.paraphraser.paraphrase([pair.text for pair in pairs[1::2]], self.seed)
        reworded = list(pairs)
        for place, wording in enumerate(wordings):
            if wording is not None:
                reworded[2 * place + 1] = Ask(pairs[2 * place + 1].image, wording)
        return reworded

    def _fitting(self, mode: Mode, asks: Sequence[Ask]) -> list[Ask]:
        """Those that are valid and belong to the mode, where that can be known before they are asked."""
        if self.verifier is None:
            return list(asks)
        questions = [Question((ask.image,), ask.text, 0) for ask in asks]
        judged = self.verifier.judge(questions, [Completion("")] * len(questions))
        probes = [
            Probe(ProbeKey("", 0, 0, i), 0, q.images, (Turn(q.text, Completion("")),), j)
            for i, (q, j) in enumerate(zip(questions, judged, strict=True))
        ]
        fits = [p.verdict.valid and covers(mode, items) for p, items in zip(probes, self.items_of(probes), strict=True)]
        return [ask for ask, one in zip(asks, fits, strict=True) if one]


def made_for(store: SqliteStore, phase: str) -> dict[str, list[Probe]]:
    """The probes of a confirming phase by the id of the mode that they were made for; steps that are not whole have
    none."""
    mode_of = {one.step: str(one.metrics[MODE]) for one in store.steps(phase)}
    found: dict[str, list[Probe]] = {}
    for probe in store.probes(phase):
        if probe.key.step in mode_of:
            found.setdefault(mode_of[probe.key.step], []).append(probe)
    return found


@final
class _ForMode:
    """A ProbeStore that notes among the metrics of each step which mode it was made for."""

    def __init__(self, store: ProbeStore, mode_id: str) -> None:
        self._store = store
        self._mode_id = mode_id

    def add(self, probes: Sequence[Probe]) -> None:
        self._store.add(probes)

    def add_step(self, phase: str, attempt: int, step: int, metrics: Mapping[str, Any]) -> None:
        self._store.add_step(phase, attempt, step, {**metrics, MODE: self._mode_id})


def _written(asks: Sequence[Ask]) -> list[Written]:
    groups: dict[str, int] = {}
    return [Written((ask.image,), Completion(ask.text), groups.setdefault(ask.image.id, len(groups))) for ask in asks]

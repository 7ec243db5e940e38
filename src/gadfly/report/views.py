"""What each page shows, put together from the material: modes with cards, tree, charts. Computes no numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from gadfly.analysis.items import kind_of
from gadfly.analysis.modes import Confirmation, Mode
from gadfly.analysis.novelty import Novelty
from gadfly.analysis.reading_order import Reading
from gadfly.analysis.summary import gallery
from gadfly.analysis.transfer import ModeTransfer
from gadfly.analysis.usage import total
from gadfly.analysis.wording import title
from gadfly.records import Probe, ProbeKey, Usage, Verdict
from gadfly.report.cards import SAID, SIGNS, Card, card
from gadfly.report.caveats import caveats
from gadfly.report.charts import Chart, coverage_chart, curriculum_charts, training_charts
from gadfly.report.follow_views import (
    REACHES,
    TESTED,
    LabelledView,
    OtherAnswers,
    confirmations,
    labelled_views,
    labels_of,
    reaches,
)
from gadfly.report.material import Material
from gadfly.report.sampling import sample, spread
from gadfly.report.taxonomy_map import Branch, branches
from gadfly.report.thumbnails import OpenImage, Thumbnails
from gadfly.report.wording import shown

PICTURE_BYTES = 9_000_000
"""Of data: URLs in all pages of a report together, so that it can be mailed; what is left is for the texts."""

SHORT = 4
"""A model's name with fewer letters is shown with the folder that it is in."""

EVIDENCE = 20
ALL_EVIDENCE = 500
"""Wrong answers on a mode's page, and on all of them together: where there are many modes each shows fewer."""

LEADING = 6
"""Modes that the front page shows with pictures, those to read first."""

FRESH = 6
NOISE = 4
"""Fresh questions on a mode's page; answers of the verifier's own that it calls wrong, on the front page."""

KNOWN = {
    Novelty.KNOWN: "known kind of failure",
    Novelty.NEW_COMBINATION: "new combination of known kinds",
    Novelty.NOVEL: "new kind of failure",
}

KINDS = {
    "skill": "needs",
    "family": "needs",
    "concept": "is about",
    "referent": "thing asked about",
    "answer": "right answer",
    "image": "picture",
}


@dataclass(frozen=True, slots=True)
class ModeView:
    """A failure mode with its page. `traits` are what its questions have in common, as (kind, value); `rank` is its
    place among those that held up, None for the others. `reading` says what it adds to those to be read before it, and
    `place` when to read it; None where it adds nothing. `example` is one of its cards. `fresh` are some of the
    questions by which it was tested, `transfer` what other targets make of it."""

    mode: Mode
    rank: int | None
    name: str
    description: str
    traits: tuple[tuple[str, str], ...]
    cards: tuple[Card, ...]
    example: Card | None
    place: int | None
    reading: Reading | None
    fresh: tuple[Card, ...]
    transfer: ModeTransfer | None

    @property
    def page(self) -> str:
        return f"modes/{self.mode.id}.html"

    @property
    def leading(self) -> tuple[Card, ...]:
        """Cards for a strip of pictures: different pictures, as far as there are."""
        by_image = {one.image_ids: one for one in reversed(self.cards) if one.thumbnails[0] is not None}
        return tuple(reversed(list(by_image.values())))[:4]

    @property
    def tested(self) -> str:
        return TESTED[self.mode.confirmation]

    @property
    def reach(self) -> str | None:
        return None if self.transfer is None else REACHES[self.transfer.reach]

    @property
    def known(self) -> str | None:
        return None if self.mode.novelty is None else KNOWN[self.mode.novelty]

    @property
    def confirmed(self) -> bool:
        return self.mode.confirmation is Confirmation.CONFIRMED


@dataclass(frozen=True, slots=True)
class Share:
    """One verdict's part of all different questions: for the bar at the top. `start` and `width` are in percent."""

    verdict: Verdict
    sign: str
    said: str
    n: int
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class Site:
    """Everything that the pages of one report show."""

    material: Material
    target: str
    questioner: str
    verifier: str
    shares: tuple[Share, ...]
    modes: tuple[ModeView, ...]
    tree: tuple[Branch, ...]
    charts: tuple[Chart, ...]
    curriculum_charts: tuple[Chart, ...]
    coverage_chart: Chart | None
    gallery: tuple[Card, ...]
    sample: tuple[Card, ...]
    sampled_skills: tuple[str, ...]
    caveats: tuple[tuple[str, str], ...]
    usage: Usage | None
    n_images: int
    images_hash: str
    config_json: str
    pictures_missing: bool
    labelled: tuple[LabelledView, ...]
    sampled_labels: tuple[str, ...]
    noise: tuple[Card, ...]
    confirmations: tuple[tuple[str, int], ...]
    reaches: tuple[tuple[str, int], ...]

    @property
    def held(self) -> tuple[ModeView, ...]:
        return tuple(one for one in self.modes if one.rank is not None)

    @property
    def reading(self) -> tuple[ModeView, ...]:
        """The modes in the order in which to read them, without those that add nothing."""
        return tuple(sorted((one for one in self.modes if one.place is not None), key=lambda one: one.place or 0))


def build_site(material: Material, open_image: OpenImage) -> Site:
    """The whole report, pictures included. What `open_image` raises as ImageError leaves a picture out."""
    thumbnails = Thumbnails(open_image, PICTURE_BYTES)
    by_key = {probe.key: probe for probe in material.probes}
    modes = _modes(material, by_key, thumbnails)
    shown_first = tuple(card(probe, material.skills, thumbnails) for probe in gallery(material.probes))
    labels = labels_of(material)
    said = [one.said for one in material.labelled]
    sampled = tuple(
        card(probe, material.skills, thumbnails, labels.get(probe.key, ()))
        for probe in sample(material.probes, material.skills, material.findings.search.modes, labels=said)
    )
    noise = () if material.noise is None else spread(material.noise.probes, NOISE)
    config, findings = material.origin.config, material.findings
    image_ids = sorted({image.id for probe in material.probes for image in probe.images})
    cards = [*shown_first, *sampled]
    return Site(
        material=material,
        target=_model(config, "target"),
        questioner=_model(config, "questioner"),
        verifier=_model(config, "verifier"),
        shares=_shares(material),
        modes=modes,
        tree=branches(findings.taxonomy),
        charts=tuple(training_charts(material.windows)),
        curriculum_charts=() if findings.curriculum is None else tuple(curriculum_charts(findings.curriculum)),
        coverage_chart=None if findings.coverage is None else coverage_chart(findings.coverage),
        gallery=shown_first,
        sample=sampled,
        sampled_skills=tuple(sorted({skill for one in sampled for skill in one.skills})),
        caveats=tuple(caveats(material)),
        usage=total(list(material.usage.values())) if material.usage else None,
        n_images=len(image_ids),
        images_hash=sha256("\n".join(image_ids).encode("utf-8", "surrogatepass")).hexdigest(),
        config_json=shown(json.dumps(config, indent=2, ensure_ascii=False), 20_000),
        pictures_missing=bool(cards) and all(one is None for card in cards for one in card.thumbnails),
        labelled=labelled_views(material),
        sampled_labels=tuple(sorted({mark for one in sampled for mark in one.labels})),
        noise=tuple(card(probe, material.skills, thumbnails) for probe in noise),
        confirmations=confirmations(findings.search.modes),
        reaches=() if material.transfer is None else reaches(material.transfer.modes),
    )


def evidence_link(verdict: Verdict | None = None, skill: str | None = None, label: str | None = None) -> str:
    """Where the probes behind a number are: the page of evidence, opened at a verdict, a skill or a label."""
    parts = []
    if verdict is not None:
        parts.append(f"verdict={verdict.value}")
    for name, wanted in (("skill", skill), ("label", label)):
        if wanted is not None:
            parts.append(f"{name}={quote(wanted, safe='', errors='replace')}")
    return "evidence.html" + (f"#{'&'.join(parts)}" if parts else "")


def _modes(material: Material, by_key: Mapping[ProbeKey, Probe], thumbnails: Thumbnails) -> tuple[ModeView, ...]:
    views, rank = [], 0
    modes = material.findings.search.modes
    n_each = min(EVIDENCE, max(6, ALL_EVIDENCE // max(len(modes), 1)))
    places = {one.mode.id: (place, one) for place, one in enumerate(material.reading, start=1)}
    others, labels = OtherAnswers(material), labels_of(material)

    def shown_card(probe: Probe) -> Card:
        return card(probe, material.skills, thumbnails, labels.get(probe.key, ()), others.of(probe))

    for mode in modes:
        rank += mode.held_up is True
        place, reading = places.get(mode.id, (None, None))
        first = mode.evidence[0] if reading is None and mode.evidence else None if reading is None else reading.example
        keys = list(mode.evidence[:n_each])
        if first is not None and first not in keys:
            keys = [*keys[: n_each - 1], first]
        cards = tuple(shown_card(by_key[key]) for key in keys if key in by_key)
        fresh = [probe for probe in material.fresh.get(mode.id, ()) if probe.verdict.valid]
        views.append(
            ModeView(
                mode=mode,
                rank=rank if mode.held_up is True else None,
                name=shown(mode.name, 160),
                description=shown(mode.description, 600),
                traits=tuple((KINDS[kind_of(item)], shown(_trait(item), 80)) for item in mode.items),
                cards=cards,
                example=next((one for one in cards if one.key == first), None),
                place=place,
                reading=reading,
                fresh=tuple(card(probe, material.skills, thumbnails) for probe in spread(fresh, FRESH)),
                transfer=None if material.transfer is None else material.transfer.modes.get(mode.id),
            )
        )
    return tuple(views)


def _trait(item: str) -> str:
    name = title([item])
    plain = {
        "answer": name.removeprefix("answer "),
        "image": name.removesuffix(" image"),
        "referent": name.removesuffix(" referent"),
    }
    return plain.get(kind_of(item), name)


def _shares(material: Material) -> tuple[Share, ...]:
    rates = material.rates
    counts = {
        Verdict.WRONG: rates.fdr.successes,
        Verdict.RIGHT: rates.valid.successes - rates.fdr.successes,
        Verdict.INVALID: rates.fdr.n - rates.valid.successes,
        Verdict.UNDECIDED: rates.undecided.successes,
    }
    shares, start = [], 0.0
    for verdict, n in counts.items():
        width = 100 * n / max(rates.n_probes, 1)
        shares.append(Share(verdict, SIGNS[verdict], SAID[verdict], n, start, width))
        start += width
    return tuple(shares)


def _model(config: Mapping[str, Any], role: str) -> str:
    """What a reader may call the model of a role: the end of its path, or what stands in its place."""
    settings = config.get(role) or {}
    if role == "questioner" and settings.get("method") == "uniform":
        return "uniform sampler"
    if role == "verifier" and settings.get("kind") in ("oracle", "reference"):
        return {"oracle": "oracle", "reference": "reference answers"}[settings["kind"]]
    path = str(settings.get("model") or "").rstrip("/").split("/")
    # A folder called "a" says too little by itself.
    return shown("/".join(path[-2:] if len(path[-1]) < SHORT else path[-1:]), 60) or f"the {role}"

"""Makes material for reports out of probes, as `gadfly report` does, and the odd runs that a report must stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import PIL.Image
from PIL.Image import Image as Picture

from gadfly.analysis.audit import audit, draw
from gadfly.analysis.comparison import compare, contrast
from gadfly.analysis.confirmation import with_confirmations
from gadfly.analysis.findings import analyse
from gadfly.analysis.items import items_by_probe, named_skills
from gadfly.analysis.rates import FDR, rates
from gadfly.analysis.reading_order import reading_order
from gadfly.analysis.training import curves, window_size
from gadfly.analysis.transfer import least_telling_z, on_same_questions, transfers
from gadfly.records import Completion, Image, Probe, Turn, Usage, Verdict
from gadfly.report.material import Labelled, Material, NoiseFloor, Origin, OtherTarget, Transferred
from made_probes import INVALID, RIGHT, UNDECIDED, WRONG, make_probe

CONFIG = {
    "target": {"model": "models/small-vlm"},
    "questioner": {"model": "asker", "method": "model"},
    "verifier": {"kind": "model", "model": "judge"},
}


def material_of(
    probes: Sequence[Probe], *, training: bool = True, others: dict[str, Sequence[Probe]] | None = None, **more: object
) -> Material:
    """The material of a phase with these probes; `more` replaces what it says of the run."""
    others = {} if others is None else others
    name = "train" if training else "sweep"
    rng = np.random.default_rng(0)
    skills = named_skills(probes, None)
    last = max((probe.key.step for probe in probes), default=0)
    findings = analyse(probes, training=training)
    held = [mode for mode in findings.search.modes if mode.held_up]
    parts: dict[str, object] = {
        "name": name,
        "origin": Origin("a-run", name, 1.7e9, 7, CONFIG, {"gadfly": "0.1.0", "python": "3.11"}, ()),
        "probes": probes,
        "skills": {p.key: some for p, some in zip(probes, skills, strict=True) if some is not None},
        "findings": findings,
        "rates": rates(probes, rng),
        "windows": tuple(curves(probes, window_size(last), rng)) if training else (),
        "usage": {"target": Usage(calls=len(probes), seconds=3.0)},
        "compared": tuple(compare({name: probes, **others}, rng)),
        "contrasts": tuple((f"{o} against {name}", contrast(some, probes, FDR, rng)) for o, some in others.items()),
        "reading": tuple(reading_order(held, probes, items_by_probe(probes, None))),
        **more,
    }
    return Material(**parts)  # type: ignore[arg-type]


def followed() -> Material:
    """An ordinary run after everything that can be done with it: labelled by Ann, who finds one WRONG in five right,
    and by Bob, who stopped at once; the verifier put in the target's place; three other targets, of which one fails as
    it does and one never; the mode asked about afresh."""
    return after(material_of(ordinary()))


def after(material: Material) -> Material:
    """The material once all that was done; where there are no modes, none of them was asked about."""
    probes = material.probes
    held = [one for one in material.findings.search.modes if one.held_up]
    drawn = draw(probes, 120, 0, lambda probe: False)
    wrong = [probe for probe in drawn if probe.verdict is WRONG]
    ann = {probe.key: RIGHT if probe in wrong[::5] else probe.verdict for probe in drawn}
    bob = {probe.key: probe.verdict for probe in drawn[:2]}
    labelled = []
    for name, said in (("ann", ann), ("bob", bob)):
        found = audit(probes, said, np.random.default_rng(0), lambda probe: False)
        labelled.append(Labelled(name, "train", found, found.corrected, said))
    own = [answered(p, RIGHT if i % 10 else WRONG) for i, p in enumerate(probes) if p.verdict.valid]
    others = {
        "alike": [answered(p, p.verdict) for p in probes],
        "good": [answered(p, RIGHT) if p.verdict.valid else p for p in probes],
        "fair": [answered(p, RIGHT) if p.verdict.valid and i % 7 else p for i, p in enumerate(probes)],
    }
    rng = np.random.default_rng(0)
    transfer = Transferred(
        tuple(
            OtherTarget(name, f"train.transfer.{name}", on_same_questions(probes, some, rng), some)
            for name, some in others.items()
        ),
        {one.id: one for one in transfers(held, probes, items_by_probe, others)},
        least_telling_z(3),
    )
    fresh = [
        make_probe(WRONG if i % 5 else RIGHT, f"new{i % 24}", i, step=90, question=words, skills=("counting.count",))
        for i, words in enumerate(probes[j].question if j % 2 and j < len(probes) else f"and {j}?" for j in range(48))
    ]
    made_for = {one.id: fresh for one in held}
    search = with_confirmations(
        material.findings.search,
        probes,
        made_for,
        lambda some: items_by_probe(some, None),
        material.findings.failure,
    )
    confirmed = [one for one in search.modes if one.held_up]
    return replace(
        material,
        findings=replace(material.findings, search=search),
        reading=tuple(reading_order(confirmed, probes, items_by_probe(probes, None))),
        fresh=made_for,
        labelled=tuple(labelled),
        n_labels=len(ann),
        noise=NoiseFloor("train.null", rates(own, rng).failure, [p for p in own if p.verdict is WRONG]),
        transfer=transfer,
    )


def answered(probe: Probe, verdict: Verdict) -> Probe:
    """The same question with another answer."""
    return replace(
        probe,
        turns=(Turn(probe.question, Completion(f"it is {verdict.value.lower()}")),),
        judgement=replace(probe.judgement, verdict=verdict),
    )


def ordinary(n: int = 900, n_images: int = 90) -> list[Probe]:
    """A run in which the target fails at counting (four in five), and at one question in eight elsewhere."""
    rng = np.random.default_rng(1)
    skills = ("counting.count", "space.left_of", "recognition.colour", "logic.not")
    probes = []
    for i in range(n):
        skill = skills[int(rng.integers(len(skills)))]
        wrong = rng.random() < (0.8 if skill == "counting.count" else 0.125)
        verdict = INVALID if i % 9 == 0 else UNDECIDED if i % 50 == 1 else WRONG if wrong else RIGHT
        probes.append(
            make_probe(
                verdict,
                f"i{int(rng.integers(n_images)):03}",
                i % 30,
                step=i // 30,
                question=f"how about number {i}, the one of {skill}?",
                skills=(skill,),
                depth=1 + i % 3,
                terms={"failure": float(wrong), "semantic": float(rng.random())},
                reward=None if verdict is UNDECIDED else float(rng.random()),
            )
        )
    return probes


def odd_runs() -> dict[str, list[Probe]]:
    """Runs that have little or nothing to show."""

    def alike(verdict: Verdict, n: int) -> list[Probe]:
        return [make_probe(verdict, f"i{i % 40}", i, step=i // 20, skills=("a.b",), depth=1) for i in range(n)]

    return {
        "empty": [],
        "tiny": [*alike(WRONG, 1), make_probe(RIGHT, "i1", 1), make_probe(INVALID, "i2", 2)],
        "all right": alike(RIGHT, 120),
        "all wrong": alike(WRONG, 120),
        "all invalid": alike(INVALID, 120),
        "all undecided": alike(UNDECIDED, 120),
    }


def open_image(image: Image) -> Picture:
    """A plain picture in a colour of its own."""
    seed = sum(image.id.encode("utf-8", "replace"))
    return PIL.Image.new("RGB", (64, 48), ((37 * seed) % 256, (91 * seed) % 256, (153 * seed) % 256))

"""Makes material for reports out of probes, as `gadfly report` does, and the odd runs that a report must stand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import PIL.Image
from PIL.Image import Image as Picture

from gadfly.analysis.comparison import compare, contrast
from gadfly.analysis.findings import analyse
from gadfly.analysis.items import named_skills
from gadfly.analysis.rates import FDR, rates
from gadfly.analysis.training import curves, window_size
from gadfly.records import Image, Probe, Usage, Verdict
from gadfly.report.material import Material, Origin
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
    parts: dict[str, object] = {
        "name": name,
        "origin": Origin("a-run", name, 1.7e9, 7, CONFIG, {"gadfly": "0.1.0", "python": "3.11"}, ()),
        "probes": probes,
        "skills": {p.key: some for p, some in zip(probes, skills, strict=True) if some is not None},
        "findings": analyse(probes, training=training),
        "rates": rates(probes, rng),
        "windows": tuple(curves(probes, window_size(last), rng)) if training else (),
        "usage": {"target": Usage(calls=len(probes), seconds=3.0)},
        "compared": tuple(compare({name: probes, **others}, rng)),
        "contrasts": tuple((f"{o} against {name}", contrast(some, probes, FDR, rng)) for o, some in others.items()),
        **more,
    }
    return Material(**parts)  # type: ignore[arg-type]


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

"""Worlds with known answers for the tests of mode mining: questions with items, a target that fails where planted."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gadfly.analysis.items import ItemTable
from gadfly.records import Probe
from made_probes import RIGHT, WRONG, make_probe

FAMILIES = {"counting": 3, "space": 7, "reading": 4, "logic": 7, "orientation": 3, "recognition": 4}
SKILLS = tuple(f"{family}.{family[0]}{i}" for family, n in FAMILIES.items() for i in range(n))
CONCEPTS = tuple(f"c{i:02}" for i in range(21))
ANSWERS = ("yes_no.yes", "yes_no.no", "number.0", "number.1", "number.2", "number.3_4", "number.5_9", "colour.red")
CONDITIONS = tuple(
    f"{m}.{third}" for m in ("brightness", "sharpness", "clutter") for third in ("low", "middle", "high")
)

Blind = Mapping[frozenset[str], float]
"""Planted modes: items → the failure rate there. Elsewhere the base rate holds."""


PLANTED: Blind = {
    frozenset({"skill:counting.c1"}): 0.6,
    frozenset({"skill:space.s0", "concept:c02"}): 0.75,
    frozenset({"concept:c05", "image:brightness.low"}): 0.6,
    frozenset({"skill:logic.l1", "answer:number.3_4"}): 0.7,
    frozenset({"skill:reading.r0", "skill:space.s2"}): 0.8,
}
BASE = 0.2  # the failure rate elsewhere


def world(n: int, n_images: int, seed: int) -> ItemTable:
    """`n` questions about `n_images` images with some ten items each; no verdicts yet (`judged` gives them)."""
    rng = np.random.default_rng(seed)
    items = tuple(
        sorted(
            [f"skill:{s}" for s in SKILLS]
            + [f"concept:{c}" for c in CONCEPTS]
            + [f"answer:{a}" for a in ANSWERS]
            + sorted({f"answer:{a.split('.')[0]}" for a in ANSWERS})
            + [f"image:{c}" for c in CONDITIONS]
        )
    )
    column = {item: k for k, item in enumerate(items)}
    image_N = np.sort(rng.integers(n_images, size=n))
    holds = np.zeros((n, len(items)), dtype=np.bool_)
    rows = np.arange(n)
    for words, kind, most in ((SKILLS, "skill", 4), (CONCEPTS, "concept", 3)):
        weights = 1 / np.arange(2, len(words) + 2)  # some are asked for often, some seldom
        how_many = rng.integers(1, most + 1, size=n)
        for nth in range(most):
            drawn = rng.choice([column[f"{kind}:{w}"] for w in words], size=n, p=weights / weights.sum())
            some = how_many > nth
            holds[rows[some], drawn[some]] = True
    answers = rng.integers(len(ANSWERS), size=n)
    holds[rows, np.array([column[f"answer:{a}"] for a in ANSWERS])[answers]] = True
    holds[rows, np.array([column[f"answer:{a.split('.')[0]}"] for a in ANSWERS])[answers]] = True
    for measure in range(3):
        third_I = rng.integers(3, size=n_images)
        names = [column[f"image:{CONDITIONS[3 * measure + t]}"] for t in range(3)]
        holds[rows, np.array(names)[third_I[image_N]]] = True
    return ItemTable(
        probes=tuple(_probe(i, int(image)) for i, image in enumerate(image_N)),
        items=items,
        holds_N_K=holds,
        wrong_N=np.zeros(n, dtype=np.bool_),
        image_N=image_N.astype(np.int64),
        images=tuple((f"{seed}-{i:06}",) for i in range(n_images)),
        n_without_skills=0,
    )


@functools.cache
def _probe(i: int, image: int):  # type: ignore[no-untyped-def]
    return make_probe(RIGHT, f"i{image}", i, skills=(), depth=1)


def judged(
    table: ItemTable, blind: Blind, base: float, seed: int, likeness: float = 0.0, mislabelled: float = 0.0
) -> ItemTable:
    """The world after a target failed at `blind` and at `base` elsewhere. With `likeness` each image has a difficulty
    of its own, which moves all its rates on the scale of logits by a normal of that deviation. A share `mislabelled` of
    skill labels is then replaced by other skills, so that the analysis sees labels that are wrong."""
    rng = np.random.default_rng(seed)
    rate_N = np.full(len(table.probes), base)
    for items, rate in blind.items():
        rate_N[table.members(items)] = rate
    if likeness:
        logits_N = np.log(rate_N / (1 - rate_N)) + likeness * rng.normal(size=len(table.images))[table.image_N]
        rate_N = 1 / (1 + np.exp(-logits_N))
    wrong_N: NDArray[np.bool_] = rng.random(len(rate_N)) < rate_N
    return replace(table, wrong_N=wrong_N, holds_N_K=_mislabel(table, mislabelled, rng))


def _mislabel(table: ItemTable, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    if not share:
        return table.holds_N_K
    columns = np.array([k for k, item in enumerate(table.items) if item.startswith("skill:")])
    holds = table.holds_N_K.copy()
    rows, which = np.nonzero(table.holds_N_K[:, columns])
    hit = rng.random(len(rows)) < share
    holds[rows[hit], columns[which[hit]]] = False
    holds[rows[hit], rng.choice(columns, size=int(hit.sum()))] = True
    return holds


def part(table: ItemTable, rows_N: NDArray[np.bool_]) -> ItemTable:
    """The world of some of its probes."""
    return replace(
        table,
        probes=tuple(probe for probe, kept in zip(table.probes, rows_N, strict=True) if kept),
        holds_N_K=table.holds_N_K[rows_N],
        wrong_N=table.wrong_N[rows_N],
        image_N=table.image_N[rows_N],
    )


def hearts(n_images: int = 120) -> list[Probe]:
    """A world of one mode: each image is asked three things, and hearts are WRONG on three images of four, moons and
    stars on one of five."""
    return [
        make_probe(
            WRONG if (i % 4 < 3 if kind == "heart" else i % 5 == 0) else RIGHT,
            f"{i:064x}",
            3 * i + shift,
            skills=(f"see.{kind}",),
            expected="yes",
            depth=1 + shift,
            step=i // 40,
        )
        for i in range(n_images)
        for shift, kind in enumerate(("heart", "moon", "star"))
    ]

"""Worlds with known answers for the tests of mode mining: questions with items, a target that fails where planted."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gadfly.analysis.items import ItemTable
from gadfly.analysis.modes import Mode, find_modes
from gadfly.records import Probe
from made_probes import RIGHT, WRONG, make_probe

FAMILIES = {"counting": 3, "space": 7, "reading": 4, "logic": 7, "orientation": 3, "recognition": 4}
SKILLS = tuple(f"{family}.{family[0]}{i}" for family, n in FAMILIES.items() for i in range(n))
CONCEPTS = tuple(f"c{i:02}" for i in range(21))
ANSWERS = ("yes_no.yes", "yes_no.no", "number.0", "number.1", "number.2", "number.3_up", "number.5_up", "colour.red")
AT_LEAST = (1, 2, 3, 5)
CONDITIONS = tuple(
    f"{m}.{third}" for m in ("brightness", "sharpness", "clutter") for third in ("low", "middle", "high")
)

Blind = Mapping[frozenset[str], float]
"""Planted modes: items → the failure rate there. Elsewhere the base rate holds."""


PLANTED: Blind = {
    frozenset({"skill:counting.c1"}): 0.6,
    frozenset({"skill:space.s0", "concept:c02"}): 0.75,
    frozenset({"concept:c05", "image:brightness.low"}): 0.6,
    frozenset({"skill:logic.l1", "answer:number.5_up"}): 0.7,
    frozenset({"skill:reading.r0", "skill:space.s2"}): 0.8,
}
BASE = 0.2  # the failure rate elsewhere


def world(n: int, n_images: int, seed: int) -> ItemTable:
    """`n` questions about `n_images` images with some ten items each; no verdicts yet (`judged` gives them)."""
    rng = np.random.default_rng(seed)
    items = tuple(
        sorted(
            [f"skill:{s}" for s in SKILLS]
            + [f"family:{f}" for f in FAMILIES]
            + [f"concept:{c}" for c in CONCEPTS]
            + sorted({f"answer:{a}" for a in ANSWERS} | {f"answer:number.{n}_up" for n in AT_LEAST})
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
    _add_families(holds, items)
    answers = rng.integers(len(ANSWERS), size=n)
    holds[rows, np.array([column[f"answer:{a}"] for a in ANSWERS])[answers]] = True
    holds[rows, np.array([column[f"answer:{a.split('.')[0]}"] for a in ANSWERS])[answers]] = True
    numbers = [int(a.removeprefix("number.").removesuffix("_up")) if a.startswith("number") else 0 for a in ANSWERS]
    for n_least in AT_LEAST:
        holds[:, column[f"answer:number.{n_least}_up"]] = np.array(numbers)[answers] >= n_least
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


def found_in(n: int, n_images: int, worlds: Iterable[int], mislabelled: float = 0.0) -> list[list[Mode]]:
    """The modes found in each of some worlds with PLANTED modes, which go by their seeds."""
    return [
        list(
            find_modes(
                judged(world(n, n_images, seed), PLANTED, BASE, seed, likeness=0.3, mislabelled=mislabelled)
            ).modes
        )
        for seed in worlds
    ]


def precision_and_recall(found: Sequence[Sequence[Mode]]) -> tuple[float, float]:
    """A mode counts if it has exactly a planted one's items: neither more nor less."""
    right = sum(frozenset(mode.items) in PLANTED for modes in found for mode in modes)
    return right / max(1, sum(map(len, found))), right / (len(PLANTED) * len(found))


def true_rates(table: ItemTable, blind: Blind, base: float, likeness: float) -> NDArray[np.float64]:
    """The rate at which each probe is WRONG in the target of `judged`, over all difficulties that its image can have:
    the mean of a logistic function over a normal, by Gauss and Hermite's rule."""
    points, weights = np.polynomial.hermite_e.hermegauss(40)

    def over_images(rate: float) -> float:
        return float(weights @ (1 / (1 + np.exp(-(np.log(rate / (1 - rate)) + likeness * points)))) / weights.sum())

    rate_N = np.full(len(table.probes), over_images(base))
    for items, rate in blind.items():
        rate_N[table.members(items)] = over_images(rate)
    return rate_N


def _mislabel(table: ItemTable, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    if not share:
        return table.holds_N_K
    columns = np.array([k for k, item in enumerate(table.items) if item.startswith("skill:")])
    holds = table.holds_N_K.copy()
    rows, which = np.nonzero(table.holds_N_K[:, columns])
    hit = rng.random(len(rows)) < share
    holds[rows[hit], columns[which[hit]]] = False
    holds[rows[hit], rng.choice(columns, size=int(hit.sum()))] = True
    _add_families(holds, table.items)
    return holds


def _add_families(holds: NDArray[np.bool_], items: tuple[str, ...]) -> None:
    """A probe needs a family if it needs one of its skills."""
    for family in FAMILIES:
        own = [k for k, item in enumerate(items) if item.startswith(f"skill:{family}.")]
        holds[:, items.index(f"family:{family}")] = holds[:, own].any(axis=1)


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

"""The tree of findings: family, skill, failure mode. Knows items' names and rates; merges and renames nothing.

A mode's place follows from its items alone, by rule and not by figures: so it stays where it is as probes are added.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from gadfly.analysis.clustered import rate_by_image
from gadfly.analysis.items import KINDS, ItemTable, kind_of
from gadfly.analysis.modes import Mode
from gadfly.analysis.rates import Rate
from gadfly.analysis.wording import title

FAMILIES_OF_OTHERS = {"concept": "concepts", "referent": "referents", "answer": "answers", "image": "pictures"}
"""The families of modes that name no skill; their second level is an item in place of a skill."""


@dataclass(frozen=True, slots=True)
class Node:
    """One node. `level` is "family", "skill" or "mode"; `name` is the family's, the skill's (or item's), or the mode's
    id, and `title` what people read. `failure` is the failure rate over all probes below it; a mode's is its own."""

    name: str
    level: str
    title: str
    failure: Rate
    children: tuple[Node, ...]


def leading_item(items: Iterable[str]) -> str:
    """The item under which a mode stands: kinds in the order of KINDS, a skill first, and the first by name. A mode
    of several skills stands under one of them only."""
    return min(items, key=lambda item: (KINDS.index(kind_of(item)), item))


def taxonomy(table: ItemTable, modes: Iterable[Mode]) -> tuple[Node, ...]:
    """The families, with every skill that was asked for and every mode. Ordered by name at each level."""
    under: defaultdict[str, list[Mode]] = defaultdict(list)
    for mode in modes:
        under[leading_item(mode.items)].append(mode)
    second = sorted({item for item in table.items if item.startswith("skill:")} | set(under))
    families: defaultdict[str, list[str]] = defaultdict(list)
    for item in second:
        families[_family(item)].append(item)
    return tuple(
        Node(
            family,
            "family",
            family,
            _rate(table, [table.members([item]) for item in families[family]]),
            tuple(
                Node(
                    item,
                    "skill",
                    title([item]),
                    _rate(table, [table.members([item])]),
                    tuple(
                        Node(mode.id, "mode", mode.name, mode.failure, ())
                        for mode in sorted(under[item], key=lambda mode: mode.name)
                    ),
                )
                for item in families[family]
            ),
        )
        for family in sorted(families)
    )


def places(nodes: Iterable[Node], path: tuple[str, ...] = ()) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(name, names of the nodes above) of every node of a tree."""
    for node in nodes:
        yield node.name, path
        yield from places(node.children, (*path, node.name))


def _family(item: str) -> str:
    kind, _, value = item.partition(":")
    return value.partition(".")[0] if kind in ("skill", "family") else FAMILIES_OF_OTHERS[kind]


def _rate(table: ItemTable, members: list[np.ndarray[tuple[int], np.dtype[np.bool_]]]) -> Rate:
    return rate_by_image(table.wrong_N, table.image_N, np.logical_or.reduce(members))

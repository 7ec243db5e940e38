"""The tree of findings as a map (areas and shades) and as rows that open. Knows the tree, recomputes no rate."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt

from gadfly.analysis.rates import Rate
from gadfly.analysis.taxonomy import Node
from gadfly.report.treemap import Box, squarify
from gadfly.report.wording import shown

HEIGHT = 0.52
"""Of the map, as a share of its width: what the boxes' shapes are chosen for."""

SHADES = 7
WIDEST = 0.4
"""An interval wider than this says next to nothing: such a box is drawn without a shade."""

_OTHERS = {"answers": "by the right answer", "concepts": "by what is asked about", "pictures": "by the picture"}


@dataclass(frozen=True, slots=True)
class Branch:
    """A node to be shown. `id` is fit for an anchor, `box` is its place on the map in percent of what it stands in,
    `shade` 0 to SHADES - 1 by its rate, None where that is not known well enough. `needle` is what a search finds."""

    id: str
    name: str
    level: str
    title: str
    failure: Rate
    box: Box
    shade: int | None
    children: tuple[Branch, ...]
    mode: str | None

    @property
    def needle(self) -> str:
        return " ".join([self.title, *(child.needle for child in self.children)]).casefold()

    @property
    def skill(self) -> str | None:
        """The skill that it stands for, where it stands for one."""
        return self.name.removeprefix("skill:") if self.name.startswith("skill:") else None


def branches(nodes: Iterable[Node]) -> tuple[Branch, ...]:
    """The families, those of skills first and the most asked first, each with its children likewise."""
    ordered = sorted(nodes, key=lambda node: (node.name in _OTHERS, -_family_size(node), node.name))
    skills = [node for node in ordered if node.name not in _OTHERS]
    room = Box(0.0, 0.0, 100.0, 100.0 * HEIGHT)
    boxes = _percent(squarify([_family_size(node) for node in skills], room), room)
    nowhere = Box(0.0, 0.0, 0.0, 0.0)
    boxes += [nowhere] * (len(ordered) - len(skills))
    return tuple(_family(node, box, f"t{i}") for i, (node, box) in enumerate(zip(ordered, boxes, strict=True)))


def _family(node: Node, box: Box, anchor: str) -> Branch:
    ordered = sorted(node.children, key=lambda child: (-child.failure.n, child.name))
    room = Box(0.0, 0.0, max(box.width, 1e-3), max(box.height * HEIGHT, 1e-3))
    boxes = _percent(squarify([_size(child) for child in ordered], room), room)
    children = tuple(
        _branch(child, where, f"{anchor}-{i}", tuple(_leaf(mode) for mode in child.children))
        for i, (child, where) in enumerate(zip(ordered, boxes, strict=True))
    )
    return _branch(node, box, anchor, children)


def _leaf(node: Node) -> Branch:
    return _branch(node, Box(0.0, 0.0, 0.0, 0.0), f"t-{node.name}", ())


def _branch(node: Node, box: Box, anchor: str, children: tuple[Branch, ...]) -> Branch:
    title = _OTHERS.get(node.title, node.title) if node.level == "family" else node.title
    mode = node.name if node.level == "mode" else None
    return Branch(
        anchor, node.name, node.level, shown(title, 120), node.failure, box, shade(node.failure), children, mode
    )


def shade(rate: Rate) -> int | None:
    """Which of SHADES equal steps from 0 to 1 a rate falls into."""
    if rate.value is None or rate.low is None or rate.high is None or rate.high - rate.low > WIDEST:
        return None
    return min(SHADES - 1, int(rate.value * SHADES))


def _size(node: Node) -> float:
    """A box's area: the square root, or else what is rarely asked could not be seen beside what is asked daily."""
    return sqrt(max(node.failure.n, 1))


def _family_size(node: Node) -> float:
    return sum(map(_size, node.children)) or _size(node)


def _percent(boxes: Sequence[Box], room: Box) -> list[Box]:
    return [
        Box(
            100 * box.left / room.width,
            100 * box.top / room.height,
            100 * box.width / room.width,
            100 * box.height / room.height,
        )
        for box in boxes
    ]


def style(families: Iterable[Branch]) -> str:
    """Where the map's boxes stand, as rules: numbers only, since a page's policy lets no element carry a style."""
    rules = []
    for family in families:
        for branch in (family, *family.children):
            if branch.box.width > 0:
                box = branch.box
                rules.append(
                    f"#m-{branch.id}{{left:{box.left:.3f}%;top:{box.top:.3f}%;"
                    f"width:{box.width:.3f}%;height:{box.height:.3f}%}}"
                )
    return "\n".join(rules)

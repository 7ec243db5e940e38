"""Lays rectangles out so that their areas are given sizes and their sides alike. Knows rectangles, not what they show.

Squarified treemaps: Bruls, Huizing & van Wijk, Data Visualization 2000.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle; the unit is the caller's."""

    left: float
    top: float
    width: float
    height: float


def squarify(sizes: Sequence[float], room: Box) -> list[Box]:
    """A box for each size, in the order given; together they fill the room. Sizes must be above 0, largest first."""
    assert all(size > 0 for size in sizes) and list(sizes) == sorted(sizes, reverse=True)
    scale = room.width * room.height / sum(sizes) if sizes else 0.0
    areas = [size * scale for size in sizes]
    boxes: list[Box] = []
    while areas:
        side = min(room.width, room.height)
        n = 1
        while n < len(areas) and _worst(areas[: n + 1], side) <= _worst(areas[:n], side):
            n += 1
        row, areas = areas[:n], areas[n:]
        placed, room = _place(row, room)
        boxes += placed
    return boxes


def _worst(row: Sequence[float], side: float) -> float:
    """The most elongated of a row's boxes, as a ratio of sides."""
    total = sum(row)
    return max(max(side**2 * area / total**2, total**2 / (side**2 * area)) for area in row)


def _place(row: Sequence[float], room: Box) -> tuple[list[Box], Box]:
    """The row along the room's shorter side, and the room that is left."""
    total = sum(row)
    if room.width >= room.height:
        width, top, boxes = total / room.height, room.top, []
        for area in row:
            boxes.append(Box(room.left, top, width, area / width))
            top += area / width
        return boxes, Box(room.left + width, room.top, max(room.width - width, 1e-9), room.height)
    height, left, boxes = total / room.width, room.left, []
    for area in row:
        boxes.append(Box(left, room.top, area / height, height))
        left += area / height
    return boxes, Box(room.left, room.top + height, room.width, max(room.height - height, 1e-9))

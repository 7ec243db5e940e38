"""Drawing: a scene becomes pixels. Knows scenes only.

Each form is rasterised once per size at 8-fold supersampling and kept as an alpha mask, so that drawing a scene is a
few small array operations (well under a millisecond).
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from gadfly.testbed.scenes import CELL_PX, DIRECTIONS, IMAGE_PX, Scene, Thing

RGB = {
    "red": (214, 39, 40),
    "orange": (255, 140, 20),
    "yellow": (240, 220, 40),
    "green": (40, 160, 60),
    "cyan": (40, 200, 220),
    "blue": (40, 70, 210),
    "purple": (150, 60, 190),
    "brown": (125, 75, 40),
}
BACKGROUND_RGB = {"white": (246, 246, 246), "grey": (176, 176, 176), "black": (28, 28, 28)}
DIAMETER_PX = {"small": 10, "medium": 16, "large": 23}
_COLOUR_JITTER = 12  # per channel, either way: a colour is a region, not a point
_SUPERSAMPLING = 8


def object_size(scene: Scene) -> float:
    """The mean diameter of a scene's things as a share of the image's side."""
    return sum(DIAMETER_PX[thing.size] for thing in scene.things) / (len(scene.things) * IMAGE_PX)


def draw(scene: Scene) -> NDArray[np.uint8]:
    """The image of a scene, shape (96, 96, 3)."""
    rng = np.random.default_rng(scene.texture)
    canvas = np.empty((IMAGE_PX, IMAGE_PX, 3), dtype=np.float32)
    canvas[:] = BACKGROUND_RGB[scene.background]
    if scene.level == "busy":
        _make_busy(canvas, rng)
    for thing in scene.things:
        _paint(canvas, thing, rng)
    pixels: NDArray[np.uint8] = np.clip(canvas + 0.5, 0, 255).astype(np.uint8)
    return pixels


def _make_busy(canvas: NDArray[np.float32], rng: np.random.Generator) -> None:
    """A soft pattern of low contrast: smooth blotches, faint lines, and grain."""
    blotches = rng.normal(0, 14, size=(7, 7, 3)).astype(np.float32)
    smooth = [
        np.asarray(Image.fromarray(blotches[:, :, c]).resize((IMAGE_PX, IMAGE_PX), Image.Resampling.BICUBIC))
        for c in range(3)
    ]
    canvas += np.stack(smooth, axis=2)
    canvas += rng.normal(0, 6, size=canvas.shape).astype(np.float32)
    for _ in range(6):
        along = int(rng.integers(IMAGE_PX))
        shade = float(rng.normal(0, 30))
        if rng.random() < 0.5:
            canvas[along] += shade
        else:
            canvas[:, along] += shade


def _paint(canvas: NDArray[np.float32], thing: Thing, rng: np.random.Generator) -> None:
    diameter = DIAMETER_PX[thing.size]
    if thing.shape == "digit":
        assert thing.digit_image is not None
        mask = _digit_mask(thing.digit_image, diameter, rng)
    else:
        mask = _mask(thing.shape, diameter, thing.direction)
    colour = np.array(RGB[thing.colour], dtype=np.float32)
    colour += rng.integers(-_COLOUR_JITTER, _COLOUR_JITTER + 1, size=3)
    top = thing.row * CELL_PX + (CELL_PX - diameter) // 2 + thing.dy_px
    left = thing.column * CELL_PX + (CELL_PX - diameter) // 2 + thing.dx_px
    y0, x0 = max(top, 0), max(left, 0)
    y1, x1 = min(top + diameter, IMAGE_PX), min(left + diameter, IMAGE_PX)
    alpha = mask[y0 - top : y1 - top, x0 - left : x1 - left, None]
    region = canvas[y0:y1, x0:x1]
    region += alpha * (colour - region)


@functools.cache
def _digits() -> NDArray[np.float32]:
    from sklearn.datasets import load_digits

    return np.asarray(load_digits().images, dtype=np.float32) / 16.0


def _digit_mask(digit_image: int, diameter: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """A handwritten digit, turned, stretched, slanted and inked a little differently each time: seven hundred of them
    as they are would be learned by heart."""
    turn, slant = rng.uniform(-0.22, 0.22), rng.uniform(-0.2, 0.2)
    wide, high = rng.uniform(0.88, 1.1, size=2)
    sheet_px = len(_digits()[digit_image])
    per_px = sheet_px / diameter
    # From a pixel of the drawing, relative to the centre, back to the sheet that was written on.
    back = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    back = back @ np.array([[1.0, slant], [0.0, 1.0]]) @ np.diag([per_px / wide, per_px / high])
    start = np.array([sheet_px / 2, sheet_px / 2]) - back @ np.array([diameter / 2, diameter / 2])
    written = Image.fromarray(_digits()[digit_image]).transform(
        (diameter, diameter),
        Image.Transform.AFFINE,
        (*back[0], start[0], *back[1], start[1]),
        Image.Resampling.BICUBIC,
    )
    return np.clip(np.asarray(written) * np.float32(rng.uniform(1.1, 1.7)), 0.0, 1.0)


@functools.cache
def _mask(shape: str, diameter: int, direction: str | None) -> NDArray[np.float32]:
    side = diameter * _SUPERSAMPLING
    sheet = Image.new("L", (side, side), 0)
    pen = ImageDraw.Draw(sheet)
    if shape == "circle":
        pen.ellipse((0, 0, side - 1, side - 1), fill=255)
    elif shape == "ring":
        pen.ellipse((0, 0, side - 1, side - 1), fill=255)
        hole = side * 0.27
        pen.ellipse((hole, hole, side - 1 - hole, side - 1 - hole), fill=0)
    else:
        pen.polygon([(x * side, y * side) for x, y in _outline(shape)], fill=255)
    if direction is not None:
        sheet = sheet.rotate(-90 * DIRECTIONS.index(direction))
    return np.asarray(sheet.resize((diameter, diameter), Image.Resampling.BOX), dtype=np.float32) / 255.0


def _outline(shape: str) -> list[tuple[float, float]]:
    """Corners in the unit square, y down."""
    match shape:
        case "square":
            return [(0.06, 0.06), (0.94, 0.06), (0.94, 0.94), (0.06, 0.94)]
        case "triangle":
            return [(0.5, 0.02), (0.98, 0.94), (0.02, 0.94)]
        case "diamond":
            return [(0.5, 0.0), (0.88, 0.5), (0.5, 1.0), (0.12, 0.5)]
        case "cross":
            a, b = 0.34, 0.66
            return [
                (a, 0), (b, 0), (b, a), (1, a), (1, b), (b, b),
                (b, 1), (a, 1), (a, b), (0, b), (0, a), (a, a),
            ]  # fmt: skip
        case "star":
            corners = []
            for i in range(10):
                radius = 0.52 if i % 2 == 0 else 0.21
                angle = math.pi * i / 5 - math.pi / 2
                corners.append((0.5 + radius * math.cos(angle), 0.52 + radius * math.sin(angle)))
            return corners
        case "heart":
            points = []
            for i in range(60):
                t = 2 * math.pi * i / 60
                x = 16 * math.sin(t) ** 3
                y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
                points.append((0.5 + x / 34, 0.45 - y / 32))
            return points
        case "arrow":  # points up
            return [(0.5, 0.0), (0.95, 0.48), (0.64, 0.48), (0.64, 1.0), (0.36, 1.0), (0.36, 0.48), (0.05, 0.48)]
    raise AssertionError(f"no outline for {shape}")

"""Conditions of a picture: brightness, sharpness, clutter and aspect by its pixels; object size where it is known.

A measure is a number of one picture; a condition is where that number lies among all pictures of a run: the lowest
third, the highest, or between. So a condition always divides the pictures, however bright all of them are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
from PIL import Image as pil

from gadfly.errors import ImageError
from gadfly.protocols import ImageSource
from gadfly.records import Image

MEASURED_SIDE_PX = 256
"""Pictures are brought down to this before they are measured, so that a measure does not depend on the camera."""

EDGE = 0.1
"""A pixel is an edge where the luminance changes by more than this over it, of a range of 1."""

WIDE = 1.2
"""From this ratio of the sides on a picture is wide or tall; 4:3 is, a slightly cropped square is not."""

_FORMAT = 1  # of the file; measures of another one are made anew


@dataclass(frozen=True, slots=True)
class Measures:
    """Numbers of one picture. `brightness` is the mean luminance, 0 to 1. `sharpness` is the variance of the
    luminance's Laplacian (Pech-Pacheco et al., ICPR 2000). `clutter` is the share of edge pixels (edge density; Mack &
    Oliva 2004, as compared by Rosenholtz et al., Journal of Vision 7(2):17, 2007). `aspect` is width / height.
    `object_size` is the mean diameter of its objects as a share of the picture's side, None where nobody knows them."""

    brightness: float
    sharpness: float
    clutter: float
    aspect: float
    object_size: float | None = None


def measure(source: ImageSource, image: Image) -> Measures:
    """The measures of one picture. Raises ImageError where it cannot be opened."""
    picture = source.open(image)
    aspect = picture.width / picture.height
    grey = picture.convert("L")
    grey.thumbnail((MEASURED_SIDE_PX, MEASURED_SIDE_PX), pil.Resampling.BOX)
    luminance_H_W = np.asarray(grey, dtype=np.float64) / 255
    padded_H_W = np.pad(luminance_H_W, 1, mode="edge")
    down_H_W = padded_H_W[2:, 1:-1] - padded_H_W[:-2, 1:-1]
    right_H_W = padded_H_W[1:-1, 2:] - padded_H_W[1:-1, :-2]
    around_H_W = padded_H_W[2:, 1:-1] + padded_H_W[:-2, 1:-1] + padded_H_W[1:-1, 2:] + padded_H_W[1:-1, :-2]
    laplacian_H_W = around_H_W - 4 * luminance_H_W
    return Measures(
        brightness=float(luminance_H_W.mean()),
        sharpness=float(laplacian_H_W.var()),
        clutter=float((np.hypot(down_H_W, right_H_W) / 2 > EDGE).mean()),
        aspect=aspect,
    )


def measure_all(
    source: ImageSource,
    images: Iterable[Image],
    known: Mapping[str, Measures],
    object_sizes: Mapping[str, float],
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, Measures]:
    """The measures of `images` by id, those that are `known` already left as they are. `object_sizes` are by id too. A
    picture that is gone or broken has none."""
    wanted = {image.id: image for image in images}
    missing = [image for image in wanted.values() if image.id not in known]
    found = {image_id: measures for image_id, measures in known.items() if image_id in wanted}
    for done, image in enumerate(missing, start=1):
        try:
            found[image.id] = replace(measure(source, image), object_size=object_sizes.get(image.id))
        except ImageError:
            continue
        finally:
            if on_progress is not None:
                on_progress(done, len(missing))
    return found


def conditions(
    measures: Mapping[str, Measures], reference: Mapping[str, Measures] | None = None
) -> dict[str, tuple[str, ...]]:
    """The items of each image by id. The thirds are those of the `reference` images: by default the same ones; for new
    images those of the run in which a mode was found, or else its conditions would mean something else there. A measure
    that is the same in every reference image, or nearly so that a third cannot be told from the rest, gives none."""
    named: dict[str, list[str]] = {image_id: [] for image_id in sorted(measures)}
    for name in (one.name for one in fields(Measures)):
        numbers, known = _numbers(measures, name), _numbers(measures if reference is None else reference, name)
        if not known:
            continue
        low, high = (1 / WIDE, WIDE) if name == "aspect" else np.quantile(list(known.values()), [1 / 3, 2 / 3])
        place = _aspect if name == "aspect" else _third
        if len({place(number, low, high) for number in known.values()}) > 1:
            for image_id, number in numbers.items():
                named[image_id].append(f"image:{name}.{place(number, low, high)}")
    return {image_id: tuple(some) for image_id, some in named.items()}


def _numbers(measures: Mapping[str, Measures], name: str) -> dict[str, float]:
    found = {image_id: getattr(one, name) for image_id, one in measures.items()}
    return {image_id: number for image_id, number in found.items() if number is not None}


def _third(number: float, low: float, high: float) -> str:
    return "low" if number < low else "high" if number > high else "middle"


def _aspect(number: float, tall: float, wide: float) -> str:
    return "tall" if number <= tall else "wide" if number >= wide else "square"


def read_measures(path: Path) -> dict[str, Measures]:
    """What `write_measures` wrote; nothing where there is no such file, or it is torn or of another format."""
    try:
        data = json.loads(path.read_text("utf-8"))
        if data["format"] != _FORMAT:
            return {}
        return {image_id: _measures(**one) for image_id, one in data["images"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _measures(
    brightness: float, sharpness: float, clutter: float, aspect: float, object_size: float | None
) -> Measures:
    size = None if object_size is None else float(object_size)
    return Measures(float(brightness), float(sharpness), float(clutter), float(aspect), size)


def write_measures(path: Path, measures: Mapping[str, Measures]) -> None:
    """Keep the measures, by id, for the next time."""
    data = {"format": _FORMAT, "images": {image_id: asdict(measures[image_id]) for image_id in sorted(measures)}}
    path.write_text(json.dumps(data, indent=0) + "\n", encoding="utf-8")

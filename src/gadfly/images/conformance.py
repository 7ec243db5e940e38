"""What every ImageSource must hold to, as a check to run on any of them. Knows no particular source."""

from __future__ import annotations

from PIL import ImageChops

from gadfly.protocols import ImageSource


def check_image_source(source: ImageSource) -> None:
    """Raise AssertionError where the source breaks its contract. Opens every picture: meant for small sources."""
    images = list(source)
    assert images == list(source), "iterating twice gives two orders"
    assert len(images) == len(source), f"{len(source)} images announced, {len(images)} given"
    assert len({image.id for image in images}) == len(images), "an image is given twice"
    for image in images:
        picture = source.open(image)
        assert picture.mode == "RGB", f"{image.path} is {picture.mode}, not RGB"
        longer, recorded = max(picture.size), max(image.width_px, image.height_px)
        assert longer <= recorded, f"{image.path} is larger than its record says"
        picture.paste(ImageChops.invert(picture))
        assert source.open(image).tobytes() != picture.tobytes(), f"{image.path}: a caller's changes come back"

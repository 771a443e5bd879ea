"""What the audit needs to know of each photo, measured once on the stored crop."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageStat

from hf_cushing.faces.identity import DESCRIPTOR_SIZE, face_chip
from hf_cushing.faces.quality import Quality, measure_quality

THUMBPRINT_SIDE = 32
"""Side of the grey miniature by which near-duplicates are found."""

SURROUND_SIDE = 16
"""Side of the colour miniature of what lies around the face."""

SURROUND_ELLIPSE = (0.5, 0.47, 0.36, 0.44)
"""Middle x, y and half axes, as shares of the crop, of what is blanked out as face.

The same ellipse for all: a mask drawn after each face would tell its shape. It holds the face,
ears and forehead of a crop with `CROP_SCALE`; what stays is hair, neck, clothes and wall.
"""

CONTEXT_ELLIPSE = (0.75, 0.9)
"""Half axes, over the sides of the face's box, of what is blanked out as face of a wide view."""

QUALITY_NAMES = tuple(field.name for field in dataclasses.fields(Quality))


@dataclass(frozen=True)
class Measures:
    """Columns of one or many photos, in the order of the photos.

    Attributes
    ----------
    descriptor : numpy.ndarray
        float32, shape (n, 128), of length 1; NaN where identity was not to be checked.
    thumbprint : numpy.ndarray
        uint8, shape (n, 1024): grey levels.
    surround : numpy.ndarray
        uint8, shape (n, 3 × pixels outside the ellipse): colour of the surroundings.
    context_surround : numpy.ndarray
        uint8, shape (n, 768): colour of the wide view around the face; (n, 0) without views.
    quality : numpy.ndarray
        float32, shape (n, 8), in the order of `QUALITY_NAMES`.
    """

    descriptor: np.ndarray
    thumbprint: np.ndarray
    surround: np.ndarray
    context_surround: np.ndarray
    quality: np.ndarray


MEASURE_NAMES = tuple(field.name for field in dataclasses.fields(Measures))


def measure_crop(
    image: bytes, landmarks: np.ndarray, view: tuple[bytes, Sequence[int]] | None = None
) -> dict[str, bytes]:
    """Measure a stored crop, and the wide view if there is one; not whose face it is.

    Parameters
    ----------
    image : bytes
        The JPEG as it is stored, so that an audit of the finished dataset sees the same.
    landmarks : numpy.ndarray
        Shape (68, 2), pixels of the crop.
    view : (bytes, sequence of int), optional
        The wide view's JPEG, and the face's box in it.

    Returns
    -------
    dict
        A field of `Measures` to the row's raw bytes; the descriptor is NaN, see `describe_crops`.
    """
    crop = Image.open(io.BytesIO(image)).convert("RGB")
    nothing = np.full(DESCRIPTOR_SIZE, np.nan, np.float32)
    quality = dataclasses.astuple(measure_quality(crop, landmarks))
    colour = crop.resize((SURROUND_SIDE, SURROUND_SIDE), Image.Resampling.BOX)
    return {
        "descriptor": nothing.tobytes(),
        "thumbprint": thumbprint(crop).tobytes(),
        "surround": np.asarray(colour)[_outside()].tobytes(),
        "context_surround": context_surround(*view).tobytes() if view else b"",
        "quality": np.array(quality, np.float32).tobytes(),
    }


def describe_crops(crops: Sequence[tuple[bytes, np.ndarray]]) -> list[bytes]:
    """Face descriptors, as `Measures` has them, of stored crops and their landmarks.

    Many at once take half the time of one by one. Biometric data.
    """
    from hf_cushing.data.descriptors import identity_vectors

    images = (Image.open(io.BytesIO(image)).convert("RGB") for image, _ in crops)
    chips = [face_chip(image, points) for image, (_, points) in zip(images, crops, strict=True)]
    return [vector.tobytes() for vector in identity_vectors(chips)]


def thumbprint(crop: Image.Image) -> np.ndarray:
    """Grey miniature of a crop: uint8, shape (1024,)."""
    side = (THUMBPRINT_SIDE, THUMBPRINT_SIDE)
    return np.asarray(crop.convert("L").resize(side, Image.Resampling.BOX)).ravel()


def context_surround(image: bytes, box: Sequence[int]) -> np.ndarray:
    """Colour miniature of a wide view whose face has the mean colour of the rest: uint8, (768,).

    It still tells where the face is and how large: those are traits of the photo, not the face.
    """
    view = Image.open(io.BytesIO(image)).convert("RGB")
    middle, sides = np.add(box[:2], box[2:]) / 2, np.subtract(box[2:], box[:2])
    axes = sides * CONTEXT_ELLIPSE
    mask = Image.new("L", view.size, 255)
    ImageDraw.Draw(mask).ellipse((*(middle - axes), *(middle + axes)), fill=0)
    rest = tuple(round(value) for value in ImageStat.Stat(view, mask).mean)
    blanked = Image.composite(view, Image.new("RGB", view.size, rest), mask)
    small = blanked.resize((SURROUND_SIDE, SURROUND_SIDE), Image.Resampling.BOX)
    return np.asarray(small).ravel()


def measures_from(rows: Sequence[dict[str, bytes]]) -> Measures:
    """Put the rows of `measure_crop` together."""

    def matrix(name: str, kind: type, width: int) -> np.ndarray:
        joined = b"".join(row[name] for row in rows)
        return np.frombuffer(joined, kind).reshape(len(rows), width if joined else 0)

    return Measures(
        descriptor=matrix("descriptor", np.float32, DESCRIPTOR_SIZE),
        thumbprint=matrix("thumbprint", np.uint8, THUMBPRINT_SIDE**2),
        surround=matrix("surround", np.uint8, 3 * int(_outside().sum())),
        context_surround=matrix("context_surround", np.uint8, 3 * SURROUND_SIDE**2),
        quality=matrix("quality", np.float32, len(QUALITY_NAMES)),
    )


def _outside() -> Any:
    """Mask of the miniature's pixels outside the ellipse, shape (16, 16)."""
    x0, y0, rx, ry = SURROUND_ELLIPSE
    y, x = (np.indices((SURROUND_SIDE, SURROUND_SIDE)) + 0.5) / SURROUND_SIDE
    return ((x - x0) / rx) ** 2 + ((y - y0) / ry) ** 2 > 1

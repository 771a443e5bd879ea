"""The same photo once more: mirrored, saved smaller, its face found again."""

from __future__ import annotations

import io

from PIL import Image, ImageOps

from hf_cushing.faces.align import align_face

SMALLER, QUALITY = 0.8, 75
"""Side over the former side, and JPEG quality, of a photo that is saved again."""


def mirrored(photo: Image.Image) -> Image.Image:
    """Left for right."""
    return ImageOps.mirror(photo)


def resaved(photo: Image.Image) -> Image.Image:
    """The photo as a messenger or a slide would hand it on: smaller, as JPEG.

    Parameters
    ----------
    photo : PIL.Image.Image
        RGB.

    Examples
    --------
    >>> resaved(Image.new("RGB", (250, 200))).size
    (200, 160)
    """
    size = tuple(max(1, round(SMALLER * length)) for length in photo.size)
    buffer = io.BytesIO()
    photo.resize(size, Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=QUALITY)
    return Image.open(buffer).convert("RGB")


def resaved_crop(crop: Image.Image) -> Image.Image:
    """A crop, `resaved` and brought back to its size."""
    return resaved(crop).resize(crop.size, Image.Resampling.BICUBIC)


def realigned(crop: Image.Image) -> Image.Image:
    """The face found on a crop and cut out once more.

    Raises
    ------
    PhotoError
        No face is found there, or several.
    """
    return align_face(crop, crop.width).image

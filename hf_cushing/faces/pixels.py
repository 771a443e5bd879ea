"""Pixels as files store them, made 8-bit sRGB: deep grey, palettes, transparency, profiles."""

from __future__ import annotations

import io
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms

DEEP_GREY = ("I", "I;16", "I;16L", "I;16B", "I;16N", "F")
"""Pillow's modes of one channel with more than 8 bits."""

RANGES = (255, 1023, 4095, 16383, 65535, 2**31 - 1, 2**32 - 1)
"""Largest values of 8, 10, 12, 14, 16, 31 and 32 bits: cameras store few bits in wide words."""

ROWS = 256
"""Rows of deep grey that are scaled at once."""

PROFILED = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}
"""Colour space of an ICC profile to the mode whose pixels it describes."""

MAX_SAMPLE, SMAX_SAMPLE, PHOTOMETRIC = 281, 341, 262
"""Tags of TIFF: the two declared largest values, and whether zero means white."""


class PixelError(ValueError):
    """Pixels whose brightness or colour can't be told."""


class Stored(NamedTuple):
    """What a file says of its pixels and Pillow forgets in decoding.

    Attributes
    ----------
    deep : bool
        Channels of 16 bits.
    top : float
        Declared largest value; 0 if there is none.
    zero_is_white : bool
    """

    deep: bool
    top: float
    zero_is_white: bool


def as_stored(image: Image.Image) -> Stored:
    """Read `Stored` from the header of an image that isn't decoded yet."""
    tags = getattr(image, "tag_v2", {})
    top = tags.get(SMAX_SAMPLE) or tags.get(MAX_SAMPLE) or 0
    top = max(top) if isinstance(top, tuple) else top
    deep = any(";16" in str(tile[-1]) for tile in getattr(image, "tile", ()))
    return Stored(deep, float(top), tags.get(PHOTOMETRIC) == 0)


def to_rgb(image: Image.Image, stored: Stored) -> Image.Image:
    """Give a decoded image as 8-bit sRGB, with white where it is transparent.

    Deep grey is scaled by its declared largest value, else by the narrowest of `RANGES` that
    holds its own: 12 bits stored in 16 would otherwise be black.

    Parameters
    ----------
    image : PIL.Image.Image
        Of any mode; its ``info`` holds the ICC profile and the transparent colour, if any.
    stored : Stored

    Raises
    ------
    PixelError
        Values in no known range, negative or not finite; 14 bits or less of colour stored in 16,
        since Pillow keeps the upper 8 alone; CIELAB.
    """
    profile, alpha = image.info.get("icc_profile"), None
    if image.mode == "LAB":
        raise PixelError("CIELAB")
    if image.mode in DEEP_GREY:
        image, alpha = _eight_bits(image, stored)
    elif stored.deep and 0 < max(high for _, high in image.convert("RGB").getextrema()) < 64:
        raise PixelError("14 bits or less stored in 16")
    elif image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        alpha = image.convert("RGBA").getchannel("A")
    colours = _to_srgb(image, profile)
    if alpha is None:
        colours.info = {}
        return colours
    clean = Image.new("RGB", image.size, "white")
    clean.paste(colours, mask=alpha)
    return clean


def _eight_bits(image: Image.Image, stored: Stored) -> tuple[Image.Image, Image.Image | None]:
    """Deep grey as mode L, and the mask of what isn't transparent."""
    values = np.asarray(image)
    if values.dtype == np.int32 and stored.top > RANGES[-2]:
        values = values.view(np.uint32)
    top = _range_of(values, stored.top)
    clear = image.info.get("transparency")
    mask = None if clear is None else Image.fromarray((values != clear).astype(np.uint8) * 255)
    shades = np.empty(values.shape, np.uint8)
    for rows in range(0, len(values), ROWS):  # a float64 of all would take eight times the memory
        np.rint(
            values[rows : rows + ROWS] * (255 / top),
            casting="unsafe",
            out=shades[rows : rows + ROWS],
        )
    return Image.fromarray(255 - shades if stored.zero_is_white else shades), mask


def _range_of(values: np.ndarray, declared: float) -> float:
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= RANGES[-1]):  # also where one isn't a number
        raise PixelError(f"grey values from {low:g} to {high:g}")
    if declared and declared >= high:
        return declared
    decimals = values.dtype.kind == "f"
    top = 1.0 if decimals and high <= 1 else next(top for top in RANGES if top >= high)
    # a photo uses more than a quarter of its range; whole numbers up to 16 bits may be dark
    if 0 < high < top / 4 and (decimals or top > RANGES[4]):
        raise PixelError(f"grey values from {low:g} to {high:g}")
    return float(top)


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """RGB by the embedded ICC profile; one that is broken or of other pixels is ignored."""
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            mode = PROFILED[source.profile.xcolor_space]
            if (mode == "CMYK") == (image.mode == "CMYK"):
                target = ImageCms.createProfile("sRGB")
                return ImageCms.profileToProfile(
                    image.convert(mode), source, target, outputMode="RGB"
                )
        except (ImageCms.PyCMSError, OSError, ValueError, KeyError):
            pass
    return image.convert("RGB")

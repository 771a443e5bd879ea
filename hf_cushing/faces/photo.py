"""The one way a photograph is opened: oriented, in sRGB, with no metadata left."""

from __future__ import annotations

import io
import os
import struct
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps

DECODING_ERRORS = (OSError, ValueError, SyntaxError, EOFError, struct.error, TypeError, KeyError)
"""What Pillow raises on broken files, broken EXIF blocks included."""

MAX_PIXELS = 120_000_000
MAX_BYTES = 200_000_000


class PhotoError(Exception):
    """A photo that can't be used.

    Attributes
    ----------
    reason : str
        One word for tables: ``unreadable``, ``no_face``, …
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class FileFacts:
    """What a photo's file betrays of the camera and of how it was exported.

    Attributes
    ----------
    format : str
        ``JPEG``, ``PNG``, …
    width, height : int
        Pixels as stored, before the EXIF orientation.
    bytes : int
        Size of the file.
    jpeg_quality : int
        1..100 on the scale of the IJG's library, from the quantisation table; 0 for other formats.
    """

    format: str
    width: int
    height: int
    bytes: int
    jpeg_quality: int


def read_file(path: Path) -> bytes:
    """Read a photo's file, unless it is too large to be one.

    Raises
    ------
    PhotoError
        ``too_large``.
    """
    if os.path.getsize(path) > MAX_BYTES:
        raise PhotoError("too_large", f"over {MAX_BYTES // 1_000_000} MB; export it as JPEG")
    return Path(path).read_bytes()


def file_facts(data: bytes) -> FileFacts:
    """Tell format, size and JPEG quality of a photo that `open_photo` can open."""
    with _without_warnings(), Image.open(io.BytesIO(data)) as image:
        quality = _jpeg_quality(image.quantization) if image.format == "JPEG" else 0
        return FileFacts(image.format or "", image.width, image.height, len(data), quality)


def _jpeg_quality(tables: dict[int, list[int]]) -> int:
    """Quality whose luminance table has the nearest sum."""
    return int(np.abs(_table_sums() - sum(tables[min(tables)])).argmin()) + 1


@cache
def _table_sums() -> np.ndarray:
    """Sums of the luminance tables that Pillow's JPEG library writes at the qualities 1 to 100."""
    sums = []
    for quality in range(1, 101):
        buffer = io.BytesIO()
        Image.new("L", (8, 8)).save(buffer, "JPEG", quality=quality)
        buffer.seek(0)
        sums.append(sum(Image.open(buffer).quantization[0]))
    return np.array(sums)


def open_photo(
    source: Path | str | bytes,
    *,
    pixel_limit: int = MAX_PIXELS,
    formats: tuple[str, ...] | None = None,
) -> Image.Image:
    """Open a photo, apply its EXIF orientation, convert it to sRGB and drop its metadata.

    Parameters
    ----------
    source : path or bytes
        An image file, or its content.
    pixel_limit : int
        A photo must have fewer; it is refused undecoded.
    formats : tuple of str, optional
        What is opened at all, in Pillow's names; all that Pillow knows by default.

    Returns
    -------
    PIL.Image.Image
        Mode RGB, ``info`` empty.

    Raises
    ------
    PhotoError
        ``empty``, ``too_large`` or ``unreadable``.
    """
    data = source if isinstance(source, bytes) else read_file(Path(source))
    if not data:
        raise PhotoError("empty", "the file has no bytes; export it again")
    too_large = f"{pixel_limit // 1_000_000} megapixels or more; make it smaller"
    try:
        with _without_warnings(), Image.open(io.BytesIO(data), formats=formats) as image:
            if image.width * image.height >= pixel_limit:
                raise PhotoError("too_large", too_large)
            image.load()
            return clean_photo(image)
    except Image.DecompressionBombError:
        raise PhotoError("too_large", too_large) from None
    except DECODING_ERRORS as error:
        raise PhotoError("unreadable", f"{type(error).__name__}; {_remedy(data)}") from None


def clean_photo(image: Image.Image) -> Image.Image:
    """Give an upright sRGB copy of a decoded image, without EXIF, ICC profile or comments."""
    profile = image.info.get("icc_profile")
    image = ImageOps.exif_transpose(image)
    alpha = None
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
        image = image.convert("RGB")
    elif image.mode.startswith("I;16") or image.mode == "I":
        image = Image.fromarray((np.asarray(image) / 257).clip(0, 255).astype(np.uint8))
    if profile:
        image = _to_srgb(image, profile)
    clean = Image.new("RGB", image.size, "white")
    clean.paste(image.convert("RGB"), mask=alpha)
    return clean


def encode_crop(image: Image.Image) -> bytes:
    """Encode a crop as JPEG, quality 95, without chroma subsampling and without metadata.

    Redness of the cheeks is a sign of the disease, hence the full chroma resolution.
    """
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=95, subsampling=0)
    return buffer.getvalue()


def _without_warnings() -> warnings.catch_warnings:
    """Silence Pillow on broken EXIF blocks, which are dropped anyway, and on large photos."""
    return warnings.catch_warnings(action="ignore")


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert by the embedded ICC profile; a broken profile leaves the pixels as they are."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, source, target, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image


def _remedy(data: bytes) -> str:
    if data[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypheif"):
        return "HEIC isn't read here: export it as JPEG"
    if data.startswith(b"%PDF"):
        return "this is a PDF, not an image: export the photo as JPEG or PNG"
    return "truncated or not an image: export it again as JPEG or PNG"

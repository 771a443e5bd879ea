"""The one way a photograph is opened: oriented, in sRGB, with no metadata left."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, features

from hf_cushing.faces.pixels import PixelError, Stored, as_stored, to_rgb

MAX_PIXELS = 120_000_000
MAX_BYTES = 200_000_000

BRANDS = {
    "AVIF": {b"avif", b"avis"},
    "HEIC": {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"heif", b"mif1", b"msf1"},
    "CR3": {b"crx "},
}
"""Brands in the header of ISO media files, of which films are the rest; the first that fits."""


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
    with decoder_faults(data), Image.open(io.BytesIO(data)) as image:
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
        What is opened at all, in Pillow's names, where installed; all that Pillow knows by
        default.

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
    if _kind(data) == "HEIC" and find_spec("pillow_heif"):
        _register_heif()
    if formats:
        Image.init()
        formats = tuple(name for name in formats if name in Image.OPEN)
    with decoder_faults(data), Image.open(io.BytesIO(data), formats=formats) as image:
        if image.width * image.height >= pixel_limit:
            megapixels = pixel_limit // 1_000_000
            raise PhotoError("too_large", f"{megapixels} megapixels or more; make it smaller")
        stored = as_stored(image)
        ImageOps.exif_transpose(image, in_place=True)
        image.load()
    return _clean(image, stored)


def clean_photo(image: Image.Image) -> Image.Image:
    """Give an upright sRGB copy of an image, without EXIF, ICC profile or comments.

    Raises
    ------
    PhotoError
        ``unreadable``.
    """
    with decoder_faults():
        stored = as_stored(image)
        image = ImageOps.exif_transpose(image)
    return _clean(image, stored)


def _clean(image: Image.Image, stored: Stored) -> Image.Image:
    try:
        return to_rgb(image, stored)
    except PixelError as error:
        text = f"unsupported pixel format ({error}); export it as 8-bit JPEG or PNG"
        raise PhotoError("unreadable", text) from None


def encode_crop(image: Image.Image) -> bytes:
    """Encode a crop as JPEG, quality 95, without chroma subsampling and without metadata.

    Redness of the cheeks is a sign of the disease, hence the full chroma resolution.
    """
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=95, subsampling=0)
    return buffer.getvalue()


@contextmanager
def decoder_faults(data: bytes = b"") -> Iterator[None]:
    """Make whatever a decoder raises the photo's fault, but for memory that is short.

    Decoders raise anything on a damaged file, RuntimeError and NotImplementedError included, so
    nothing of our own may run in here. Pillow's warnings, on broken EXIF blocks, which are
    dropped anyway, and on large photos, are silenced.

    Parameters
    ----------
    data : bytes
        Content of the file, by which the message names its kind.

    Raises
    ------
    PhotoError
        ``unreadable`` or ``too_large``.
    """
    with warnings.catch_warnings(action="ignore"):
        try:
            yield
        except (PhotoError, MemoryError):
            raise
        except Image.DecompressionBombError:
            raise PhotoError("too_large", "too many megapixels; make it smaller") from None
        except Exception as error:
            raise PhotoError("unreadable", _remedy(data, error)) from None


@cache
def _register_heif() -> None:
    """Teach Pillow HEIC, which phones write."""
    from pillow_heif import register_heif_opener

    register_heif_opener()


def _kind(data: bytes) -> str:
    """Name of what isn't a picture for Pillow alone; empty for everything else."""
    if data.startswith(b"%PDF"):
        return "PDF"
    if data[4:8] != b"ftyp":
        return ""
    header = data[8 : min(int.from_bytes(data[:4]), 256)]
    brands = {header[start : start + 4] for start in range(0, len(header), 4)}
    for kind, theirs in BRANDS.items():
        if brands & theirs:
            return kind
    return "film"


def _remedy(data: bytes, error: Exception) -> str:
    kind = _kind(data)
    if kind in ("PDF", "film", "CR3"):
        return f"this is a {kind}, not a photo: export the photo as JPEG or PNG"
    if kind == "HEIC" and not find_spec("pillow_heif"):
        return "HEIC is read after `pip install 'hf-cushing[heic]'`, or export it as JPEG"
    if kind == "AVIF" and not features.check("avif"):
        return "AVIF is read after `pip install --upgrade pillow`, or export it as JPEG"
    what = f"a damaged {kind}" if kind else "truncated or not an image"
    return f"{type(error).__name__}; {what}: export it again as JPEG or PNG"

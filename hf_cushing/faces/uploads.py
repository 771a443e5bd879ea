"""Photos from strangers: formats and sizes are checked before anything is decoded or unpacked."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath, PureWindowsPath

from PIL import Image

from hf_cushing.faces.photo import PhotoError, open_photo

MAX_PIXELS = 60_000_000
"""A photo must have fewer."""

MAX_PHOTOS = 100
"""In one archive."""

MAX_PHOTO_BYTES = 25_000_000
MAX_UNPACKED_BYTES = 500_000_000

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "HEIF")
"""What is opened at all: Pillow also knows formats that start other programs."""

IGNORED = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini")
"""What operating systems add to an archive."""


class ArchiveError(Exception):
    """An archive that is refused as a whole.

    Attributes
    ----------
    reason : str
        ``broken``, ``encrypted``, ``path``, ``too_many`` or ``too_large``.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def open_upload(data: bytes) -> Image.Image:
    """Open a photo that somebody sent: RGB, upright, without metadata.

    The header is read first; a photo of 60 megapixels or more is refused undecoded.

    Raises
    ------
    PhotoError
        ``empty``, ``too_large`` or ``unreadable``.
    """
    if len(data) > MAX_PHOTO_BYTES:
        raise PhotoError("too_large", f"over {MAX_PHOTO_BYTES // 1_000_000} MB; make it smaller")
    return open_photo(data, pixel_limit=MAX_PIXELS, formats=FORMATS)


def is_archive(data: bytes) -> bool:
    """Whether these are the bytes of a zip archive, whatever the file is called."""
    return data.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def unpack(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file of a zip archive, in memory; nothing is written.

    Sizes are counted while unpacking, so that what the archive says of itself doesn't matter.

    Parameters
    ----------
    data : bytes

    Raises
    ------
    ArchiveError
        Broken, encrypted, a path that leads elsewhere, too many files or too much content. A
        single file that is too large comes with the bytes that were read, which
        `open_upload` refuses.

    Examples
    --------
    >>> buffer = io.BytesIO()
    >>> with zipfile.ZipFile(buffer, "w") as archive:
    ...     archive.writestr("visit/one.jpg", b"...")
    >>> list(unpack(buffer.getvalue()))
    [('visit/one.jpg', b'...')]
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = _checked(archive.infolist())
            total = 0
            for entry in files:
                with archive.open(entry) as file:
                    content = file.read(MAX_PHOTO_BYTES + 1)
                total += len(content)
                if total > MAX_UNPACKED_BYTES:
                    raise ArchiveError(
                        "too_large",
                        f"the archive holds over {MAX_UNPACKED_BYTES // 1_000_000} MB; send less",
                    )
                yield entry.filename, content
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, OSError):
        raise ArchiveError("broken", "the archive can't be unpacked; make it again") from None


def _checked(entries: list[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
    """The files of an archive, if none of them is suspicious."""
    files = []
    for entry in entries:
        name = PurePosixPath(entry.filename)
        windows = PureWindowsPath(entry.filename)
        if name.is_absolute() or windows.drive or windows.root or ".." in windows.parts:
            raise ArchiveError("path", "the archive holds a path that leads out of it; refused")
        if entry.is_dir() or any(part in IGNORED or part.startswith("._") for part in name.parts):
            continue
        if entry.flag_bits & 1:
            raise ArchiveError("encrypted", "the archive is encrypted; send it without a password")
        files.append(entry)
    if len(files) > MAX_PHOTOS:
        raise ArchiveError(
            "too_many", f"{len(files)} files in the archive; send at most {MAX_PHOTOS} at once"
        )
    return files

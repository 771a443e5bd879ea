"""Photos from strangers: formats and sizes are checked before anything is decoded or unpacked."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Iterator
from pathlib import PurePosixPath, PureWindowsPath

from PIL import Image

from hf_cushing.faces.photo import PhotoError, open_photo

MAX_PIXELS = 60_000_000
"""A photo must have fewer."""

MAX_PHOTOS = 100
"""In one archive."""

MAX_ENTRIES = 1000
"""In one archive, with folders and what operating systems add."""

FLAT_BYTES, FLATTER = 1_000_000, 100
"""A file of more bytes that was packed to less than a hundredth is no photo, but made to cost."""

MAX_PHOTO_BYTES = 25_000_000

MAX_UNPACKED_BYTES = 500_000_000
"""Of all archives of a call."""

MAX_CALL_PIXELS = 2_400_000_000
"""Of all photos of a call, as a hundred of 24 megapixels have."""

MAX_SECONDS = 120.0
"""After which no further photo of a call is opened."""

MAX_SCANS = 100
"""Passes of a progressive JPEG: ten are usual, and each costs as much as a photo of its size."""

ENTRY = b"PK\x01\x02"
"""Start of an entry in an archive's directory."""

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
    if data.startswith(b"\xff\xd8") and data.count(b"\xff\xda") > MAX_SCANS:
        raise PhotoError("unreadable", "a JPEG of too many passes; export it again")
    return open_photo(data, pixel_limit=MAX_PIXELS, formats=FORMATS)


class Budget:
    """What the photos of one call may cost together: bytes once unpacked, pixels, seconds.

    The seconds count from its making.
    """

    def __init__(self) -> None:
        self.bytes, self.pixels = MAX_UNPACKED_BYTES, MAX_CALL_PIXELS
        self.until = time.monotonic() + MAX_SECONDS

    def open(self, data: bytes) -> Image.Image:
        """`open_upload` while pixels and seconds are left.

        Raises
        ------
        PhotoError
            As there, or ``budget``.
        """
        if self.pixels <= 0 or time.monotonic() > self.until:
            raise PhotoError("budget", "the photos before it took too long; send it by itself")
        photo = open_upload(data)
        self.pixels -= photo.width * photo.height
        return photo

    def unpack(self, data: bytes) -> Iterator[tuple[str, bytes]]:
        """`unpack` while bytes are left.

        Raises
        ------
        ArchiveError
            As there.
        """
        for name, content in unpack(data, self.bytes):
            self.bytes -= len(content)
            yield name, content


def is_archive(data: bytes) -> bool:
    """Whether these are the bytes of a zip archive, whatever the file is called."""
    return data.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def unpack(data: bytes, most: int | None = None) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file of a zip archive, in memory; nothing is written.

    All is checked before anything is unpacked. No file yields more than the archive says.

    Parameters
    ----------
    data : bytes
    most : int, optional
        Bytes of all files together; `MAX_UNPACKED_BYTES` by default.

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
    most = MAX_UNPACKED_BYTES if most is None else most
    if data.count(ENTRY) > MAX_ENTRIES:  # the number that is written may be another
        raise ArchiveError("too_many", f"over {MAX_ENTRIES} entries in the archive; send fewer")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = _checked(archive.infolist())
            if sum(min(entry.file_size, MAX_PHOTO_BYTES + 1) for entry in files) > most:
                megabytes = MAX_UNPACKED_BYTES // 1_000_000
                raise ArchiveError("too_large", f"over {megabytes} MB once unpacked; send less")
            for entry in files:
                with archive.open(entry) as file:
                    content = file.read(MAX_PHOTO_BYTES + 1)
                yield entry.filename, content
    except ArchiveError:
        raise
    except Exception:  # zipfile raises anything on a damaged file
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
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ArchiveError("broken", "the archive is packed in a way that isn't read; make a "
                               "plain zip file")  # fmt: skip
        if entry.file_size > max(FLAT_BYTES, FLATTER * entry.compress_size):
            raise ArchiveError("broken", f"{entry.filename} is no photo: it is nearly empty")
        files.append(entry)
    if len(files) > MAX_PHOTOS:
        raise ArchiveError(
            "too_many", f"{len(files)} files in the archive; send at most {MAX_PHOTOS} at once"
        )
    return files

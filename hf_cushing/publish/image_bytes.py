"""What an image file holds beside its pixels: everything that isn't on a short list.

A list of what is harmless, since what is not can't be listed: EXIF, XMP, IPTC, colour profiles and
makers' notes each have a segment or chunk of their own, and anything may follow the last one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

JPEG_START, PNG_START = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
SCAN, END = 0xDA, 0xD9
JPEG_PARTS = {0xC0, 0xC1, 0xC2, 0xC4, 0xDB, 0xDD, SCAN}
"""Markers that a picture can't be decoded without: frames, tables, restart interval, scans."""

JFIF = re.compile(rb"\xff\xe0\x00\x10JFIF\x00.{7}\x00\x00", re.S)
"""The header that Pillow writes: resolution, and no thumbnail."""

NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""In a scan's data, where 00 is stuffed after FF and restart markers stand by themselves."""

PNG_PARTS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"pHYs", b"gAMA", b"sRGB", b"cHRM",
             b"sBIT", b"bKGD"}  # fmt: skip
FIGURE = b"Software\x00Matplotlib"
"""The only text in a PNG: what matplotlib says of itself."""


def foreign_parts(content: bytes) -> list[str]:
    """Names of what an image carries beside its pixels; a reason where it is no JPEG or PNG.

    >>> foreign_parts(b"GIF89a")
    ['it is no plain JPEG or PNG']
    """
    parts = None
    if content.startswith(JPEG_START):
        parts = _jpeg_parts(content)
    elif content.startswith(PNG_START):
        parts = _png_parts(content)
    try:
        return ["it is no plain JPEG or PNG"] if parts is None else list(dict.fromkeys(parts))
    except IndexError:
        return ["it is cut off"]


def _jpeg_parts(content: bytes) -> Iterator[str]:
    place = len(JPEG_START)
    if header := JFIF.match(content, place):
        place = header.end()
    while content[place + 1] != END:
        marker = content[place + 1]
        if content[place] != 0xFF or marker not in JPEG_PARTS:
            yield f"segment APP{marker - 0xE0}" if marker >> 4 == 0xE else f"segment {marker:02X}"
        place += 2 + int.from_bytes(content[place + 2 : place + 4])
        if marker == SCAN:
            found = NEXT_MARKER.search(content, place)
            place = found.start() if found else len(content)
    if place + 2 < len(content):
        yield "bytes after its end"


def _png_parts(content: bytes) -> Iterator[str]:
    place, kind = len(PNG_START), b""
    while kind != b"IEND":
        length, kind = int.from_bytes(content[place : place + 4]), content[place + 4 : place + 8]
        own = kind == b"tEXt" and content.startswith(FIGURE, place + 8)
        if kind not in PNG_PARTS and not own:
            yield f"chunk {kind.decode('ascii', 'replace')}"
        place += 12 + length
        content[place - 1]
    if place < len(content):
        yield "bytes after its end"

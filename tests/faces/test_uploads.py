"""Photos and archives from strangers: what is refused, and that it is refused early."""

import io
import struct
import zipfile
import zlib

import pytest
from PIL import Image

from hf_cushing.faces import uploads
from hf_cushing.faces.photo import PhotoError
from hf_cushing.faces.uploads import ArchiveError, is_archive, open_upload, unpack


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_of_size(width, height):
    """A PNG whose header promises so many pixels, and that has none of them."""

    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IEND", b"")


def archive(*files, **options):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as made:
        for name, content in files:
            made.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
def test_common_formats_are_opened(kind):
    photo = open_upload(encoded(Image.new("RGB", (60, 40), "tan"), kind))
    assert (photo.mode, photo.size) == ("RGB", (60, 40))


def test_the_photo_is_upright_and_has_no_metadata():
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "Secret Camera"
    photo = open_upload(encoded(Image.new("RGB", (60, 40), "tan"), "JPEG", exif=exif))
    assert photo.size == (40, 60)
    assert not photo.info
    assert not photo.getexif()


def test_sixty_megapixels_are_refused_before_decoding():
    with pytest.raises(PhotoError) as error:
        open_upload(png_of_size(10_000, 6_000))
    assert error.value.reason == "too_large"
    with pytest.raises(PhotoError, match="megapixels"):
        open_upload(png_of_size(40_000, 40_000))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"%PDF-1.7\n" * 9, "unreadable"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "unreadable"),
        (png_of_size(30, 30), "unreadable"),
    ],
)
def test_what_is_no_photo_is_refused_with_its_reason(data, reason):
    with pytest.raises(PhotoError) as error:
        open_upload(data)
    assert error.value.reason == reason


def test_a_file_that_is_too_long_is_refused_unread(monkeypatch):
    monkeypatch.setattr(uploads, "MAX_PHOTO_BYTES", 10)
    with pytest.raises(PhotoError) as error:
        open_upload(b"x" * 11)
    assert error.value.reason == "too_large"


def test_an_archive_is_known_by_its_content():
    assert is_archive(archive(("a.jpg", b"1")))
    assert is_archive(archive())
    assert not is_archive(b"\xff\xd8\xff")


def test_files_are_unpacked_without_folders_and_what_systems_add():
    made = archive(("x/", b""), ("x/a.jpg", b"1"), ("__MACOSX/x/._a.jpg", b"2"), (".DS_Store", b""))
    assert list(unpack(made)) == [("x/a.jpg", b"1")]


@pytest.mark.parametrize(
    "name", ["../a.jpg", "x/../../a.jpg", "/etc/a.jpg", "C:/a.jpg", "..\\a.jpg", "\\\\host\\a.jpg"]
)
def test_a_path_that_leads_out_refuses_the_archive(name):
    with pytest.raises(ArchiveError) as error:
        list(unpack(archive(("fine.jpg", b"1"), (name, b"2"))))
    assert error.value.reason == "path"


def test_a_bomb_is_read_no_further_than_the_limits(monkeypatch):
    monkeypatch.setattr(uploads, "MAX_PHOTO_BYTES", 1000)
    monkeypatch.setattr(uploads, "MAX_UNPACKED_BYTES", 2500)
    bomb = archive(
        *((f"{n}.jpg", bytes(10**6)) for n in range(9)), compression=zipfile.ZIP_DEFLATED
    )
    found = []
    with pytest.raises(ArchiveError) as error:
        found.extend(unpack(bomb))
    assert error.value.reason == "too_large"
    found = list(unpack(archive(("0.jpg", bytes(10**6)), compression=zipfile.ZIP_DEFLATED)))
    assert len(found[0][1]) == 1001  # a byte too many: the photo is refused, not cut
    with pytest.raises(PhotoError, match="MB"):
        open_upload(found[0][1])


def test_too_many_files_a_password_and_a_broken_archive_are_refused():
    many = archive(*((f"{n}.jpg", b"1") for n in range(uploads.MAX_PHOTOS + 1)))
    locked = bytearray(archive(("a.jpg", b"1")))
    locked[6] |= 1
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    broken = bytearray(archive(("a.jpg", b"12345")))
    broken[35] ^= 255
    cases = [(many, "too_many"), (bytes(locked), "encrypted"), (bytes(broken), "broken")]
    for data, reason in [*cases, (b"PK\x03\x04" + bytes(40), "broken")]:
        with pytest.raises(ArchiveError) as error:
            list(unpack(data))
        assert error.value.reason == reason

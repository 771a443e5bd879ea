"""Photos and archives from strangers: what is refused, and that it is refused early."""

import io
import random
import struct
import zipfile
import zlib
from contextlib import suppress

import pytest
from PIL import Image

from hf_cushing.faces import uploads
from hf_cushing.faces.photo import PhotoError
from hf_cushing.faces.uploads import ArchiveError, Budget, is_archive, open_upload, unpack


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


def test_a_bomb_is_refused_before_it_is_unpacked(monkeypatch):
    monkeypatch.setattr(uploads, "MAX_PHOTO_BYTES", 1000)
    monkeypatch.setattr(uploads, "MAX_UNPACKED_BYTES", 2500)
    bomb = archive(
        *((f"{n}.jpg", bytes(10**6)) for n in range(3)), compression=zipfile.ZIP_DEFLATED
    )
    with pytest.raises(ArchiveError) as error:
        next(unpack(bomb))
    assert error.value.reason == "too_large"
    found = list(unpack(archive(("0.jpg", bytes(10**6)), compression=zipfile.ZIP_DEFLATED)))
    assert len(found[0][1]) == 1001  # a byte too many: the photo is refused, not cut
    with pytest.raises(PhotoError, match="MB"):
        open_upload(found[0][1])


def test_a_file_that_is_packed_a_hundredfold_is_not_unpacked():
    with pytest.raises(ArchiveError) as error:
        next(unpack(archive(("0.jpg", bytes(10**6 + 1)), compression=zipfile.ZIP_DEFLATED)))
    assert error.value.reason == "broken"


def test_an_archive_gives_no_more_than_it_says():
    liar = bytearray(archive(("0.jpg", bytes(10**6)), compression=zipfile.ZIP_DEFLATED))
    place = liar.index(uploads.ENTRY) + 24  # its size once unpacked
    liar[place : place + 4] = struct.pack("<I", 10)
    with pytest.raises(ArchiveError) as error:
        list(unpack(bytes(liar)))
    assert error.value.reason == "broken"


def test_all_archives_of_a_call_share_one_budget(monkeypatch):
    monkeypatch.setattr(uploads, "MAX_UNPACKED_BYTES", 2500)
    budget, small = Budget(), archive(("0.jpg", bytes(1000)), compression=zipfile.ZIP_DEFLATED)
    assert len(list(budget.unpack(small))) == 1
    assert len(list(budget.unpack(small))) == 1
    with pytest.raises(ArchiveError) as error:
        next(budget.unpack(small))
    assert error.value.reason == "too_large"


def test_all_photos_of_a_call_share_one_budget_of_pixels_and_of_time(monkeypatch):
    photo = encoded(Image.new("RGB", (30, 30)), "PNG")
    monkeypatch.setattr(uploads, "MAX_CALL_PIXELS", 1500)
    budget = Budget()
    assert [budget.open(photo).size for _ in range(2)] == [(30, 30)] * 2
    with pytest.raises(PhotoError) as error:
        budget.open(photo)
    assert error.value.reason == "budget"
    monkeypatch.setattr(uploads, "MAX_SECONDS", -1.0)
    with pytest.raises(PhotoError, match="took too long"):
        Budget().open(photo)


def test_so_many_entries_are_not_even_read(monkeypatch):
    monkeypatch.setattr(uploads.zipfile, "ZipFile", None)  # which would take half a minute
    many = b"PK\x03\x04" + (uploads.ENTRY + bytes(42)) * 300_000
    with pytest.raises(ArchiveError) as error:
        list(unpack(many))
    assert error.value.reason == "too_many"


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_an_archive_packed_otherwise_is_refused(method):
    with pytest.raises(ArchiveError) as error:
        list(unpack(archive(("a.jpg", b"1" * 99), compression=method)))
    assert error.value.reason == "broken"


def test_a_jpeg_of_too_many_passes_is_refused_undecoded():
    photo = encoded(Image.new("RGB", (60, 40), "tan"), "JPEG", progressive=True)
    start = photo.index(b"\xff\xda")
    scan = photo[start : photo.index(b"\xff", start + 12)]
    assert open_upload(photo).size == (60, 40)
    with pytest.raises(PhotoError, match="too many passes"):
        open_upload(photo[:start] + scan * 200 + photo[start:])


@pytest.mark.parametrize("seed", range(40))
def test_damaged_archives_are_told_in_a_sentence(seed):
    whole = archive(("a.jpg", bytes(300)), ("b/c.png", b"x" * 40), compression=zipfile.ZIP_DEFLATED)
    damaged, draw = bytearray(whole), random.Random(seed)
    for _ in range(draw.randint(1, 8)):
        damaged[draw.randrange(4, len(damaged))] = draw.randrange(256)
    with suppress(ArchiveError):  # and nothing else
        list(unpack(bytes(damaged)))


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

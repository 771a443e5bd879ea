import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from hf_cushing.faces import photo as photo_module
from hf_cushing.faces.photo import PhotoError, encode_crop, open_photo


def jpeg(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def test_orientation_is_applied_and_all_metadata_is_gone():
    image = Image.new("RGB", (40, 20), "red")
    exif = image.getexif()
    exif[0x0112] = 6
    exif[0x8825] = {1: "N", 2: (52.0, 31.0, 0.0)}
    exif[0x9286] = "Jane Doe"
    opened = open_photo(jpeg(image, exif=exif, comment=b"Jane Doe"))
    assert opened.size == (20, 40)
    assert not opened.info
    again = Image.open(io.BytesIO(encode_crop(opened)))
    assert not again.getexif()
    assert b"Jane" not in encode_crop(opened)
    assert set(again.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def swapped_profile():
    """An sRGB profile whose red and blue primaries are exchanged."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = data.index(b"rXYZ", 128), data.index(b"bXYZ", 128)
    data[red : red + 4], data[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(data)


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_embedded_colour_profile_is_converted_and_dropped(mode):
    image = Image.new("RGB", (8, 8), (200, 100, 50))
    image = image.quantize(4) if mode == "P" else image.convert(mode)
    opened = open_photo(encoded(image, icc_profile=swapped_profile()))
    assert "icc_profile" not in opened.info
    assert np.allclose(opened.getpixel((2, 2)), (50, 100, 200), atol=2)


RAMP = np.linspace(0, 1, 256)[None].repeat(4, 0)


@pytest.mark.parametrize(
    ("kind", "top", "dtype", "options"),
    [
        ("PNG", 65535, np.uint16, {}),
        ("PNG", 65535, np.uint16, {"transparency": 3}),
        ("PNG", 4095, np.uint16, {}),
        ("TIFF", 1023, np.uint16, {}),
        ("TIFF", 4095, np.uint16, {}),
        ("TIFF", 16383, np.uint16, {}),
        ("TIFF", 65535, ">u2", {}),
        ("TIFF", 65535, np.int32, {}),
        ("TIFF", 2**31 - 1, np.int32, {}),
        ("TIFF", 1, np.float32, {}),
        ("TIFF", 255, np.float32, {}),
        ("TIFF", 3000, np.uint16, {"tiffinfo": {281: 3000}}),
    ],
)
def test_deep_grey_keeps_its_shades(kind, top, dtype, options):
    image = Image.fromarray((RAMP * top).astype(dtype))
    shades = np.asarray(open_photo(encoded(image, kind, **options)), int)[0, :, 0]
    assert np.abs(shades - np.arange(256)).max() <= 1


def sixteen_bit_colour(values):
    """A PNG of 16-bit colour, which Pillow can't write."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    height, width = values.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def test_sixteen_bit_colour_is_read_by_its_range():
    colour = RAMP[..., None].repeat(3, 2)
    assert open_photo(sixteen_bit_colour(colour * 65535)).getpixel((108, 0)) == (108, 108, 108)
    with pytest.raises(PhotoError, match=r"unsupported pixel format .* stored in 16"):
        open_photo(sixteen_bit_colour(colour * 4095))


@pytest.mark.parametrize("change", [(0, -0.5), (0, 1.5), (9, np.nan), (9, np.inf), (255, 0.1)])
def test_values_of_no_known_range_are_refused(change):
    values = RAMP * (0.2 if change == (255, 0.1) else 1)
    values[:, change[0]] = change[1]
    with pytest.raises(PhotoError, match="unsupported pixel format") as caught:
        open_photo(encoded(Image.fromarray(values.astype(np.float32)), "TIFF"))
    assert caught.value.reason == "unreadable"


def test_transparent_pixels_become_white():
    buffer = io.BytesIO()
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(buffer, "PNG")
    assert open_photo(buffer.getvalue()).getpixel((1, 1)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "I;16"])
def test_other_colour_modes_become_rgb(mode):
    buffer = io.BytesIO()
    Image.new(mode, (5, 6)).save(buffer, "TIFF")
    assert open_photo(buffer.getvalue()).mode == "RGB"


@pytest.mark.parametrize(
    ("content", "reason", "word"),
    [
        (b"", "empty", "export it again"),
        (b"%PDF-1.7 ...", "unreadable", "PDF"),
        (b"\x00\x00\x00\x18ftypheic....", "unreadable", "HEIC"),
        (b"\x00\x00\x00\x18ftypmif1....avif....", "unreadable", "AVIF"),
        (b"\x00\x00\x00\x18ftypisom....", "unreadable", "a film"),
        (b"\x00\x00\x00\x18ftypcrx ....", "unreadable", "CR3"),
        (b"hello", "unreadable", "not an image"),
    ],
)
def test_unusable_content_gives_reason_and_remedy(content, reason, word):
    with pytest.raises(PhotoError, match=word) as caught:
        open_photo(content)
    assert caught.value.reason == reason


def test_truncated_photo_is_refused(faces):
    with pytest.raises(PhotoError, match="truncated") as caught:
        open_photo(faces[0][: len(faces[0]) // 2])
    assert caught.value.reason == "unreadable"


def test_decompression_bomb_is_refused():
    buffer = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(buffer, "PNG")
    with pytest.raises(PhotoError) as caught:
        open_photo(buffer.getvalue())
    assert caught.value.reason == "too_large"


@pytest.mark.parametrize("error", [RuntimeError, NotImplementedError, IndexError, RecursionError])
def test_whatever_a_decoder_raises_is_the_fault_of_the_photo(monkeypatch, error):
    def broken(*_, **__):
        raise error("inside a decoder")

    monkeypatch.setattr(Image, "open", broken)
    with pytest.raises(PhotoError, match="export it again") as caught:
        open_photo(b"....")
    assert caught.value.reason == "unreadable"


def test_short_memory_and_our_own_faults_are_not_the_fault_of_the_photo(monkeypatch):
    def ours(*_, **__):
        raise TypeError("a fault of ours")

    data = encoded(Image.new("RGB", (4, 4)))
    monkeypatch.setattr(photo_module, "to_rgb", ours)
    with pytest.raises(TypeError):
        open_photo(data)

    def short(*_, **__):
        raise MemoryError

    monkeypatch.setattr(Image, "open", short)
    with pytest.raises(MemoryError):
        open_photo(data)


def test_photo_of_a_phone_is_read(faces):
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    photo = Image.open(io.BytesIO(faces[0]))
    opened = open_photo(encoded(photo, "HEIF"))
    assert np.abs(np.asarray(opened, float) - np.asarray(photo, float)).mean() < 4


def test_without_its_package_heic_names_the_remedy(monkeypatch):
    monkeypatch.setattr(photo_module, "find_spec", lambda name: None)
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
    with pytest.raises(PhotoError, match=r"pip install 'hf-cushing\[heic\]'"):
        open_photo(b"\x00\x00\x00\x18ftypheic....")

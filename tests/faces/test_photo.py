import io

import numpy as np
import pytest
from PIL import Image, ImageCms

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


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_embedded_colour_profile_is_converted_and_dropped(mode):
    image = Image.new("RGB", (8, 8), (200, 100, 50)).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", icc_profile=swapped_profile())
    opened = open_photo(buffer.getvalue())
    assert "icc_profile" not in opened.info
    assert opened.getpixel((2, 2))[2] > opened.getpixel((2, 2))[0]


def test_sixteen_bit_grey_keeps_its_shades():
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(4, 0)
    buffer = io.BytesIO()
    Image.fromarray(ramp).save(buffer, "PNG")
    assert (
        np.abs(np.asarray(open_photo(buffer.getvalue()), int)[0, :, 0] - np.arange(256)).max() <= 1
    )


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

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


def test_embedded_colour_profile_is_converted_and_dropped():
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = Image.new("RGB", (8, 8), (200, 100, 50))
    opened = open_photo(jpeg(image, icc_profile=lab, quality=100, subsampling=0))
    assert "icc_profile" not in opened.info
    assert np.abs(np.asarray(opened, int) - (200, 100, 50)).max() <= 3


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

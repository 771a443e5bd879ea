import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from hf_cushing.faces.align import align_face
from hf_cushing.faces.photo import file_facts, open_photo
from hf_cushing.faces.quality import measure_quality, quality_flags


@pytest.fixture(scope="module")
def face(faces):
    return align_face(open_photo(faces[0]))


def test_blur_lowers_sharpness(face):
    values = [
        measure_quality(face.image.filter(ImageFilter.GaussianBlur(radius)), face.landmarks)
        for radius in (0, 1, 3)
    ]
    assert values[0].sharpness > 1.5 * values[1].sharpness > 2 * values[2].sharpness


def test_exposure_moves_brightness_and_clipping(face):
    dark = measure_quality(face.image.point(lambda v: v * 0.1), face.landmarks)
    bright = measure_quality(face.image.point(lambda v: 255 if v > 90 else 200), face.landmarks)
    assert dark.highlight < 40 < 250 < bright.highlight
    assert bright.clipped > 0.5


def test_mirror_image_turns_the_other_way(face):
    mirrored = face.image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    points = face.landmarks * (-1, 1) + (face.image.width - 1, 0)
    order = [*range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1)]
    order += [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40]
    order += [54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65]
    here = measure_quality(face.image, face.landmarks)
    there = measure_quality(mirrored, points[order].astype(np.float32))
    assert there.yaw == pytest.approx(-here.yaw, abs=1e-4)
    assert there.pitch == pytest.approx(here.pitch, abs=1e-4)
    assert there.sharpness == pytest.approx(here.sharpness, rel=0.02)


def test_bar_across_the_nose_looks_like_glasses(face):
    worn = face.image.copy()
    x, y = face.landmarks[[36, 45], 0], float(face.landmarks[[36, 45], 1].mean())
    ImageDraw.Draw(worn).line([(x[0], y), (x[1], y)], fill="black", width=4)
    bare = measure_quality(face.image, face.landmarks).glasses
    assert measure_quality(worn, face.landmarks).glasses > max(2 * bare, 0.45)


def test_figures_of_a_large_crop_compare_with_those_of_a_small_one(faces):
    small, large = (align_face(open_photo(faces[0]), side) for side in (256, 384))
    a, b = (measure_quality(one.image, one.landmarks) for one in (small, large))
    assert b.highlight == pytest.approx(a.highlight, rel=0.02)
    assert b.yaw == pytest.approx(a.yaw, abs=0.01)


@pytest.mark.parametrize("quality", [20, 60, 75, 88, 95])
def test_jpeg_quality_is_read_from_the_file(face, quality):
    buffer = io.BytesIO()
    face.image.save(buffer, "JPEG", quality=quality)
    facts = file_facts(buffer.getvalue())
    assert facts.jpeg_quality == quality
    assert (facts.format, facts.width, facts.height) == ("JPEG", 256, 256)
    assert facts.bytes == len(buffer.getvalue())


def test_other_formats_have_no_jpeg_quality(face):
    buffer = io.BytesIO()
    face.image.save(buffer, "PNG")
    assert file_facts(buffer.getvalue()).jpeg_quality == 0


def test_dark_skin_in_good_light_is_not_called_dimly_lit(face):
    """Skin at a third of the luminance, with the highlights that good light leaves on it."""
    pixels = np.asarray(face.image, np.float32)
    skin = Image.fromarray((pixels * 0.35).astype(np.uint8))
    shine = Image.new("RGB", skin.size)
    x, y = face.landmarks[30]
    ImageDraw.Draw(shine).ellipse([x - 25, y - 25, x + 25, y + 25], fill=(140, 140, 140))
    lit = Image.fromarray(np.maximum(np.asarray(skin), np.asarray(shine)))
    assert measure_quality(skin, face.landmarks).highlight < 120
    assert measure_quality(lit, face.landmarks).highlight > 120


def test_flags_name_what_is_beyond_its_limit(face):
    box = face.face_box
    flags = quality_flags(face.image, face.landmarks, box)
    soft = quality_flags(face.image.filter(ImageFilter.GaussianBlur(4)), face.landmarks, box)
    dark = quality_flags(face.image.point(lambda v: v * 0.1), face.landmarks, box)
    assert not {"soft", "dimly lit", "small face"} & set(flags)
    assert "soft" in soft
    assert "dimly lit" in dark
    assert "small face" in quality_flags(face.image, face.landmarks, (0, 0, 79, 79))

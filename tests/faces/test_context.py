"""The wide view: what it shows, where the face is in it, and what it hides."""

import numpy as np
import pytest
from PIL import Image

from hf_cushing.faces.context import CONTEXT_SIDE, wide_view
from hf_cushing.faces.landmarks import Face


def noise(width, height):
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(pixels)


def face(left, top, side, *others):
    return Face((left, top, left + side, top + side), np.zeros((68, 2), np.float32), others)


def test_small_photo_is_kept_whole_pixel_for_pixel():
    photo = noise(250, 250)
    view = wide_view(photo, face(80, 90, 100))
    assert view.image.tobytes() == photo.tobytes()
    assert (view.box, view.share) == ((80, 90, 180, 190), 1.0)


def test_large_portrait_is_whole_and_shrunk_with_its_shape():
    view = wide_view(noise(1200, 1600), face(300, 450, 600))
    assert view.image.size == (CONTEXT_SIDE, 533)
    assert (view.box, view.share) == ((100, 150, 300, 350), 1.0)


def test_small_face_gets_five_of_its_sides_and_stays_inside_the_photo():
    view = wide_view(noise(2000, 1000), face(1900, 300, 60))
    assert view.image.size == (300, 300)
    assert view.box == (200, 120, 260, 180)
    assert view.share == 300 * 300 / 2_000_000


def test_panorama_is_cut_to_twice_its_shorter_side():
    view = wide_view(noise(3000, 200), face(1000, 60, 80))
    assert view.image.size == (400, 200)
    assert view.box == (160, 60, 240, 140)


@pytest.mark.parametrize("place", [(10, 20), (140, 100), (230, 230)])
def test_other_faces_have_one_colour_and_the_sitters_own_box_is_untouched(place):
    photo = noise(250, 250)
    x, y = place
    view = wide_view(photo, face(80, 90, 100, (x, y, x + 30, y + 30)))
    was, now = np.asarray(photo).copy(), np.asarray(view.image).copy()
    assert (now[90:190, 80:180] == was[90:190, 80:180]).all()
    for pixels in (was, now):
        pixels[90:190, 80:180] = 0
    hidden = (slice(max(y - 15, 0), y + 45), slice(max(x - 15, 0), x + 45))
    colours = np.unique(now[hidden].reshape(-1, 3), axis=0)
    assert len(colours) <= 2
    now[hidden] = was[hidden]
    assert (now == was).all()


SHAPE = np.linspace(80, 160, 136).reshape(68, 2)


def test_detected_bystander_is_told_to_the_view(monkeypatch):
    from hf_cushing.faces import landmarks

    boxes = [(0, 0, 40, 40), (60, 60, 190, 190)]
    monkeypatch.setattr(landmarks, "detect_boxes", lambda photo, finer=0: dict.fromkeys(boxes, 2.0))
    monkeypatch.setattr(landmarks, "_landmarks", lambda photo, box: SHAPE)
    assert landmarks.find_face(noise(250, 250)).other_boxes == ((0, 0, 40, 40),)

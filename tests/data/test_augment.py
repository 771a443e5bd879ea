import numpy as np
import pytest
from PIL import Image, ImageCms

from hf_cushing.data.augment import STRENGTHS, augment
from hf_cushing.faces.landmarks import find_face
from hf_cushing.faces.photo import PhotoError

STRENGTH = sorted(STRENGTHS)
CHEEKS = (2, 31, 48), (14, 35, 54)
"""Contour, wing of the nose and corner of the mouth, iBUG numbering: a triangle a cheek."""

JUST_NOTICEABLE = 2.3
"""Difference of colour in CIELAB that an eye just sees (Mahy, Van Eycken, Oosterlinck 1994)."""


@pytest.mark.parametrize("strength", STRENGTH)
def test_circle_stays_a_circle_and_moves_little(strength):
    side = 128
    y, x = np.mgrid[0:side, 0:side] - side / 2 + 0.5
    disc = np.full((side, side, 3), 90, np.uint8)
    disc[x**2 + y**2 < 35**2] = (200, 80, 70)
    for seed in range(30):
        rng = np.random.default_rng(seed)
        out = np.asarray(augment(Image.fromarray(disc), rng, strength=strength, zoom_out=1.1), int)
        inside = out[..., 0] > 145
        ys, xs = np.nonzero(inside)
        spread = np.cov(xs, ys)
        assert np.isclose(spread[0, 0], spread[1, 1], rtol=0.03)
        assert abs(spread[0, 1]) < 0.03 * spread[0, 0]
        assert 1 / 1.1**2 * 0.97 < inside.sum() / (np.pi * 35**2) < 1 / 0.9**2 * 1.03
        assert abs(ys.mean() - 63.5) < 0.05 * side
        middle = out[int(ys.mean()), int(xs.mean())]
        assert np.abs(middle - (200, 80, 70)).max() <= 11


def lab(image):
    profile = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    pixels = np.asarray(ImageCms.profileToProfile(image, *profile, outputMode="LAB"))
    return pixels.astype(np.uint8).view(np.int8).astype(float)  # a*, b* are signed


def roundness(points):
    """Jaw width over the height from nose bridge to chin: what the sign is measured by."""
    return np.linalg.norm(points[12] - points[4]) / np.linalg.norm(points[8] - points[27])


def redness(image, points):
    from PIL import ImageDraw

    mask = Image.new("L", image.size)
    for triangle in CHEEKS:
        corners = points[list(triangle)]
        inner = corners.mean(0) + 0.7 * (corners - corners.mean(0))
        ImageDraw.Draw(mask).polygon([tuple(p) for p in inner], fill=255)
    return lab(image)[..., 1][np.asarray(mask) > 0].mean()


@pytest.fixture(scope="module")
def found(dataset):
    """Twelve crops in which a face is found, and its landmarks."""
    from hf_cushing.data.loading import load_faces

    photos = load_faces(str(dataset)).roles["train"].select(range(12))
    images = [row["image"].convert("RGB") for row in photos]
    return [(image, find_face(image).landmarks) for image in images]


@pytest.mark.parametrize("strength", STRENGTH)
def test_faces_keep_their_roundness_and_the_redness_of_their_cheeks(found, strength):
    round_by, red_by = [], []
    for number, (image, before) in enumerate(found):
        changed = augment(image, np.random.default_rng(number), strength=strength, zoom_out=1.05)
        try:
            after = find_face(changed).landmarks
        except PhotoError:
            continue
        round_by.append(roundness(after) / roundness(before) - 1)
        red_by.append(redness(changed, after) - redness(image, before))
    assert len(round_by) >= 10
    assert abs(np.mean(round_by)) < 0.02
    assert np.median(np.abs(round_by)) < 0.02  # dlib finds the landmarks anew: up to 6 % apart
    assert np.max(np.abs(red_by)) < JUST_NOTICEABLE
    assert abs(np.mean(red_by)) < JUST_NOTICEABLE / 3


@pytest.mark.parametrize("strength", STRENGTH)
def test_same_generator_gives_the_same_picture(strength):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    one, again, other = (
        augment(image, np.random.default_rng(seed), strength=strength) for seed in (1, 1, 2)
    )
    assert one.tobytes() == again.tobytes() != other.tobytes()

import io

import numpy as np
import pytest
from PIL import Image

from hf_cushing.faces.align import CROP_SCALE, LEFT_EYE, RIGHT_EYE, align_face, similarity, warp
from hf_cushing.faces.landmarks import find_face
from hf_cushing.faces.photo import PhotoError, open_photo


@pytest.fixture(scope="module")
def photo(clinic):
    return open_photo(sorted((clinic / "images").iterdir())[0])


def eye_slope(landmarks):
    dx, dy = landmarks[LEFT_EYE].mean(0) - landmarks[RIGHT_EYE].mean(0)
    return np.degrees(np.arctan2(dy, dx))


@pytest.mark.parametrize("turn", [-14, 0, 14])
def test_eyes_are_level_and_face_is_centred(photo, turn):
    face = align_face(photo.rotate(turn, Image.Resampling.BICUBIC, fillcolor="grey"))
    assert abs(eye_slope(face.landmarks)) < 1e-3
    found = find_face(face.image).landmarks
    assert abs(eye_slope(found)) < 3
    box = np.array([face.landmarks.min(0), face.landmarks.max(0)])
    assert np.allclose(box.mean(0), 128, atol=1e-3)
    assert np.isclose((box[1] - box[0]).max() * CROP_SCALE, 256, atol=1e-2)


def test_nothing_is_stretched(photo):
    matrix = similarity(find_face(photo).landmarks, 256)[:, :2]
    scale = np.linalg.norm(matrix[:, 0])
    assert np.allclose(matrix.T @ matrix, scale**2 * np.eye(2))


def test_landmarks_of_the_crop_lie_on_the_same_features(photo):
    face = align_face(photo)
    distance = np.linalg.norm(find_face(face.image).landmarks - face.landmarks, axis=1)
    assert np.median(distance) < 6


def test_large_photo_gives_the_same_crop_as_a_small_one(photo):
    large = photo.resize((2048, 2048), Image.Resampling.BICUBIC)
    small, big = (np.asarray(align_face(p).image, float) for p in (photo, large))
    assert np.abs(small - big).mean() < 6


def test_outside_of_the_photo_repeats_the_edge():
    image = Image.new("RGB", (50, 50), (10, 200, 30))
    matrix = np.array([[1.0, 0.0, -40.0], [0.0, 1.0, 20.0]])
    assert np.asarray(warp(image, matrix, 64)).reshape(-1, 3).min(0).tolist() == [10, 200, 30]


def test_photo_without_face_is_refused():
    with pytest.raises(PhotoError, match="frontal") as caught:
        align_face(Image.new("RGB", (200, 200), "grey"))
    assert caught.value.reason == "no_face"


def test_two_equal_faces_are_refused(photo):
    pair = Image.new("RGB", (512, 256))
    pair.paste(photo, (0, 0))
    pair.paste(photo, (256, 0))
    with pytest.raises(PhotoError, match="2 faces") as caught:
        align_face(pair)
    assert caught.value.reason == "several_faces"


def test_drawn_face_is_a_jpeg_of_expected_size(faces):
    assert Image.open(io.BytesIO(faces[0])).size == (256, 256)

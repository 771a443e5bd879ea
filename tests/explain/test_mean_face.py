import time

import numpy as np
import pytest

from hf_cushing.explain.mean_face import mean_face, warp_to
from hf_cushing.faces.regions import mean_shape, mirrored_landmarks
from hf_cushing.schema import UserError

SIDE = 256


@pytest.fixture(scope="module")
def cohort(dataset):
    import io

    import pyarrow.parquet
    from PIL import Image

    table = pyarrow.parquet.read_table(sorted(dataset.rglob("*.parquet"))[0])
    rows = table.slice(0, 12).to_pylist()
    crops = [Image.open(io.BytesIO(row["image"]["bytes"])).convert("RGB") for row in rows]
    return crops, np.array([row["landmarks"] for row in rows], np.float32).reshape(-1, 68, 2)


def test_a_dot_on_a_landmark_lands_on_the_target(cohort):
    _, shapes = cohort
    target = mean_shape(shapes, SIDE)
    y, x = np.mgrid[:SIDE, :SIDE]
    for number in (8, 19, 30, 33, 36, 45, 48, 54, 57):
        dot = np.exp(-((x - shapes[0, number, 0]) ** 2 + (y - shapes[0, number, 1]) ** 2) / 4)
        moved = warp_to(dot, shapes[0], target)
        found = np.unravel_index(moved.argmax(), moved.shape)[::-1]
        assert np.hypot(*(found - target[number])) <= 1


def test_identity_returns_the_picture(cohort):
    crops, shapes = cohort
    picture = np.asarray(crops[0], np.float32)
    for keep in (False, True):
        same = warp_to(picture, shapes[0], shapes[0], keep_mass=keep)
        assert same.dtype == np.float32
        assert np.abs(same - picture).max() < 0.05


def test_mass_is_kept_where_asked(cohort):
    _, shapes = cohort
    y, x = np.mgrid[:SIDE, :SIDE]
    target = shapes[1] * 0.8 + 0.2 * SIDE / 2
    heat = np.exp(-((x - shapes[0, 30, 0]) ** 2 + (y - shapes[0, 30, 1]) ** 2) / 800)
    assert np.isclose(warp_to(heat, shapes[0], target, keep_mass=True).sum(), heat.sum(), rtol=0.02)
    assert warp_to(heat, shapes[0], target).sum() < 0.9 * heat.sum()


def test_mean_face_of_one_shape_is_the_weighted_mean(cohort):
    _, shapes = cohort
    even = mean_shape(shapes, SIDE)
    assert np.allclose(mirrored_landmarks(even, SIDE), even, atol=1e-4)
    crops = (np.full((SIDE, SIDE, 3), value, np.uint8) for value in (0, 90, 60, 60, 60, 60))
    face = mean_face(crops, np.stack([even] * 6), patients=np.array(list("aabcde")), side=SIDE)
    assert (face.image == 57).all()  # a's two photos count once: (45 + 4 * 60) / 5
    assert np.allclose(face.landmarks, even, atol=1e-3)


def test_features_of_the_mean_lie_on_its_landmarks(cohort):
    crops, shapes = cohort
    face = mean_face(crops, shapes, patients=np.arange(len(crops)))
    x, y = np.rint(face.landmarks[[37, 38, 40, 41]].mean(0)).astype(int)
    eye = face.image[y - 3 : y + 4, x - 3 : x + 4].mean()
    x, y = np.rint((face.landmarks[2] + face.landmarks[31]) / 2).astype(int)
    assert eye < 0.8 * face.image[y - 3 : y + 4, x - 3 : x + 4].mean()


def test_few_persons_are_refused(cohort):
    crops, shapes = cohort
    with pytest.raises(UserError, match="5 persons or more, found 4"):
        mean_face(crops, shapes, patients=np.array(list("aabbccddaabb")))
    with pytest.raises(ValueError, match=r"shorter|longer"):
        mean_face(crops[:3], shapes, patients=np.arange(12))
    with pytest.raises(ValueError, match="square"):
        warp_to(np.zeros((4, 5)), shapes[0], shapes[1])


def test_a_warp_is_quick(cohort):
    crops, shapes = cohort
    picture, target = np.asarray(crops[0], np.float32), mean_shape(shapes, SIDE)
    warp_to(picture, shapes[0], target)
    times = []
    for shape in shapes[:8]:
        start = time.perf_counter()
        warp_to(picture, shape, target)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.1

import io

import numpy as np
import pyarrow.parquet
import pytest
from PIL import Image

from hf_cushing.faces.align import align_face
from hf_cushing.faces.regions import (
    GROUPS,
    MIRROR,
    PAIRS,
    REGIONS,
    mirrored,
    mirrored_landmarks,
    region_labels,
)
from hf_cushing.schema import UserError

SIDE = 256


@pytest.fixture(scope="module")
def shapes(dataset):
    """Landmarks of the drawn, aligned faces."""
    files = sorted(dataset.rglob("*.parquet"))
    rows = [row for file in files for row in pyarrow.parquet.read_table(file).to_pylist()]
    return [np.array(row["landmarks"], np.float32).reshape(68, 2) for row in rows[:12]]


def areas(labels):
    return np.bincount(labels.ravel(), minlength=len(REGIONS))


def test_regions_are_a_partition_without_an_empty_part(shapes):
    for shape in shapes:
        labels = region_labels(shape, SIDE)
        assert labels.shape == (SIDE, SIDE)
        assert labels.dtype == np.uint8
        assert labels.max() < len(REGIONS)
        assert (areas(labels) > 20).all()
    assert sorted(name for names in GROUPS.values() for name in names) == sorted(REGIONS)


def test_no_pixel_within_the_face_is_left_outside(shapes):
    from matplotlib.path import Path
    from scipy.ndimage import binary_erosion

    y, x = np.mgrid[:SIDE, :SIDE]
    pixels = np.stack([x.ravel(), y.ravel()], 1)
    for shape in shapes:
        outline = np.concatenate([shape[:17], shape[26:16:-1]])
        inside = Path(outline).contains_points(pixels).reshape(SIDE, SIDE)
        lost = binary_erosion(inside, iterations=2) & (
            region_labels(shape, SIDE) == REGIONS.index("outside")
        )
        assert not lost.any()


def test_landmarks_lie_in_their_regions(shapes):
    wanted = {
        "eye_right": range(36, 42), "eye_left": range(42, 48), "nose": (28, 29, 30),
        "brow_right": (18, 19, 20), "brow_left": (23, 24, 25), "perioral": range(48, 68),
    }  # fmt: skip
    for shape in shapes:
        labels = region_labels(shape, SIDE)
        for name, numbers in wanted.items():
            x, y = np.rint(shape[list(numbers)]).astype(int).T
            assert (labels[y, x] == REGIONS.index(name)).all(), name
        middle = {n: np.argwhere(labels == k).mean(0) for k, n in enumerate(REGIONS)}
        assert middle["forehead"][0] < middle["nose"][0] < middle["chin"][0]
        assert middle["malar_right"][1] < middle["nose"][1] < middle["malar_left"][1]


def test_mirror_swaps_the_sides(shapes):
    swap = np.array([REGIONS.index(mirrored(name)) for name in REGIONS])
    for shape in shapes:
        labels = region_labels(shape, SIDE)
        other = region_labels(mirrored_landmarks(shape, SIDE), SIDE)
        assert (swap[labels][:, ::-1] == other).mean() > 0.98
        assert np.allclose(areas(other)[swap], areas(labels), rtol=0.12, atol=20)
    even = (shapes[0] + mirrored_landmarks(shapes[0], SIDE)) / 2
    size = dict(zip(REGIONS, areas(region_labels(even, SIDE)).tolist(), strict=True))
    assert all(abs(size[right] - size[left]) <= 0.01 * size[left] for right, left in PAIRS)
    assert all(mirrored(right) == left and mirrored(left) == right for right, left in PAIRS)
    assert (MIRROR[MIRROR] == np.arange(68)).all()


def test_mirrored_landmarks_are_those_found_on_the_mirrored_photo(faces):
    photo = Image.open(io.BytesIO(faces[0])).convert("RGB")
    here = align_face(photo)
    there = align_face(photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    assert np.abs(mirrored_landmarks(here.landmarks, SIDE) - there.landmarks).mean() < 5


def test_scale_follows_the_side(shapes):
    small = region_labels(shapes[0] / 2, SIDE // 2)
    assert np.allclose(areas(small) / small.size, areas(region_labels(shapes[0], SIDE)) / SIDE**2,
                       atol=0.006)  # fmt: skip


def test_points_outside_the_crop(shapes):
    chin = shapes[0].copy()
    chin[8, 1] = SIDE + 5
    assert region_labels(chin, SIDE).shape == (SIDE, SIDE)
    chin[8, 1] = SIDE + 30
    chin[36, 0] = -2
    with pytest.raises(UserError, match=r"landmarks 9, 37 .*larger crop"):
        region_labels(chin, SIDE)
    with pytest.raises(UserError, match="68 landmarks"):
        region_labels(chin[:5], SIDE)

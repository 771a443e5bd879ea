import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hf_cushing.data.framing import ALIGNED_SHARE, free_window, show
from hf_cushing.data.loading import FacePhotos, load_faces
from hf_cushing.schema import ALIGNED, ANY, PLAIN

SIDES = st.integers(60, 900)
EDGES = st.tuples(*[st.floats(-0.1, 1.1)] * 2).map(sorted)


@given(SIDES, SIDES, EDGES, EDGES, st.integers(0, 2**32))
def test_a_window_is_a_square_in_the_view_with_all_of_the_face_that_fits(w, h, across, down, seed):
    box = [across[0] * w, down[0] * h, across[1] * w, down[1] * h]
    left, top, right, bottom = free_window((w, h), box, np.random.default_rng(seed))
    assert np.isclose(right - left, bottom - top)
    assert min(left, top) >= -1e-6
    assert right <= w + 1e-6
    assert bottom <= h + 1e-6
    inside = box[0] >= 0 and box[1] >= 0 and box[2] <= w and box[3] <= h
    if inside and max(box[2] - box[0], box[3] - box[1]) <= min(w, h):
        assert left <= box[0] + 1e-6
        assert top <= box[1] + 1e-6
        assert right >= box[2] - 1e-6
        assert bottom >= box[3] - 1e-6


def row():
    view = Image.new("RGB", (300, 200), "navy")
    return {"image": Image.new("RGB", (64, 64), "tan"), "context": view,
            "context_box": [100, 50, 180, 130]}  # fmt: skip


def test_what_is_shown_is_the_crop_the_view_or_now_this_now_that():
    rng = np.random.default_rng(0)
    crop, aligned = show(row(), ALIGNED, rng)
    assert aligned
    assert crop.getpixel((0, 0)) == (210, 180, 140)
    view, aligned = show(row(), PLAIN, rng)
    assert not aligned
    assert view.size == (300, 200)
    shown = [show(row(), ANY, rng) for _ in range(300)]
    assert {picture.size for picture, _ in shown} == {(64, 64)}
    share = np.mean([aligned for _, aligned in shown])
    assert share == pytest.approx(ALIGNED_SHARE, abs=0.1)
    assert {picture.getpixel((0, 0)) for picture, aligned in shown if not aligned} == {(0, 0, 128)}


def test_views_follow_seed_and_epoch_alone(dataset, run):
    from hf_cushing.models.build import load_classifier

    photos = load_faces(str(dataset)).roles["train"]
    processor = load_classifier(str(run)).processor

    def pixels(epoch, order):
        seen = FacePhotos(photos, processor, strength="light", seed=3, framing=ANY)
        seen.set_epoch(epoch)
        return {i: seen[i]["pixel_values"].numpy() for i in order}

    first, again, later = pixels(0, [0, 1, 2]), pixels(0, [2, 1, 0]), pixels(1, [0, 1, 2])
    assert all(np.array_equal(first[i], again[i]) for i in first)
    assert not any(np.array_equal(first[i], later[i]) for i in first)


def test_only_what_is_shown_is_decoded(dataset):
    photos = load_faces(str(dataset)).roles["test"]
    shown = {ALIGNED: {"image"}, PLAIN: {"context"}, ANY: {"image", "context"}}
    for framing, expected in shown.items():
        held = set(FacePhotos(photos, None, framing=framing).photos.column_names)
        assert held & {"image", "context"} == expected

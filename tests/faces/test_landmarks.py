"""Which photos are refused, and that a photo turned the wrong way gives the same crop."""

import csv
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from hf_cushing.faces import landmarks
from hf_cushing.faces.align import align_face, crop_face
from hf_cushing.faces.context import wide_view
from hf_cushing.faces.landmarks import TURNS, find_face, part_of
from hf_cushing.faces.photo import PhotoError, open_photo
from tests.conftest import shared

SIDES = ("left", "top", "right", "bottom")


@pytest.fixture(scope="module")
def photo(clinic):
    return open_photo(sorted((clinic / "images").iterdir())[0])


def cut(photo, points, side, share):
    """The photo without a share of the landmarks' box on one side; below 0 it keeps a margin."""
    low, high = points.min(0), points.max(0)
    ends = [*(low + share * (high - low)), *(high - share * (high - low))]
    box = [0, 0, *photo.size]
    place = SIDES.index(side)
    box[place] = round(float(ends[place]))
    return photo.crop(box)


def outcome(photo):
    try:
        return find_face(photo).turn
    except PhotoError as error:
        return error.reason


@pytest.mark.parametrize("side", SIDES)
def test_face_that_the_edge_cuts_is_refused_and_a_whole_one_beside_it_is_not(photo, side):
    points = find_face(photo).landmarks
    found = [outcome(cut(photo, points, side, share)) for share in (-0.05, 0.1, 0.2)]
    assert found == [0, "cut_off", "cut_off"]


def beside(photo, share):
    """The face, and beside it one of a share of its area; both whole."""
    side = round(768 * share**0.5)
    pair = Image.new("RGB", (768 + side, 768), "grey")
    pair.paste(photo.resize((768, 768)), (0, 0))
    pair.paste(photo.resize((side, side)), (768, 768 - side))
    return pair


def test_the_sitter_is_four_times_as_large_as_any_other(photo):
    assert outcome(beside(photo, 1 / 3)) == "several_faces"
    assert outcome(beside(photo, 1 / 5.5)) == 0


@pytest.mark.parametrize("turn", TURNS)
def test_turned_photo_gives_the_same_crop_and_says_so(photo, turn):
    upright = align_face(photo)
    wrong = photo.transpose(TURNS[(360 - turn) % 360])
    aligned = align_face(wrong)
    assert aligned.face.turn == turn
    assert aligned.notes == {"turned_photo": f"the photo was turned by {turn} degrees clockwise"}
    assert not upright.notes
    assert aligned.image == upright.image
    assert aligned.face_box == upright.face_box
    assert crop_face(wrong, aligned.face).image == upright.image
    assert wide_view(wrong, aligned.face).image == wide_view(photo, upright.face).image


def test_face_that_is_not_clear_is_never_taken_from_a_turned_photo(photo, monkeypatch):
    monkeypatch.setattr(landmarks, "CLEAR", 9.0)
    assert outcome(photo) == 0
    assert {outcome(photo.transpose(way)) for way in TURNS.values()} == {"no_face"}


def test_ordinary_photo_is_searched_once(photo, monkeypatch):
    calls = []
    search = landmarks.detect_boxes
    monkeypatch.setattr(
        landmarks, "detect_boxes", lambda *given: calls.append(given) or search(*given)
    )
    find_face(photo)
    assert len(calls) == 1


def test_bystander_nearer_to_the_camera_is_pointed_out(photo):
    large, small = photo.resize((768, 768)), photo.resize((300, 300))
    wide = Image.new("RGB", (1800, 768), "grey")
    wide.paste(large, (0, 0))
    wide.paste(small, (768, 200))
    assert "nearer the middle" in align_face(wide).notes["rivalled"]
    wide = Image.new("RGB", (1800, 768), "grey")
    wide.paste(large, (516, 0))
    wide.paste(small, (1400, 200))
    assert set(align_face(wide).notes) == {"other_faces"}


def test_part_of_a_photo_repeats_its_edge():
    photo = Image.fromarray(np.arange(27, dtype=np.uint8).reshape(3, 3, 3))
    part = np.asarray(part_of(photo, (-2, 1, 2, 5)))
    assert part.shape == (4, 4, 3)
    assert (part[0, :3] == part[0, 0]).all()
    assert (part[2:] == part[1]).all()
    assert (np.asarray(part_of(photo, (1, 1, 3, 3))) == np.asarray(photo)[1:, 1:]).all()


def test_real_faces_that_are_cut_or_turned():
    """The figures of benchmarks/refusals.py, roughly, on 8 persons."""
    folder = shared("data/lfw_moonface")
    with open(folder / "metadata.csv", encoding="utf-8") as file:
        names = [row["file_name"] for row in csv.DictReader(file) if "_1.jpg" in row["file_name"]]
    found = Counter()
    for name in names[::33][:8]:
        real = open_photo(folder / name)
        upright = align_face(real)
        for side in SIDES:
            found[outcome(cut(real, upright.face.landmarks, side, 0.12))] += 1
        try:
            found["same"] += align_face(real.transpose(TURNS[180])).image == upright.image
        except PhotoError:
            found["refused"] += 1
    assert found["cut_off"] >= 29
    assert found["same"] >= 5
    assert found["same"] + found["refused"] == 8

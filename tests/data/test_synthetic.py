import csv
from functools import cache

import numpy as np
import pytest
from PIL import Image

from hf_cushing.data.drawing import Signs, draw
from hf_cushing.data.synthetic import (
    CohortOptions,
    invent_person,
    make_cohort,
    plan_photos,
    take_shot,
)
from hf_cushing.faces.landmarks import detect_boxes, find_face
from hf_cushing.faces.photo import open_photo
from hf_cushing.schema import UserError


def scene(seed, signs, sex="female"):
    rng = np.random.default_rng(seed)
    person = invent_person(rng, sex, 40)
    return draw(person, take_shot(rng, "reflex"), signs)


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_dlib_finds_one_face_in_a_drawn_photo(clinic):
    some = sorted((clinic / "images").iterdir())[::3]
    assert [len(detect_boxes(open_photo(path))) for path in some] == [1] * 24


def test_same_seed_draws_the_same_cohort_in_any_number_of_processes(tmp_path):
    drawn = []
    for number in (1, 2):
        folder, options = tmp_path / str(number), CohortOptions(photos=12, seed=3)
        make_cohort(folder / "raw", folder / "truth", options, num_proc=number)
        files = sorted(path for path in folder.rglob("*.*") if path.is_file())
        drawn.append([(path.relative_to(folder), path.read_bytes()) for path in files])
    assert len(drawn[0]) > 24
    assert drawn[0] == drawn[1]


def test_mask_is_empty_without_signs_and_lies_on_the_face_with_them():
    photo, mask = scene(1, Signs())
    assert not mask.any()
    photo, mask = scene(1, Signs(cushing=0.8))
    left, _, right, _ = next(iter(detect_boxes(Image.fromarray(photo))))
    xs = np.nonzero(mask)[1]
    assert 0.01 < mask.mean() < 0.4
    wide = 0.35 * (right - left)
    assert ((xs > left - wide) & (xs < right + wide)).mean() > 0.97


@cache
def drawn_face(seed, **signs):
    """A drawn photo, and the landmarks that are found in it."""
    photo, _ = scene(seed, Signs(**signs))
    return photo, find_face(Image.fromarray(photo)).landmarks


def cheek_redness(photo, points):
    x, y = ((points[31] + points[3]) / 2).astype(int)
    patch = photo[y - 4 : y + 5, x - 4 : x + 5].reshape(-1, 3).mean(0)
    return patch[0] / patch.sum()


def jaw_to_height(_, points):
    return np.linalg.norm(points[12] - points[4]) / np.linalg.norm(points[27] - points[8])


@pytest.mark.parametrize("sign", [cheek_redness, jaw_to_height])
def test_cushing_makes_the_lower_face_rounder_and_the_cheeks_redder(sign):
    changes = [sign(*drawn_face(seed, cushing=0.9)) - sign(*drawn_face(seed)) for seed in range(8)]
    assert np.mean(changes) > 0
    assert np.sum(np.array(changes) > 0) >= 7


def test_acromegaly_lengthens_the_lower_face():
    changes = [
        jaw_to_height(*drawn_face(seed, acromegaly=0.9)) - jaw_to_height(*drawn_face(seed))
        for seed in range(8)
    ]
    assert np.mean(changes) < 0


def test_default_cohort_is_as_large_and_sex_imbalanced_as_the_published_one():
    plans = list(plan_photos(CohortOptions()))
    assert len(plans) == 343
    positives = [p for p in plans if p.label == "cushing"]
    women = np.mean([p.person.sex == "female" for p in positives])
    assert 0.35 < len(positives) / 343 < 0.55
    assert women > 0.65
    assert len({p.patient_id for p in plans}) < 343


def test_age_camera_and_light_do_not_depend_on_the_label():
    plans = list(plan_photos(CohortOptions(photos=4000)))
    sick = np.array([p.label != "control" for p in plans])
    for value in (
        [p.age for p in plans],
        [p.camera == "phone" for p in plans],
        [p.shot.exposure for p in plans],
        [p.shot.warmth for p in plans],
        [sum(p.person.skin) for p in plans],
    ):
        assert abs(np.corrcoef(sick, np.array(value, float))[0, 1]) < 0.06


def test_truth_names_every_photo_and_its_mask(clinic):
    truth = rows(clinic.with_name("truth") / "truth.csv")
    table = rows(clinic / "metadata.csv")
    assert [r["file_name"] for r in truth] == [r["file_name"] for r in table]
    for entry, row in zip(truth, table, strict=True):
        mask = np.asarray(
            Image.open(clinic.with_name("truth") / "masks" / f"{entry['photo_id']}.png")
        )
        assert mask.any() == (row["label"] == "cushing") == (float(entry["cushing"]) > 0)


def test_unknown_disease_and_foreign_folder_are_refused(tmp_path):
    with pytest.raises(UserError, match="choose from cushing, acromegaly"):
        CohortOptions(diseases=("flu",))
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(UserError, match="was not made by this command"):
        make_cohort(tmp_path, tmp_path / "truth", CohortOptions(photos=10))


@pytest.mark.slow
def test_dlib_finds_exactly_one_face_in_99_of_100_of_1000_faces():
    options = CohortOptions(photos=1000, diseases=("cushing", "acromegaly"), seed=11)
    counts = [
        len(detect_boxes(Image.fromarray(draw(p.person, p.shot, p.signs)[0])))
        for p in plan_photos(options)
    ]
    assert np.mean(np.array(counts) == 1) >= 0.99

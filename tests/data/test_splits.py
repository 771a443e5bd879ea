from collections import Counter

import numpy as np
import pytest

from hf_cushing.data.splits import assign_patients, split_photos
from hf_cushing.schema import FacePhoto, UserError


def cohort(rng, patients, positive=0.4):
    photos = []
    for number in range(patients):
        label = "cushing" if rng.random() < positive else "control"
        sex = "female" if rng.random() < 0.75 else "male"
        for _ in range(rng.integers(1, 4)):
            row = len(photos)
            photos.append(
                FacePhoto(
                    row=row, file_name=str(row), patient_id=f"P{number}", label=label, sex=sex
                )
            )
    return photos


@pytest.mark.parametrize("seed", range(20))
def test_each_stratum_is_shared_out_as_asked(seed):
    photos = cohort(np.random.default_rng(seed), 150)
    shares = (0.65, 0.15, 0.2)
    bins = assign_patients(photos, shares, seed)
    for stratum in {(p.label, p.sex) for p in photos}:
        counts = Counter(bins[p.patient_id] for p in photos if (p.label, p.sex) == stratum)
        total = counts.total()
        for number, share in enumerate(shares):
            assert abs(counts[number] - share * total) <= 3


@pytest.mark.parametrize("seed", range(20))
def test_small_strata_leave_no_split_without_a_label(seed):
    strata = [("cushing", "female", 3), ("cushing", "male", 3), ("control", "female", 6)]
    photos = [
        FacePhoto(row=0, file_name="x", patient_id=f"{label}{sex}{n}", label=label, sex=sex)
        for label, sex, count in strata
        for n in range(count)
    ]
    splits = split_photos(photos, validation_size=0.15, test_size=0.2, seed=seed)
    held = {(splits[p.patient_id], p.label) for p in photos}
    assert len(held) == 6


def test_split_without_a_label_is_refused_by_name():
    photos = [
        FacePhoto(row=0, file_name="x", patient_id=f"{label}{n}", label=label, sex="male")
        for label, count in (("control", 20), ("cushing", 2))
        for n in range(count)
    ]
    with pytest.raises(UserError, match=r"the \w+ split gets no patient with label 'cushing'"):
        split_photos(photos, validation_size=0.1, test_size=0.1, seed=0)


def test_order_of_the_table_does_not_matter(rng):
    photos = cohort(rng, 40)
    mixed = [photos[i] for i in rng.permutation(len(photos))]
    assert assign_patients(photos, (0.5, 0.5), 1) == assign_patients(mixed, (0.5, 0.5), 1)


def test_seed_changes_the_split(rng):
    photos = cohort(rng, 40)
    assert assign_patients(photos, (0.5, 0.5), 1) != assign_patients(photos, (0.5, 0.5), 2)

"""Kinds of cohorts: visits, views, pairs, sites, grades, merged identities, repeats."""

import json
from dataclasses import replace

import pytest
from datasets import load_dataset

from hf_cushing.data import crops
from hf_cushing.data import prepare as prepare_module
from hf_cushing.data.chunks import crop_photo
from hf_cushing.data.loading import load_faces
from hf_cushing.data.options import PrepareOptions
from hf_cushing.data.persons import Alike
from hf_cushing.data.prepare import prepare
from hf_cushing.faces import landmarks
from hf_cushing.schema import UserError
from tests.conftest import cohort_rows

SMALL = PrepareOptions(folds=3, validation_size=0.25, test_size=0.25, identity=False)
COLUMNS = ("file_name", "patient_id", "sex", "label")


def intake_json(out):
    return json.loads((out / "intake.json").read_text())


def patients_of(out, split):
    return set(load_dataset(str(out))[split]["patient_id"])


def test_several_photos_a_visit_and_several_visits_stay_with_the_patient(make_clinic, tmp_path):
    rows = [
        (f"{patient}_{visit}_{view}.png", patient, sex, label, visit, view, grade, "31.5")
        for _, patient, sex, label in cohort_rows(8)
        for visit, grade in (("2024-01-05", "3"), ("2025-02-01", ""))
        for view in ("frontal", "oblique")
    ]
    more = ("visit", "view", "severity", "bmi")
    raw = make_clinic(rows, columns=(*COLUMNS, *more))
    prepare(raw, tmp_path / "out", SMALL, num_proc=1)
    loaded = load_dataset(str(tmp_path / "out"))
    assert sum(len(rows) for rows in loaded.values()) == 32
    for photos in loaded.values():
        assert set(photos["visit"]) == {"2024-01-05", "2025-02-01"}
        assert set(photos["view"]) == {"frontal", "oblique"}
        assert set(photos["severity"]) == {3, None}
        assert set(photos["bmi"]) == {31.5}
    seen = [set(photos["patient_id"]) for photos in loaded.values()]
    assert len(set.union(*seen)) == sum(map(len, seen)) == 8
    assert "3 (3–3, " in (tmp_path / "out" / "README.md").read_text()


def test_grade_that_is_no_whole_number_is_refused(make_clinic, tmp_path):
    raw = make_clinic([(*row, "2.5") for row in cohort_rows()], columns=(*COLUMNS, "severity"))
    with pytest.raises(UserError, match=r"severity is not a whole number .* \(2 '2.5', 3"):
        prepare(raw, tmp_path / "out", SMALL, num_proc=1)


def test_three_labels_at_once(make_clinic, tmp_path):
    labels = ("control", "cushing", "acromegaly")
    rows = [(f"{n}.png", f"p{n}", ("female", "male")[n % 2], labels[n % 3]) for n in range(24)]
    prepare(make_clinic(rows), tmp_path / "out", SMALL, num_proc=1)
    assert load_faces(str(tmp_path / "out")).labels == ["control", "cushing", "acromegaly"]


@pytest.mark.parametrize(("view", "reason"), [("left", "profile"), ("frontal", "no_face")])
def test_profile_without_a_detected_face_says_that_profiles_are_not_found(
    clinic, monkeypatch, view, reason
):
    monkeypatch.setattr(landmarks, "detect_boxes", lambda photo, finer=0: {})
    name = next((clinic / "images").iterdir()).relative_to(clinic).as_posix()
    row = crop_photo(clinic, name, view, side=256, context=False)
    assert row["reason"] == reason
    assert ("45 degrees" in row["message"]) is (view == "left")


def test_pairs_stay_together_in_the_dataset(make_clinic, tmp_path):
    rows = [(*row, f"pair{n // 2}") for n, row in enumerate(cohort_rows(16))]
    raw = make_clinic(rows, columns=(*COLUMNS, "pair_id"))
    prepare(raw, tmp_path / "out", replace(SMALL, repeats=2), num_proc=1)
    found = {}
    for split, photos in load_dataset(str(tmp_path / "out")).items():
        for pair, *places in zip(photos["pair_id"], photos["fold"], photos["fold_2"], strict=True):
            found.setdefault(pair, set()).add((split, *places))
    assert len(found) == 8
    assert all(len(places) == 1 for places in found.values())


def test_external_site_becomes_the_test_split(make_clinic, tmp_path):
    rows = [(*row, "ABB"[n // 2 % 3]) for n, row in enumerate(cohort_rows(24))]
    raw = make_clinic(rows, columns=(*COLUMNS, "site"))
    out = tmp_path / "out"
    prepare(raw, out, replace(SMALL, external_sites=("A",)), num_proc=1)
    loaded = load_dataset(str(out))
    assert set(loaded["test"]["site"]) == {"A"}
    assert set(loaded["test"]["fold"]) == {-1}
    assert set(loaded["train"]["site"]) == {"B"}
    for fold in range(3):
        for photos in load_faces(str(out), fold=fold).roles.values():
            assert set(photos["site"]) == {"B"}
    assert "The test split is external: all patients seen at A" in (out / "README.md").read_text()


def test_repeat_chooses_the_column_of_folds(make_clinic, tmp_path):
    out = tmp_path / "out"
    prepare(make_clinic(cohort_rows(18)), out, replace(SMALL, repeats=2), num_proc=1)
    first, second = (load_faces(str(out), fold=0, repeat=r).roles["test"] for r in (1, 2))
    assert set(first["fold"]) == {0} == set(second["fold_2"])
    assert set(first["patient_id"]) != set(second["patient_id"])
    with pytest.raises(UserError, match="--repeat 3: this dataset was prepared with fewer"):
        load_faces(str(out), fold=0, repeat=3)


def test_ids_that_differ_only_in_dress_stay_together_without_comparing_faces(make_clinic, tmp_path):
    rows, out = cohort_rows(24), tmp_path / "out"
    dressed = {"000": "0", "001": "00１", "006": " 6.0"}
    rows += [
        (f"b{n}.png", dressed[row[1]], *row[2:]) for n, row in enumerate(rows) if row[1] in dressed
    ]
    result = prepare(make_clinic(rows), out, replace(SMALL, repeats=3), num_proc=1)
    where = {c["patient_id"]: c for c in result.columns}
    for one, other in dressed.items():
        for column in ("split", "fold", "fold_2", "fold_3"):
            assert where[one][column] == where[other.strip()][column]
    assert "in 3 rows (26 as row 2, 27 as row 3, 28 as row 8); probably one person" in str(result)
    findings = json.loads((out / "audit.json").read_text())["findings"]
    assert [f["leak"] for f in findings if f["kind"] == "same_id"] == [False] * 3


def link(monkeypatch, *pairs):
    alike = [Alike(("", ""), pair, ("", ""), 0.5, "found") for pair in pairs]
    monkeypatch.setattr(crops, "find_alike", lambda *found: alike)
    monkeypatch.setattr(prepare_module, "write_pairs", lambda *found, **options: None)


def test_merged_ids_become_one_patient_in_one_split(make_clinic, tmp_path, monkeypatch):
    link(monkeypatch, ("000", "004"), ("004", "008"))
    raw, out = make_clinic(cohort_rows()), tmp_path / "out"
    result = prepare(raw, out, replace(SMALL, identity=True), num_proc=1)
    ids = [columns["patient_id"] for columns in result.columns]
    assert ids.count("000") == 3
    assert not {"004", "008"} & set(ids)
    assert result.merged == [{"patient_ids": ["000", "004", "008"], "rows": ["2", "6", "10"]}]
    assert "000 + 004 + 008 (rows 2, 6, 10)" in (out / "intake.md").read_text()


def test_merged_ids_that_disagree_stay_two_patients_on_one_side(make_clinic, tmp_path, monkeypatch):
    link(monkeypatch, ("000", "001"), ("002", "004"))
    options = replace(SMALL, identity=True, repeats=3)
    result = prepare(make_clinic(cohort_rows(24)), tmp_path / "out", options, num_proc=1)
    where = {c["patient_id"]: c for c in result.columns}
    for one, other in (("000", "001"), ("002", "004")):
        for column in ("split", "fold", "fold_2", "fold_3"):
            assert where[one][column] == where[other][column]

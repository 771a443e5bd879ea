import dataclasses
import json
import shutil

import numpy as np
import pytest

from hf_cushing.data.audit import find_problems, flag_quality, shared_persons
from hf_cushing.data.audit_photos import AuditPhotos, photos_of_folder
from hf_cushing.data.audit_report import audit, write_audit
from hf_cushing.data.measure import Measures
from hf_cushing.data.options import no_progress
from hf_cushing.files import PageHead
from hf_cushing.schema import UserError


def photos(rng, n=40, **changes):
    """Invented photos of n strangers, alternately control and cushing, in train, one fold."""
    columns = {
        "photo_id": np.array([f"{i:016x}" for i in range(n)]),
        "patient_id": np.array([f"p{i}" for i in range(n)]),
        "label": np.array(["control", "cushing"] * (n // 2)),
        "sex": np.array(["female", "female", "male", "male"] * (n // 4)),
        "row": np.arange(n).astype(str),
        "split": np.full(n, "train     "),
        "fold": np.zeros(n, int),
        "age": np.full(n, np.nan),
        "bmi": np.full(n, np.nan),
        "face_side": np.full(n, 200.0),
    }
    columns |= {name: np.full(n, "frontal" if name == "view" else "")
                for name in ("site", "source", "view")}  # fmt: skip
    columns["split"] = np.char.strip(columns["split"])
    measures = Measures(
        descriptor=(rng.normal(size=(n, 128)) * 0.055).astype(np.float32),
        thumbprint=rng.integers(0, 256, (n, 1024)).astype(np.uint8),
        surround=rng.integers(0, 256, (n, 30)).astype(np.uint8),
        context_surround=np.empty((n, 0), np.uint8),
        quality=np.tile([6.0, 180, 0, 0, 0.3, 0.1, 0.2, 0], (n, 1)).astype(np.float32),
    )
    return AuditPhotos(columns | changes, {}, measures, lambda rows: {})


def same_face(cohort, i, j):
    cohort.measures.descriptor[j] = cohort.measures.descriptor[i] + 0.01


def kinds(cohort):
    return [(f.kind, f.leak, f.photos) for f in find_problems(cohort)]


def test_strangers_give_no_finding(rng):
    assert kinds(photos(rng)) == []


@pytest.mark.parametrize(
    ("column", "value", "leak", "words"),
    [
        ("split", "test", True, "one in train, one in test"),
        ("fold", 1, True, "in different folds"),
        ("fold", -1, True, "in different folds"),
        ("site", "B", False, "under two patient ids"),
    ],
)
def test_one_person_under_two_ids_is_leakage_if_anything_parts_them(
    rng, column, value, leak, words
):
    cohort = photos(rng)
    same_face(cohort, 3, 20)
    cohort.columns[column] = cohort.columns[column].astype(object)
    cohort.columns[column][20] = value
    (finding,) = find_problems(cohort)
    assert (finding.kind, finding.leak, finding.photos) == ("same_person", leak, (3, 20))
    assert words in finding.text


def test_in_a_clinic_folder_every_such_pair_may_be_parted(rng):
    cohort = photos(rng, split=np.full(40, ""))
    del cohort.columns["fold"]
    same_face(cohort, 3, 20)
    assert kinds(cohort) == [("same_person", True, (3, 20))]


def test_two_photos_of_one_patient_are_no_finding(rng):
    cohort = photos(rng)
    same_face(cohort, 3, 20)
    cohort.columns["patient_id"][20] = "p3"
    cohort.columns["label"][20] = cohort.columns["label"][3]
    cohort.columns["sex"][20] = cohort.columns["sex"][3]
    assert kinds(cohort) == []


def test_photo_saved_anew_is_a_near_duplicate_even_without_descriptors(rng):
    cohort = photos(rng)
    noise = rng.integers(-9, 10, 1024)
    cohort.measures.thumbprint[20] = np.clip(cohort.measures.thumbprint[3] + noise, 0, 255)
    cohort.measures.descriptor[:] = np.nan
    assert not cohort.identity_checked
    assert [(f.kind, f.photos) for f in find_problems(cohort)] == [("near_duplicate", (3, 20))]


def test_same_file_under_two_ids_is_told_once_and_as_the_same_file(rng):
    cohort = photos(rng)
    same_face(cohort, 3, 20)
    cohort.columns["photo_id"][20] = cohort.columns["photo_id"][3]
    cohort.measures.thumbprint[20] = cohort.measures.thumbprint[3]
    cohort.columns["fold"][20] = 1
    assert kinds(cohort) == [("same_photo", True, (3, 20))]


def test_another_persons_photo_under_a_patient_is_found(rng):
    cohort = photos(rng)
    for row in (8, 12, 16):
        for name in ("patient_id", "label", "sex"):
            cohort.columns[name][row] = cohort.columns[name][4]
    same_face(cohort, 4, 8)
    same_face(cohort, 4, 12)
    ((kind, leak, rows),) = kinds(cohort)
    assert (kind, leak, rows[0]) == ("other_face", False, 16)


@pytest.mark.parametrize(
    ("column", "value", "kind", "leak"),
    [
        ("label", "cushing", "contradiction", False),
        ("sex", "male", "contradiction", False),
        ("split", "test", "patient_in_two_splits", True),
        ("fold", 3, "patient_in_two_splits", True),
    ],
)
def test_patient_with_two_labels_sexes_splits_or_folds_is_found(rng, column, value, kind, leak):
    cohort = photos(rng)
    same_face(cohort, 0, 4)
    cohort.columns["patient_id"][4] = "p0"
    cohort.columns[column] = cohort.columns[column].astype(object)
    cohort.columns[column][4] = value
    assert kinds(cohort) == [(kind, leak, (0, 4))]


def test_quality_flags_name_the_photos(rng):
    cohort = photos(rng)
    cohort.measures.quality[5, 0] = 1.0
    cohort.columns["face_side"][6] = 40
    cohort.columns["view"][7] = "left"
    flags = {flag["flag"]: flag["photo_ids"] for flag in flag_quality(cohort)}
    assert flags["soft"] == [f"{5:016x}"]
    assert flags["small face"] == [f"{6:016x}"]
    assert flags["not the view it is listed as"] == [f"{7:016x}"]
    assert flags["dimly lit"] == []


def test_counts_add_up(rng, tmp_path):
    result = write_audit(tmp_path, photos(rng), head=PageHead(), thumbnails=False)
    assert sum(cell["photos"] for cell in result["counts"]) == 40
    assert result["patients"] == 40


def test_audit_of_a_dataset_finds_what_prepare_found(dataset, tmp_path):
    again = audit(dataset, tmp_path, identity=False, num_proc=1)
    first = json.loads((dataset / "audit.json").read_text())
    assert json.loads((tmp_path / "audit.json").read_text())["probes"] == first["probes"]
    assert (again["leaks"], again["counts"]) == (first["leaks"], first["counts"])
    ids = [{tuple(sorted(f["photo_ids"])) for f in found["findings"]} for found in (first, again)]
    assert ids[0] == ids[1]
    flags = [{q["flag"]: set(q["photo_ids"]) for q in found["quality"]} for found in (first, again)]
    assert flags[0] == flags[1]


def test_page_shows_faces_only_if_asked_and_escapes_what_it_shows(dataset, tmp_path):
    found = photos_of_folder(dataset, identity=False, num_proc=1, progress=no_progress)
    patients = found.columns["patient_id"].astype(object)
    patients[:2] = "<script>x</script>"
    found = dataclasses.replace(found, columns=found.columns | {"patient_id": patients.astype(str)})
    for thumbnails in (True, False):
        write_audit(tmp_path, found, head=PageHead(), thumbnails=thumbnails)
        page = (tmp_path / "audit.html").read_text()
        assert ("data:image/jpeg" in page) is thumbnails
        assert "<script>" not in page
        assert "&lt;script&gt;" in page


def test_folder_that_is_neither_dataset_nor_clinic_is_refused(tmp_path):
    with pytest.raises(UserError, match="neither a prepared dataset"):
        audit(tmp_path, tmp_path / "out")


def test_damaged_shard_is_named(dataset, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(dataset, copy)
    shard = min((copy / "data").glob("test-*"))
    shard.write_bytes(shard.read_bytes()[:500])
    with pytest.raises(UserError, match=shard.name):
        audit(copy, tmp_path / "out", num_proc=1)


def test_persons_of_another_dataset_are_leakage(rng):
    here, there = photos(rng), photos(rng)
    there.columns["photo_id"] = np.char.add("f", there.columns["photo_id"])
    assert not list(shared_persons(here, there))
    there.measures.descriptor[7] = here.measures.descriptor[3] + 0.01
    there.measures.thumbprint[9] = here.measures.thumbprint[5]
    there.columns["photo_id"][11] = here.columns["photo_id"][6]
    found = {f.photos[0]: f for f in shared_persons(here, there)}
    assert found.keys() == {3, 5, 6}
    assert "seemingly the same person as photo f" in found[3].text
    assert "saved anew" in found[5].text
    assert "the same file" in found[6].text
    assert [f for f in find_problems(here, list(found.values())) if f.leak] == list(found.values())


def test_dataset_against_itself_or_its_clinic_is_all_leakage(dataset, clinic, tmp_path):
    found = audit(dataset, tmp_path / "a", against=dataset, identity=False, num_proc=1)
    assert found["leaks"] >= found["patients"]
    found = audit(clinic, tmp_path / "b", against=dataset, identity=False, num_proc=1)
    assert {f["kind"] for f in found["findings"] if f["leak"]} >= {"in_other_dataset"}


def test_without_the_account_file_facts_are_called_not_recorded(dataset, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(dataset / "data", copy / "data")
    found = audit(copy, tmp_path / "out", identity=False, num_proc=1)
    reasons = {probe["name"]: probe["reason"] for probe in found["probes"]}
    assert "not recorded" in reasons["image size"]
    assert "not recorded" in reasons["file format and JPEG quality"]

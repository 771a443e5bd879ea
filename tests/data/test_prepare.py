import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import datasets
import numpy as np
import pytest
from datasets import ClassLabel, load_dataset
from PIL import Image

from hf_cushing.data import chunks, crops
from hf_cushing.data.options import PrepareOptions
from hf_cushing.data.prepare import prepare
from hf_cushing.faces.context import CONTEXT_SIDE
from hf_cushing.files import sha256_file
from hf_cushing.schema import CONTEXT_COLUMNS, UsageError, UserError
from tests.conftest import cohort_rows

PLAIN = PrepareOptions(identity=False)
SMALL = PrepareOptions(folds=3, validation_size=0.25, test_size=0.25, identity=False)


def contents(folder):
    return {
        str(p.relative_to(folder)): sha256_file(p) for p in sorted(folder.rglob("*")) if p.is_file()
    }


def intake_json(out):
    return json.loads((out / "intake.json").read_text())


def test_load_dataset_needs_none_of_our_code(dataset, tmp_path):
    loaded = load_dataset(str(dataset), cache_dir=str(tmp_path))
    assert list(loaded) == ["train", "validation", "test"]
    features = loaded["train"].features
    assert features["label"] == ClassLabel(names=["control", "cushing"])
    assert features["sex"].names == ["female", "male", "unknown"]
    row = loaded["test"][0]
    assert row["image"].size == (256, 256)
    assert np.shape(row["landmarks"]) == (68, 2)
    assert len(row["face_box"]) == 4
    assert min(row["context"].size) <= CONTEXT_SIDE
    assert len(row["context_box"]) == 4
    assert 0 < row["context_share"] <= 1


def test_without_context_no_column_of_it_is_there(make_clinic, tmp_path):
    out = tmp_path / "out"
    prepare(make_clinic(cohort_rows()), out, replace(SMALL, context=False), num_proc=1)
    assert not set(CONTEXT_COLUMNS) & set(load_dataset(str(out))["train"].column_names)
    assert "context" not in (out / "README.md").read_text()


def test_no_patient_is_in_two_splits_or_two_folds(dataset):
    loaded = load_dataset(str(dataset))
    patients = {split: set(rows["patient_id"]) for split, rows in loaded.items()}
    assert not patients["train"] & patients["test"]
    assert not patients["train"] & patients["validation"]
    assert not patients["validation"] & patients["test"]
    folds = {}
    for rows in loaded.values():
        for patient, fold in zip(rows["patient_id"], rows["fold"], strict=True):
            assert folds.setdefault(patient, fold) == fold
    assert set(folds.values()) == {0, 1, 2, 3, 4}


def test_every_row_and_file_is_accounted_for(make_clinic, tmp_path, faces):
    rows = [
        *cohort_rows(),
        ("gone.png", "901", "male", "control"),
        ("cut.png", "902", "male", "control"),
        ("none.png", "903", "male", "control"),
        ("twice.png", "000", "female", "control"),
        ("noface.png", "904", "male", "control"),
    ]
    raw = make_clinic(rows)
    (raw / "gone.png").unlink()
    (raw / "cut.png").write_bytes(faces[0][:3000])
    (raw / "none.png").write_bytes(b"")
    (raw / "twice.png").write_bytes((raw / "0.png").read_bytes())
    Image.new("RGB", (99, 99), "grey").save(raw / "noface.png")
    (raw / "stray.txt").write_text("x")
    out = tmp_path / "out"
    result = prepare(raw, out, SMALL, num_proc=1)
    assert len(intake_json(out)["rows"]) == len(rows)
    reasons = {
        r["file_name"]: r["reason"] for r in intake_json(out)["rows"] if r["status"] == "rejected"
    }
    assert reasons == {
        "gone.png": "absent",
        "cut.png": "unreadable",
        "none.png": "empty",
        "twice.png": "copy",
        "noface.png": "no_face",
    }
    assert intake_json(out)["unlisted"] == ["stray.txt"]
    loaded = load_dataset(str(out))
    assert sum(len(split) for split in loaded.values()) == len(result.kept) == 12
    report = (out / "intake.md").read_text()
    assert all(name in report for name in ("gone.png", "cut.png", "stray.txt"))


def test_bad_photos_fail_with_one_report_if_asked(make_clinic, tmp_path):
    raw = make_clinic(cohort_rows())
    (raw / "3.png").write_bytes(b"")
    (raw / "5.png").unlink()
    options = replace(SMALL, on_bad_photo="fail")
    with pytest.raises(UserError, match=r"2 bad photos(.|\n)*row 5: empty(.|\n)*row 7: absent"):
        prepare(raw, tmp_path / "out", options, num_proc=1)
    assert not (tmp_path / "out").exists()


def test_same_photo_under_two_patients_is_refused(make_clinic, tmp_path):
    raw = make_clinic(cohort_rows())
    (raw / "2.png").write_bytes((raw / "0.png").read_bytes())
    with pytest.raises(
        UserError, match=r"row 4: the same photo .* another patient_id \(as row 2\)"
    ):
        prepare(raw, tmp_path / "out", SMALL, num_proc=1)


def test_cohort_that_loses_all_photos_is_refused(make_clinic, tmp_path):
    raw = make_clinic(cohort_rows(), photos=False)
    with pytest.raises(UserError, match=r"0 of 12 photos kept[\s\S]*absent 12: no such file"):
        prepare(raw, tmp_path / "out", SMALL, num_proc=1)


def test_second_run_finds_the_work_done_and_other_input_is_not_overwritten(make_clinic, tmp_path):
    raw, out = make_clinic(cohort_rows()), tmp_path / "out"
    prepare(raw, out, SMALL, num_proc=1)
    before = contents(out)
    stamp = (out / "intake.json").stat().st_mtime_ns
    prepare(raw, out, SMALL, num_proc=1)
    assert (out / "intake.json").stat().st_mtime_ns == stamp
    other = replace(SMALL, folds=4)
    with pytest.raises(UserError, match="--overwrite"):
        prepare(raw, out, other, num_proc=1)
    assert contents(out) == before
    prepare(raw, out, other, num_proc=1, overwrite=True)
    assert contents(out) != before


def test_load_dataset_serves_the_new_data_after_an_overwrite(make_clinic, tmp_path):
    raw, out = make_clinic(cohort_rows()), tmp_path / "out"
    prepare(raw, out, SMALL, num_proc=1)
    before = set(load_dataset(str(out))["test"]["patient_id"])
    for seed in range(1, 6):
        options = replace(SMALL, seed=seed)
        prepare(raw, out, options, num_proc=1, overwrite=True)
        said = {
            r["columns"]["patient_id"]
            for r in intake_json(out)["rows"]
            if r["columns"]["split"] == "test"
        }
        assert set(load_dataset(str(out))["test"]["patient_id"]) == said
        if said != before:
            return
    pytest.fail("five seeds gave the same split")


def test_folder_of_something_else_is_not_touched(make_clinic, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("x")
    with pytest.raises(UserError, match="was not made by `prepare`"):
        prepare(make_clinic(cohort_rows()), out, SMALL, num_proc=1)
    assert (out / "thesis.txt").read_text() == "x"


def test_killed_run_is_resumed_and_ends_with_the_same_bytes(clinic, dataset, tmp_path, monkeypatch):
    out = tmp_path / "out"
    command = [
        sys.executable,
        "-m",
        "hf_cushing.cli",
        "prepare",
        str(clinic),
        "--out",
        str(out),
        "--num-proc",
        "1",
        "--no-identity",
    ]
    partial = tmp_path / ".out.partial"
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while not list(partial.rglob("chunk-*")):
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not out.exists()
    done, names, crop = len(list(partial.rglob("chunk-*"))), [], chunks.crop_photo

    def counting(root, name, view, **how):
        names.append(name)
        return crop(root, name, view, **how)

    monkeypatch.setattr(chunks, "crop_photo", counting)
    prepare(clinic, out, PLAIN, num_proc=1)
    assert len(names) == max(0, 72 - done * chunks.CHUNK)
    assert contents(out) == contents(dataset)
    assert not partial.exists()


def test_number_of_processes_does_not_change_a_byte(make_clinic, tmp_path, monkeypatch):
    monkeypatch.setattr(crops, "CHUNK", 4)  # so that twelve photos are work for two
    raw = make_clinic(cohort_rows())
    for number in (1, 2):
        prepare(raw, tmp_path / str(number), SMALL, num_proc=number)
    assert contents(tmp_path / "1") == contents(tmp_path / "2")


@pytest.mark.parametrize(
    "options",
    [
        {"folds": 2},
        {"test_size": 0},
        {"validation_size": 0.9},
        {"crop_size": 4},
        {"on_bad_photo": "x"},
    ],
)
def test_senseless_options_are_refused(options):
    with pytest.raises(UserError, match="--"):
        PrepareOptions(**options)


def test_gps_and_names_in_the_photos_do_not_reach_the_dataset(make_clinic, tmp_path):
    raw = make_clinic(cohort_rows())
    for path in raw.glob("*.png"):
        image = Image.open(path)
        exif = Image.Exif()
        exif[0x010E] = f"Jane Doe, room {path.stem}"
        exif[0x8825] = {1: "N", 2: (52.0, 31.0, 0.0)}
        jpeg = io.BytesIO()
        image.convert("RGB").save(jpeg, "JPEG", exif=exif, comment=b"Jane Doe")
        path.write_bytes(jpeg.getvalue())
        assert b"Jane Doe" in jpeg.getvalue()
    prepare(raw, tmp_path / "out", SMALL, num_proc=1)
    loaded = load_dataset(str(tmp_path / "out"))
    for name in ("image", "context"):
        loaded = loaded.cast_column(name, datasets.Image(decode=False))
    for rows in loaded.values():
        for row in rows:
            for picture in (row["image"], row["context"]):
                assert picture["path"] is None
                assert b"Jane" not in picture["bytes"]
                assert not Image.open(io.BytesIO(picture["bytes"])).getexif()
    card = (tmp_path / "out" / "README.md").read_text()
    assert "0.png" not in card


def test_label_whose_photos_are_all_rejected_is_named(make_clinic, tmp_path):
    rows = [*cohort_rows(), *((f"a{n}.png", f"9{n}", "male", "acromegaly") for n in range(4))]
    raw = make_clinic(rows)
    for path in raw.glob("a*.png"):
        path.write_bytes(b"")
    with pytest.raises(UserError, match="every photo with label 'acromegaly' was rejected"):
        prepare(raw, tmp_path / "out", SMALL, num_proc=1)


def test_no_face_is_left_behind_when_a_cohort_is_refused(make_clinic, tmp_path):
    raw = make_clinic(cohort_rows())
    (raw / "3.png").write_bytes(b"")
    options = PrepareOptions(folds=3, on_bad_photo="fail", identity=False)
    with pytest.raises(UserError, match="bad photos"):
        prepare(raw, tmp_path / "out", options, num_proc=1)
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


def test_output_inside_the_clinic_folder_is_refused(clinic):
    with pytest.raises(UsageError, match="lies inside"):
        prepare(clinic, clinic / "out", SMALL, num_proc=1)


def test_photo_with_a_broken_exif_block_is_rejected_not_fatal(make_clinic, tmp_path, faces):
    raw = make_clinic([*cohort_rows(), ("bad.jpg", "900", "male", "control")])
    exif = Image.Exif()
    exif[0x0112] = 6
    jpeg = io.BytesIO()
    Image.open(io.BytesIO(faces[0])).save(jpeg, "JPEG", exif=exif)
    broken = bytearray(jpeg.getvalue())
    place = broken.index(b"Exif\0\0") + 6
    broken[place + 8 : place + 26] = b"\xff" * 18
    (raw / "bad.jpg").write_bytes(bytes(broken))
    report = prepare(raw, tmp_path / "out", SMALL, num_proc=1)
    assert len(report.rows) == 13

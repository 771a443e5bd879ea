"""Nothing of a person but face, pseudonym and the columns asked for leaves the clinic folder."""

import base64
import io
import json
import re
from dataclasses import replace

import pyarrow.parquet
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from hf_cushing import cli
from hf_cushing.data.intake import read_intake
from hf_cushing.data.options import PrepareOptions
from hf_cushing.data.prepare import prepare
from hf_cushing.schema import UsageError
from tests.conftest import cohort_rows

SMALL = PrepareOptions(folds=3, validation_size=0.25, test_size=0.25, identity=False)
SECRET = "Jane-Doe-1970"


def revealing(face, number):
    """A photo whose metadata name the patient in every way that a format knows."""
    image = Image.open(io.BytesIO(face)).convert("RGB")
    image.putpixel((0, 0), (number, 0, 7))
    exif = Image.Exif()
    exif[0x010E] = SECRET
    exif[0x8825] = {1: "N", 2: (52.0, 31.0, 0.0)}
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    buffer = io.BytesIO()
    if number % 2:
        notes = PngImagePlugin.PngInfo()
        notes.add_itxt("XML:com.adobe.xmp", f"<x>{SECRET}</x>")
        notes.add_text("Comment", SECRET)
        image.save(buffer, "PNG", pnginfo=notes, exif=exif, icc_profile=profile)
    else:
        xmp = f"<x:xmpmeta>{SECRET}</x:xmpmeta>".encode()
        image.save(buffer, "JPEG", quality=95, exif=exif, comment=SECRET.encode(), xmp=xmp,
                   icc_profile=profile)  # fmt: skip
    return buffer.getvalue()


@pytest.fixture
def clinic_with_names(make_clinic, faces):
    rows = [(*row, f"{SECRET} called", "left eye") for row in cohort_rows()]
    columns = ("file_name", "patient_id", "sex", "label", "remarks", "note")
    raw = make_clinic(rows, columns=columns, photos=False)
    for number, row in enumerate(rows):
        (raw / row[0]).write_bytes(revealing(faces[number % len(faces)], number))
    return raw


def embedded(out):
    """Every image in the outputs: the stored crops and the pictures in the page."""
    for path in (out / "data").glob("*.parquet"):
        for row in pyarrow.parquet.read_table(path, columns=["image"])["image"].to_pylist():
            yield row["bytes"]
    page = (out / "audit.html").read_text()
    for data in re.findall(r"data:image/jpeg;base64,([^\"]+)", page):
        yield base64.b64decode(data)


def test_no_output_image_carries_metadata(clinic_with_names, tmp_path):
    out = tmp_path / "out"
    prepare(clinic_with_names, out, SMALL, num_proc=1)
    images = list(embedded(out))
    assert len(images) >= 12
    for content in images:
        image = Image.open(io.BytesIO(content))
        assert not image.getexif()
        assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        for marker in (b"Exif", b"http://ns.adobe", b"ICC_PROFILE", b"Photoshop", b"\xff\xfe"):
            assert marker not in content[:200]
    assert all(SECRET.encode() not in p.read_bytes() for p in out.rglob("*") if p.is_file())


def test_free_text_columns_stay_behind_and_are_named(clinic_with_names, tmp_path):
    report = prepare(clinic_with_names, tmp_path / "out", SMALL, num_proc=1)
    assert report.dropped_columns == ["remarks", "note"]
    assert "--keep-column" in (tmp_path / "out" / "intake.md").read_text()


def test_column_that_is_asked_for_is_kept_as_text(clinic_with_names, tmp_path):
    out = tmp_path / "out"
    report = prepare(clinic_with_names, out, replace(SMALL, keep_columns=("note",)), num_proc=1)
    assert report.dropped_columns == ["remarks"]
    tables = [pyarrow.parquet.read_table(p) for p in (out / "data").glob("*.parquet")]
    assert {word for t in tables for word in t["note"].to_pylist()} == {"left eye"}
    assert "`note`" in (out / "README.md").read_text()


@pytest.mark.parametrize("name", ["diary", "label", "fold", "fold_2", "image", "site"])
def test_column_that_is_absent_or_taken_can_not_be_kept(clinic_with_names, name):
    with pytest.raises(UsageError, match=f"--keep-column {name}"):
        read_intake(clinic_with_names, keep_columns=(name,))


def test_hashed_ids_are_keyed_and_nothing_holds_the_id_or_the_salt(make_clinic, tmp_path):
    rows = [(name, f"MRN77{patient}", *rest) for name, patient, *rest in cohort_rows()]
    raw = make_clinic(rows)
    ids = {}
    for salt in ("pepper-one", "pepper-two"):
        out = tmp_path / salt
        report = prepare(raw, out, replace(SMALL, salt=salt), num_proc=1)
        ids[salt] = {columns["patient_id"] for columns in report.columns}
        for path in out.rglob("*"):
            if path.is_file():
                assert b"MRN77" not in path.read_bytes(), path
                assert salt.encode() not in path.read_bytes(), path
    assert all(len(words) == 12 for words in ids.values())
    assert not ids["pepper-one"] & ids["pepper-two"]
    assert "pepper" not in repr(replace(SMALL, salt="pepper-one"))


def test_command_says_photo_ids_and_no_patient_or_file(make_clinic, tmp_path, monkeypatch, capsys):
    rows = [(f"jane_{name}", f"MRN77{patient}", *rest) for name, patient, *rest in cohort_rows()]
    raw = make_clinic(rows)
    (raw / "jane_3.png").write_bytes(b"")
    arguments = ["prepare", str(raw), "--out", str(tmp_path / "out"), "--folds", "3"]
    arguments += ["--validation-size", "0.25", "--test-size", "0.25", "--num-proc", "1"]
    arguments += ["--no-merge-identities"]
    monkeypatch.setattr("sys.argv", ["hf-cushing", *arguments])
    with pytest.raises(SystemExit):
        cli.main()
    said = capsys.readouterr().err
    found = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert found["leaks"]  # the drawn photos repeat under several ids
    assert found["findings"][0]["photo_ids"][0] in said
    assert "MRN77" not in said
    assert "jane_" not in said

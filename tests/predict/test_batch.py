"""Many photos: files, folders and tables; what a bad one costs; JSON and CSV."""

import csv
import hashlib
import io
import json
import shutil

import pytest

from hf_cushing.cli import main
from hf_cushing.predict.answer import Predictor
from hf_cushing.predict.batch import photo_sources, rows_of, rows_to_csv, sentence
from hf_cushing.schema import UserError


@pytest.fixture(scope="module")
def predictor(run):
    return Predictor(str(run))


@pytest.fixture
def folder(tmp_path, faces):
    for number, content in enumerate(faces[:2]):
        (tmp_path / f"{number}.jpg").write_bytes(content)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    (tmp_path / "notes.txt").write_text("no photo")
    return tmp_path


def write_table(folder, text):
    (folder / "list.csv").write_text(text)
    return folder / "list.csv"


def test_a_folder_gives_its_photos_in_order_of_their_names(folder):
    found = photo_sources([folder], "female")
    assert [source.photo.name for source in found] == ["0.jpg", "1.jpg", "broken.png"]
    assert {source.sex for source in found} == {"female"}


def test_a_table_gives_files_beside_it_and_states_the_sex(folder):
    table = write_table(folder, "file_name,sex\n0.jpg,W\n1.jpg,\n".replace("W", "woman"))
    found = photo_sources([table], "male")
    assert [(s.name, s.sex) for s in found] == [("0.jpg", "female"), ("1.jpg", "male")]
    assert found[0].photo == folder / "0.jpg"


def test_problems_of_a_table_are_told_row_by_row(folder):
    table = write_table(folder, "file_name,sex\n,female\n0.jpg,x\n")
    with pytest.raises(UserError) as error:
        photo_sources([table])
    assert "row 2: file_name is empty" in str(error.value)
    assert "row 3: sex 'x' is not known" in str(error.value)


def test_a_hospitals_own_table_is_told_what_to_give(folder):
    (folder / "own.csv").write_text("Bild,Geschlecht\na.jpg,w\n")
    with pytest.raises(UserError, match=r"no column file_name: .* give the folder of photos"):
        photo_sources([folder / "own.csv"], "unknown")


def test_a_folder_without_photos_is_refused(tmp_path):
    with pytest.raises(UserError, match="holds no photos"):
        photo_sources([tmp_path])


def test_one_bad_photo_costs_only_itself(predictor, folder):
    rows = list(rows_of(predictor, photo_sources([folder, folder / "absent.jpg"])))
    assert [row.reason for row in rows] == ["", "", "unreadable", "unreadable"]
    assert "No such file" in rows[3].message


def test_csv_and_json_say_the_same(predictor, folder):
    rows = list(rows_of(predictor, photo_sources([folder], "male")))
    table = list(csv.DictReader(io.StringIO(rows_to_csv(predictor.run, rows))))
    for row, cells in zip(rows, table, strict=True):
        found = row.to_json()
        assert cells["error"] == found["error"]
        if not found["error"]:
            assert cells["answer"] == found["answer"]
            assert cells["sex"] == found["sex"] == "male"
            assert float(cells["prob_cushing"]) == pytest.approx(found["probabilities"]["cushing"])
            assert float(cells["threshold_cushing"]) == pytest.approx(
                found["thresholds"]["cushing"]
            )


def test_name_that_a_spreadsheet_would_compute_is_text(predictor, folder):
    shutil.copy(folder / "0.jpg", folder / "=1+1.jpg")
    (source,) = photo_sources([write_table(folder, "file_name\n=1+1.jpg\n")])
    text = rows_to_csv(predictor.run, list(rows_of(predictor, [source])))
    assert "'=1+1.jpg" in text


def test_sentence_says_the_answer_first_and_what_decided(predictor, folder):
    (row,) = rows_of(predictor, photo_sources([folder / "0.jpg"]))
    point = predictor.run.operating_point("cushing")
    assert sentence(row).startswith(f"{folder / '0.jpg'}: {row.answer.label}; cushing 0.")
    assert f"called from {point.threshold:.3f} on" in sentence(row)


def test_photo_that_trained_the_model_is_told(run, predictor, clinic):
    seen = set(json.loads((run / "manifest.json").read_text())["seen_photo_ids"])
    old, new = [], []
    for path in sorted((clinic / "images").iterdir()):
        known = hashlib.sha256(path.read_bytes()).hexdigest()[:16] in seen
        (old if known else new).append(path)
    rows = rows_of(predictor, photo_sources([*old[:8], *new[:4]]))
    told = [any(r.reason in ("trained", "validated") for r in row.answer.warnings) for row in rows]
    assert told == [True] * 8 + [False] * 4


def test_command_writes_a_csv_and_ends_with_1_for_a_bad_photo(run, folder, capsys, monkeypatch):
    out = folder / "out.csv"
    arguments = ["predict", str(run), str(folder), "--sex", "female", "--csv", str(out), "--json"]
    monkeypatch.setattr("sys.argv", ["hf-cushing", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    shown, told = capsys.readouterr()
    photos = json.loads(shown)["photos"]
    assert [photo["error"] for photo in photos] == ["", "", "unreadable"]
    assert len(out.read_text().splitlines()) == 4
    assert "1 of 3 photos could not be used" in told


def test_prevalence_shifts_the_probability_and_not_the_call(run, predictor, folder):
    shares = predictor.run.validation.label == "cushing"
    rare = Predictor(str(run), prevalence=0.01)
    rows = [list(rows_of(p, photo_sources([folder / "0.jpg"]))) for p in (predictor, rare)]
    before, after = (row[0].answer for row in rows)
    odds = before.probabilities["cushing"] / before.probabilities["control"]
    odds *= 0.01 / 0.99 * (1 - shares.mean()) / shares.mean()
    assert after.elsewhere == pytest.approx(odds / (1 + odds))
    assert (after.label, after.probabilities) == (before.label, before.probabilities)
    assert f"{after.elsewhere:.6f}" in rows_to_csv(rare.run, rows[1])
    assert f"; {after.elsewhere:.3g} at the prevalence asked for" in sentence(rows[1][0])
    assert "probability_at_prevalence" not in before.to_json()
    with pytest.raises(UserError, match="between 0 and 1"):
        Predictor(str(run), prevalence=1.0)

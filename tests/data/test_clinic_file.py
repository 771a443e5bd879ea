"""Hospitals' own tables: proposed, confirmed and read as they are."""

import io
import json
import unicodedata
import zipfile
from datetime import datetime
from pathlib import Path

import openpyxl
import pytest
from PIL import Image
from typer.testing import CliRunner

from hf_cushing.cli import app
from hf_cushing.data.clinic_file import Reading, read_clinic_file
from hf_cushing.data.cohort import read_cohort
from hf_cushing.data.file_names import FolderFiles
from hf_cushing.data.intake import read_intake
from hf_cushing.data.options import PrepareOptions, no_progress
from hf_cushing.data.propose import HEAD, propose
from hf_cushing.schema import UsageError, UserError
from tests.conftest import cohort_rows, distinct_png
from tests.data.tables import write_table

COLUMNS = ("file_name", "patient_id", "sex", "label")


def as_heic(content):
    """The same picture as a phone stores it."""
    pillow_heif = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed")
    pillow_heif.register_heif_opener()
    stored = io.BytesIO()
    Image.open(io.BytesIO(content)).save(stored, "HEIF")
    return stored.getvalue()


def hospital_folder(raw, faces):
    """A workbook in German and Chinese, with photos in a folder for each patient."""
    book = openpyxl.Workbook()
    page = book.active
    page.title = "Fotos"
    page.append(["Patientenliste Endokrinologie 2024"])
    page.append([])
    page.append(["Pat.-Nr.", "Name", "Geschlecht (m/w)", "诊断", "Bilddatei", "Aufnahmedatum",
                 "年龄（岁）", "Zentrum", None])  # fmt: skip
    sexes = (("W", "weiblich", "女"), ("M", "männlich", "男"))
    labels = (("gesund", "健康对照", "Kontrolle"), ("Morbus Cushing", "库欣综合征", "E24.0"))
    for n, (_, patient, sex, label) in enumerate(cohort_rows(18)):
        (raw / patient).mkdir(parents=True)
        content = distinct_png(faces[n % len(faces)], n)
        name = "IMG_1.HEIC" if n == 1 else f"IMG_{n}.JPG"  # one from a phone
        (raw / patient / name).write_bytes(as_heic(content) if n == 1 else content)
        day = datetime(2024, 3, n + 1) if n % 2 else f"{n + 1}.3.2024"
        page.append([f"P{patient}", "A. N.", sexes[sex == "male"][n % 3],
                     labels[label == "cushing"][n % 3], f"img_{n}{('.jpg', '')[n % 2]}", day,
                     f"4{n % 10},5", "München"])  # fmt: skip
    book.create_sheet("Legende").append(["W", "weiblich"])
    book.save(raw / "Patienten 2024.xlsx")
    return raw


PROPOSED = """\
table: Patienten 2024.xlsx
sheet: Fotos
columns:  # ours: the table's
  file_name: Bilddatei  # 18 of 18 rows name a file of the folder
  patient_id: Pat.-Nr.
  sex: Geschlecht (m/w)
  label: 诊断
  age: "年龄（岁）"
  visit: Aufnahmedatum
  site: Zentrum
values:  # the table's: ours
  sex:  # to female, male, unknown or leave out
    weiblich: female  # 4 rows
    W: female  # 3 rows
    男: male  # 3 rows
    M: male  # 3 rows
    女: female  # 3 rows
    männlich: male  # 2 rows
  label:  # to control, cushing, acromegaly, a name of your own or leave out
    gesund: control  # 3 rows
    库欣综合征: cushing  # 3 rows
    Kontrolle: control  # 3 rows
    Morbus Cushing: cushing  # 3 rows
    健康对照: control  # 3 rows
    E24.0: cushing  # 3 rows
# not carried over: Name
"""


def command(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_hospital_folder_becomes_a_dataset_with_two_commands_and_no_edited_table(tmp_path, faces):
    raw, out = hospital_folder(tmp_path / "raw", faces), tmp_path / "out"
    before = (raw / "Patienten 2024.xlsx").read_bytes()
    first = command("prepare", raw, "--propose")
    second = command("prepare", raw, "--out", out, "--folds", "3", "--no-identity", "--allow")
    assert (first.exit_code, second.exit_code) == (0, 0), second.output
    assert (raw / "Patienten 2024.xlsx").read_bytes() == before
    report = json.loads((out / "intake.json").read_text())
    kept = [row["columns"] for row in report["rows"]]
    assert len(kept) == 18
    assert not report["unlisted"]
    rows = cohort_rows(18)
    assert [(c["patient_id"], c["sex"], c["label"]) for c in kept] == [
        (f"P{row[1]}", *row[2:]) for row in rows
    ]
    assert {c["visit"] for c in kept} == {f"2024-03-{day:02d}" for day in range(1, 19)}
    assert {c["site"] for c in kept} == {"München"}
    assert kept[3]["age"] == 43.5
    assert report["dropped_columns"] == ["Name"]


def test_proposal_says_what_it_sees(tmp_path, faces):
    assert propose(hospital_folder(tmp_path / "raw", faces)) == HEAD + PROPOSED


def test_guesses_are_marked_and_must_be_confirmed(make_clinic):
    words = {"control": "negative", "cushing": "CS"}
    rows = [(*row[:3], words[row[3]]) for row in cohort_rows()]
    rows[0] = (*rows[0][:3], "tumour")
    raw = make_clinic(rows, columns=("Photo", "Nr der Patienten", "sex", "Diagnosis"))
    text = propose(raw)
    for line in ('patient_id: Nr der Patienten ???', "negative: control ???  # 5 rows",
                 "CS: cushing ???  # 6 rows", "tumour: ???  # 1 row"):  # fmt: skip
        assert line in text
    with pytest.raises(UserError, match=r"4 to confirm; correct each and delete its \?\?\?"):
        read_intake(raw)
    with pytest.raises(UserError, match="is there already"):
        propose(raw)
    text = text.replace("tumour: ???", "tumour: leave out").replace(" ???", "")
    (raw / "clinic.yaml").write_text(text, encoding="utf-8")
    intake = read_intake(raw)
    assert {photo.label for photo in intake.photos} == {"control", "cushing"}
    assert [(row.row, row.reason) for row in intake.left_out] == [(2, "left_out")]


def test_empty_cell_that_is_still_to_confirm_is_written_as_in_the_file(make_clinic):
    rows = cohort_rows()
    rows[4] = (*rows[4][:3], "")
    raw = make_clinic(rows)
    propose(raw)
    with pytest.raises(UserError, match=r'label: "": \?\?\?'):
        read_intake(raw)


def test_column_of_sexes_is_found_by_its_words_and_the_next_command_can_be_copied(make_clinic):
    rows = [(*row[:2], {"female": "w", "male": "m"}[row[2]], row[3]) for row in cohort_rows()]
    rows[4] = (*rows[4][:2], "", rows[4][3])
    raw = make_clinic(rows, columns=(*COLUMNS[:2], "Merkmal 1", COLUMNS[3]))
    raw = raw.rename(raw.with_name("Klinik Fotos"))
    said = command("prepare", raw, "--propose").output
    text = (raw / "clinic.yaml").read_text(encoding="utf-8")
    for line in ("sex: Merkmal 1 ???  # its cells are words for sexes", "w: female", "m: male",
                 '"": ???  # 1 row'):  # fmt: skip
        assert line in text
    assert f"hf-cushing prepare '{raw}' --out" in said


def test_spanish_m_is_no_man_for_sure(make_clinic):
    rows = [(*row[:2], {"female": "M", "male": "H"}[row[2]], row[3]) for row in cohort_rows()]
    text = propose(make_clinic(rows, columns=COLUMNS))
    assert "M: female ???" in text
    assert "H: male ???" in text


def test_no_false_and_0_are_words_in_clinic_yaml(tmp_path):
    (tmp_path / "clinic.yaml").write_text("values: {label: {no: control, 0: control, True: x}}")
    words = read_clinic_file(tmp_path).values["label"]
    assert words == {"no": "control", "0": "control", "true": "x"}


def test_command_line_says_how_the_table_is_read(make_clinic, tmp_path):
    sex, label = {"female": "W", "male": "M"}, {"control": "0", "cushing": "Cushing Syndrome"}
    rows = [(*row[:2], sex[row[2]], label[row[3]]) for row in cohort_rows(18)]
    raw = make_clinic(rows, columns=("FILE_NAME", "Patient ID", "Sex", "Dx"))
    result = command(
        "prepare", raw, "--column", "patient_id=patient id", "label=Dx", "--map", "sex", "W=female",
        "--map", "label", "cushing syndrome=cushing", "0=control", "--out", tmp_path / "out",
        "--folds", "3", "--no-identity", "--allow",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "out" / "intake.json").read_text())
    assert [row["columns"]["label"] for row in report["rows"]] == [r[3] for r in cohort_rows(18)]


@pytest.mark.parametrize(
    ("columns", "values", "message"),
    [
        (("patientid=x",), (), "'patientid' is none of file_name"),
        (("patient_id",), (), "give it like patient_id='Patient ID'"),
        ((), ("sex",), "give it like sex W=female"),
    ],
)
def test_option_that_says_nothing_is_refused(columns, values, message):
    with pytest.raises(UsageError, match=message):
        Reading().with_options("", columns, values)


def test_named_column_that_is_absent_comes_in_the_same_report(make_clinic):
    rows = [(*row[:2], "x", row[3]) for row in cohort_rows()]
    raw = make_clinic(rows, columns=COLUMNS)
    reading = Reading(columns={"patient_id": "PatNr"})
    with pytest.raises(UserError) as caught:
        read_intake(raw, reading=reading)
    assert "missing column patient_id ('PatNr') (found: file_name" in str(caught.value)
    assert "sex 'x' is not known in 12 rows (2, 3, " in str(caught.value)
    assert "patient_id is missing" not in str(caught.value)


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return FolderFiles(root, base=root)


def test_file_is_found_by_the_names_that_tables_give_it(tmp_path):
    mac = unicodedata.normalize("NFD", "Müller.jpg")
    files = touch(tmp_path / "raw", "P1/IMG_1.JPG", "P2/IMG_2.JPG", "P3/IMG_2.JPG", f"P4/{mac}")
    assert files.find("p1/img_1.jpg") == "P1/IMG_1.JPG"
    assert files.find("P1\\IMG_1") == "P1/IMG_1.JPG"
    assert files.find("IMG_1.jpg") == "P1/IMG_1.JPG"
    assert files.find("P4/Müller.jpg") == f"P4/{mac}"
    assert files.find("C:\\Users\\x\\raw\\P2\\IMG_2.JPG") == "P2/IMG_2.JPG"
    assert files.find(str(tmp_path / "raw" / "P3" / "IMG_2.JPG")) == "P3/IMG_2.JPG"
    assert files.find("raw/P3/IMG_2.JPG") == "P3/IMG_2.JPG"


def test_no_photo_is_taken_from_another_patients_folder_but_named(tmp_path):
    with_zip = tmp_path / "raw" / "more.zip"
    with_zip.parent.mkdir()
    with zipfile.ZipFile(with_zip, "w") as archive:
        archive.writestr("x/IMG_9.JPG", b"x")
    files = touch(tmp_path / "raw", "P1/IMG_1.JPG", "P2/IMG_2.JPG", "P3/IMG_2.JPG")
    assert files.find("P9/IMG_1.JPG") == files.find("IMG_2.JPG") == files.find("IMG_1.png") == ""
    assert files.what_is_there("P9/IMG_1.JPG") == "P1/IMG_1.JPG is there"
    assert files.what_is_there("img_2") == "P2/IMG_2.JPG, P3/IMG_2.JPG is there"
    assert files.what_is_there("IMG_1.png") == "P1/IMG_1.JPG is there"
    assert files.what_is_there("IMG_9.JPG") == "it is inside more.zip: unpack that here"
    assert files.what_is_there("other.png") == ""


def test_absolute_names_and_a_table_in_a_sub_folder_leave_no_file_in_no_row(make_clinic):
    raw = make_clinic(cohort_rows())
    rows = [(str(raw / row[0]), *row[1:]) for row in cohort_rows()]
    (raw / "table").mkdir()
    (raw / "metadata.csv").unlink()
    dicts = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    write_table(raw / "table" / "metadata.csv", dicts)
    intake = read_intake(raw)
    assert intake.unlisted == []
    assert intake.photos[3].file_name == "3.png"


@pytest.mark.parametrize(("encoding", "word"), [("gb18030", "库欣病"), ("cp1252", "männlich")])
def test_table_in_a_hospitals_encoding_is_proposed_and_read(make_clinic, encoding, word):
    rows = [(*row[:2], word if row[2] == "male" else "w", row[3]) for row in cohort_rows()]
    if encoding == "gb18030":
        rows = [(*row[:3], word if row[3] == "cushing" else "健康") for row in cohort_rows()]
    raw = make_clinic(rows, columns=COLUMNS)
    table = raw / "metadata.csv"
    table.write_bytes(table.read_text(encoding="utf-8").encode(encoding))
    with pytest.raises(UserError, match="--propose` find out what it is"):
        read_intake(raw)
    assert f"encoding: {encoding}" in propose(raw)
    assert {p.label for p in read_intake(raw).photos} == {"control", "cushing"}


def test_folder_without_a_table_names_what_is_there(tmp_path):
    raw = tmp_path / "raw"
    touch(raw, "patients.xls", "photos.zip")
    with pytest.raises(UserError, match=r"there is patients.xls, photos.zip: save a table as .xls"):
        read_intake(raw)
    with pytest.raises(UserError, match=r"photos.zip is not a folder; unpack it and give"):
        read_intake(raw / "photos.zip")


def test_bad_rows_are_rejected_on_demand_and_all_rows_of_a_contradiction(make_clinic):
    more = [("0.png", "000", "female", "control"), ("x.png", "", "male", "control"),
            ("y.png", "003", "male", "control"), ("z.png", "900", "male", "LEAVE")]  # fmt: skip
    raw = make_clinic([*cohort_rows(), *more])
    (raw / "6.png").write_bytes((raw / "4.png").read_bytes())
    with pytest.raises(UserError, match="4 problems; nothing was written"):
        read_intake(raw, labels=["control", "cushing"])
    options = PrepareOptions(folds=3, labels=("control", "cushing"), on_bad_row="reject")
    clinic = read_cohort(raw, options, no_progress).clinic
    assert sorted((row.row, row.reason) for row in clinic.left_out) == [
        (row, "bad_row") for row in (5, 6, 8, 14, 15, 16, 17)
    ]
    assert [p.row for p in clinic.photos] == [2, 3, 4, 7, 9, 10, 11, 12, 13]


def test_rejected_rows_stand_in_the_account(make_clinic, tmp_path):
    raw = make_clinic([*cohort_rows(18), ("0.png", "000", "female", "control")])
    out = tmp_path / "out"
    result = command("prepare", raw, "--out", out, "--folds", "3", "--no-identity", "--allow",
                     "--on-bad-row", "reject")  # fmt: skip
    assert "18 of 19 photos kept; rejected: bad_row 1" in result.output
    assert (
        "| 20 | 0.png | bad_row | file_name stands in an earlier" in (out / "intake.md").read_text()
    )


def test_visits_are_dates_in_one_form_and_may_be_numbered(make_clinic):
    days = ["5.3.2024", "05.03.2024", "2024-03-05 10:30", "2024年3月5日", "45356", "05.03.24"]
    rows = [(*row, days[n % 6]) for n, row in enumerate(cohort_rows())]
    rows += [(f"b{n}.png", row[1], *row[2:4], "2.1.2024") for n, row in enumerate(rows)]
    raw = make_clinic(rows, columns=(*COLUMNS, "visit"))
    clinic = read_cohort(raw, PrepareOptions(folds=3), no_progress).clinic
    assert {photo.visit for photo in clinic.photos} == {"2024-03-05", "2024-01-02"}
    assert "visit holds dates in 24 rows" in clinic.warnings[-1]
    assert "add --number-visits" in clinic.warnings[-1]
    clinic = read_cohort(raw, PrepareOptions(folds=3, number_visits=True), no_progress).clinic
    assert [photo.visit for photo in clinic.photos] == ["2"] * 12 + ["1"] * 12
    assert not clinic.warnings


def test_day_and_month_that_may_be_either_stay_as_they_are(make_clinic):
    rows = [(*row, "03/04/2024") for row in cohort_rows()]
    intake = read_intake(make_clinic(rows, columns=(*COLUMNS, "visit")))
    assert {photo.visit for photo in intake.photos} == {"03/04/2024"}


def test_second_column_with_another_label_is_told(make_clinic):
    rows = [(*row, "Cushing's disease" if row[3] == "cushing" else "-") for row in cohort_rows()]
    rows[2] = (*rows[2][:4], "Morbus Cushing")
    intake = read_intake(make_clinic(rows, columns=(*COLUMNS, "Diagnosis")))
    assert len(intake.warnings) == 1
    assert intake.warnings[0].startswith("row 4: column 'Diagnosis' gives another label ('Morbus")


@pytest.mark.parametrize(
    ("label", "command"),
    [
        ("Cushing Syndrome", "--map label 'cushing syndrome'=cushing"),
        ("gesund", "--map label gesund=control"),
        ("healthy", "--map label healthy=control"),
        ("unknown", "--map label unknown='leave out'"),
        (
            "cushng",
            "--map label cushng=cushing says so; if it is right as it is: "
            "--labels control,cushing,cushng",
        ),
    ],
)
def test_advice_about_a_label_leads_somewhere(make_clinic, label, command):
    rows = cohort_rows()
    rows[0] = (*rows[0][:3], label)
    raw = make_clinic(rows)
    with pytest.raises(UserError) as caught:
        read_intake(raw)
    assert command in str(caught.value)
    if label == "cushng":
        assert len(read_intake(raw, labels=("control", "cushing", "cushng")).photos) == 12
    values = (command.split(" says")[0].removeprefix("--map ").replace("'", ""),)
    intake = read_intake(raw, reading=Reading().with_options("", (), values))
    assert len(intake.photos) + len(intake.left_out) == 12


def test_capitals_of_columns_do_not_matter_and_two_of_one_name_are_refused(make_clinic):
    raw = make_clinic(cohort_rows(), columns=("File Name", "PATIENT_ID", "Sex", "LABEL"))
    assert len(read_intake(raw).photos) == 12
    table = Path(raw, "metadata.csv")
    table.write_text(table.read_text().replace("File Name", "sex", 1))
    with pytest.raises(UserError, match=r"column sex stands twice \(sex, Sex\)"):
        read_intake(raw)

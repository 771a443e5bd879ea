import json

import pytest

from hf_cushing.data.cohort import check_cohort
from hf_cushing.data.groups import alike_ids
from hf_cushing.data.intake import read_intake
from hf_cushing.data.row_checks import repeated_files
from hf_cushing.data.table import read_table
from hf_cushing.schema import FacePhoto, UserError
from tests.conftest import cohort_rows
from tests.data.tables import rewrite, write_table


def read(raw, *, folds=3, **options):
    intake = read_intake(raw, **options)
    check_cohort(intake.photos, folds=folds, where=str(intake.table))
    return intake


def problems(raw, **options):
    with pytest.raises(UserError) as caught:
        read(raw, **options)
    return str(caught.value)


@pytest.mark.parametrize(("patient", "rows"), [("A", [3]), ("B", [3, 2])])
def test_file_of_two_patients_leaves_out_both_rows(patient, rows):
    photos = [
        FacePhoto(row=row, file_name="x.jpg", patient_id=name, label="control", sex="female")
        for row, name in ((2, "A"), (3, patient))
    ]
    assert [problem[0] for problem in repeated_files(photos, every=True)] == rows
    assert [problem[0] for problem in repeated_files(photos, every=False)] == [3]


def with_row(*cells):
    return [*cohort_rows(), cells]


def test_patient_001_stays_001(make_clinic):
    intake = read(make_clinic(cohort_rows()), folds=3)
    assert [photo.patient_id for photo in intake.photos][:2] == ["000", "001"]


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet", "xlsx"])
@pytest.mark.parametrize("nothing", ["NA", "NaN", "none", "NULL", "#N/A", "n/a", "-", " ", None])
def test_what_says_that_nothing_is_there_is_missing_in_every_format(tmp_path, kind, nothing):
    rows = [{"n": "1", "patient_id": "1", "pair_id": "x", "bmi": 24.5}]
    rows.append({"n": "2", "patient_id": nothing, "pair_id": nothing, "bmi": float("nan")})
    path = write_table(tmp_path / f"t.{kind}", rows)
    found = [cells for _, cells in read_table(path)]
    assert found[0] == {"n": "1", "patient_id": "1", "pair_id": "x", "bmi": "24.5"}
    assert found[1] == {"n": "2", "patient_id": "", "pair_id": "", "bmi": ""}


def test_missing_pair_id_puts_nobody_together_and_missing_patient_id_is_refused(make_clinic):
    rows = [(*row, "NA") for row in cohort_rows()]
    columns = ("file_name", "patient_id", "sex", "label", "pair_id")
    rows[3:5] = [(rows[n][0], "NA", *rows[n][2:]) for n in (3, 4)]
    raw = make_clinic(rows, columns=columns)
    assert "patient_id is missing in 2 rows (5, 6); fill it in" in problems(raw)
    raw = rewrite(raw, [(*row, "NA") for row in cohort_rows()], columns)
    assert {photo.pair_id for photo in read(raw).photos} == {""}


def test_one_line_for_each_kind_of_problem_with_count_and_first_rows(make_clinic):
    rows = [(*row[:3], row[3].replace("control", "healthy")) for row in cohort_rows(40)]
    rows[1] = ("1.png", "001", "x", "cushing")
    text = problems(make_clinic(rows, photos=False))
    assert "label 'healthy' names no disease in 20 rows (2, 4, 6, 8, 10, 12, 14, 16, …);" in text
    assert "row 3: sex 'x' is not known; write female, male" in text
    assert "21 problems; nothing was written" in text
    assert len(text.splitlines()) == 4


@pytest.mark.parametrize("other", ["7", " 007 ", "7.0", "0 07", "００７", "07"])
def test_ids_that_differ_only_in_dress_are_named_by_row(make_clinic, other):
    rows = [("a.png", other, "male", "cushing"), *cohort_rows()]
    intake = read(make_clinic(rows, photos=False))
    if other.strip() == "007":
        assert intake.alike == []
    else:
        assert intake.alike == [(10, 2)]
        assert intake.warnings[0].startswith("row 10: patient_id differs from an earlier row's")
        assert "(as row 2); probably one person" in intake.warnings[0]


@pytest.mark.parametrize(
    ("one", "other"), [("P007", "p007"), ("P007", "P-7"), ("Müller", "müller")]
)
def test_capitals_dashes_and_accents_are_dress_too(one, other):
    assert list(alike_ids([one, other])) == [(1, 0)]
    assert list(alike_ids(["P07", "P70", "A-1-2", "A-12"])) == []


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "semicolon", "bom"])
def test_all_table_formats_say_the_same(make_clinic, kind):
    raw = make_clinic(cohort_rows())
    expected = [p.patient_id for p in read(raw, folds=3).photos]
    table = raw / "metadata.csv"
    text = table.read_text()
    names = ("file_name", "patient_id", "sex", "label")
    rows = [dict(zip(names, row, strict=True)) for row in cohort_rows()]
    if kind == "semicolon":
        table.write_text(text.replace(",", ";"))
    elif kind == "bom":
        table.write_text(text, encoding="utf-8-sig")
    elif kind == "jsonl":
        table.unlink()
        (raw / "metadata.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    else:
        import pyarrow
        import pyarrow.parquet

        table.unlink()
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), raw / "metadata.parquet")
    assert [p.patient_id for p in read(raw, folds=3).photos] == expected


def test_missing_column_names_those_found(make_clinic):
    raw = make_clinic(
        [row[:3] for row in cohort_rows()], columns=("file_name", "patient_id", "sex")
    )
    assert "missing column label (found: file_name, patient_id, sex)" in problems(raw)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (("x.png", "900", "femal", "control"), "row 14: sex 'femal' is not known; write female"),
        (("x.png", "900", "", "control"), "row 14: sex is missing; write female"),
        (("x.png", "900", "male", "cushng"), "did you mean 'cushing'?"),
        (("x.png", "900", "male", ""), "row 14: label is missing"),
        (("x.png", "", "male", "control"), "row 14: patient_id is missing"),
        (("0.png", "900", "male", "control"), "stands in an earlier row too ('0.png' as row 2);"),
        (("x.png", "000", "female", "cushing"), "patient_id ('cushing', row 2 'control'); a pati"),
        (("x.png", "000", "male", "control"), "row 14: sex is another than in an earlier row"),
    ],
)
def test_each_bad_cell_is_named_with_row_and_remedy(make_clinic, cells, expected):
    assert expected in problems(make_clinic(with_row(*cells), photos=False))


def test_all_problems_come_in_one_report(make_clinic):
    rows = cohort_rows()
    rows[1] = ("1.png", "001", "x", "cushing")
    rows[4] = ("0.png", "004", "female", "contrl")
    text = problems(make_clinic(rows))
    assert all(part in text for part in ("row 3: sex", "row 6: file_name", "row 6: label"))
    assert "3 problems; nothing was written" in text


@pytest.mark.parametrize(
    ("age", "good"), [("44", True), ("44,5", True), ("4-5", False), ("430", False), ("", True)]
)
def test_age_must_be_a_sensible_number(make_clinic, age, good):
    rows = [(*row, age) for row in cohort_rows()]
    raw = make_clinic(rows, columns=("file_name", "patient_id", "sex", "label", "age"))
    if good:
        assert read(raw, folds=3).photos[0].age == (float(age.replace(",", ".")) if age else None)
    else:
        assert f"age is not a number from 0 to 120 in 12 rows (2 '{age}', 3 '{age}', " in problems(
            raw
        )


def test_label_outside_the_given_vocabulary_is_refused(make_clinic):
    raw = make_clinic(cohort_rows())
    assert "is not one of acromegaly, control" in problems(raw, labels=["control", "acromegaly"])


def test_new_label_words_are_taken_from_the_data(make_clinic):
    rows = [(*row[:3], row[3].replace("cushing", "moon_face")) for row in cohort_rows()]
    assert {p.label for p in read(make_clinic(rows), folds=3).photos} == {
        "control",
        "moon_face",
    }


def test_one_class_only_is_refused(make_clinic):
    rows = [(*row[:3], "control") for row in cohort_rows()]
    assert "one class only" in problems(make_clinic(rows))


def test_cohort_without_controls_is_refused(make_clinic):
    rows = [(*row[:3], row[3].replace("control", "acromegaly")) for row in cohort_rows()]
    assert "no photo is labelled 'control'" in problems(make_clinic(rows))


def test_fewer_patients_than_folds_are_refused_with_a_number_that_works(make_clinic):
    text = problems(make_clinic(cohort_rows()), folds=7)
    assert "has 6 patients, fewer than 7 folds; add patients or use --folds 6" in text


def test_files_in_no_row_and_extra_columns_are_named(make_clinic):
    rows = [(*row, "free text") for row in cohort_rows()]
    raw = make_clinic(rows, columns=("file_name", "patient_id", "sex", "label", "remarks"))
    (raw / "stray.jpg").write_bytes(b"x")
    intake = read(raw, folds=3)
    assert intake.unlisted == ["stray.jpg"]
    assert intake.dropped_columns == ["remarks"]


def test_row_with_a_comma_too_many_is_named(make_clinic):
    raw = make_clinic(cohort_rows())
    with open(raw / "metadata.csv", "a") as file:
        file.write("x.png,900,male,control,what\n")
    text = problems(raw)
    assert "row 14: 5 cells instead of 4; put quotation marks" in text


def test_unreadable_rows_come_in_the_same_report_as_the_others(make_clinic):
    rows = cohort_rows()
    rows[1] = ("1.png", "001", "x", "cushing")
    raw = make_clinic(rows)
    with open(raw / "metadata.csv", "a") as file:
        file.write("x.png,900\n")
    text = problems(raw)
    assert "row 3: sex 'x'" in text
    assert "row 14: 2 cells instead of 4" in text


def test_rows_count_as_in_a_spreadsheet_after_a_line_break_in_a_cell(make_clinic):
    rows = [(*row, "two\nlines") for row in cohort_rows()]
    rows[3] = (*rows[3][:2], "x", *rows[3][3:])
    raw = make_clinic(rows, columns=("file_name", "patient_id", "sex", "label", "remarks"))
    assert "row 5: sex 'x'" in problems(raw)


def test_doubled_column_is_refused(make_clinic):
    rows = [(*row, "male") for row in cohort_rows()]
    raw = make_clinic(rows, columns=("file_name", "patient_id", "sex", "label", "sex"))
    assert "column sex stands twice" in problems(raw)


@pytest.mark.parametrize(("word", "remedy"), [("healthy", "write 'control'"), ("unknown", "leave")])
def test_words_that_name_no_disease_are_not_taken_for_one(make_clinic, word, remedy):
    rows = [(*row[:3], row[3].replace("cushing", word)) for row in cohort_rows()]
    assert remedy in problems(make_clinic(rows))


def test_given_labels_may_be_written_with_capitals(make_clinic):
    intake = read(make_clinic(cohort_rows()), labels=["Control", "Cushing"], folds=3)
    assert {photo.label for photo in intake.photos} == {"control", "cushing"}


def test_table_that_is_absent_double_or_not_utf8_is_refused(make_clinic, tmp_path):
    raw = make_clinic(cohort_rows())
    (raw / "metadata.jsonl").write_text("{}")
    assert "several tables (metadata.csv, metadata.jsonl)" in problems(raw)
    (raw / "metadata.jsonl").unlink()
    (raw / "metadata.csv").write_bytes("file_name,patient_id,sex,label\né".encode("latin-1"))
    assert "not UTF-8" in problems(raw)
    (raw / "metadata.csv").unlink()
    assert "holds no table (metadata.csv" in problems(raw)
    assert "is not a folder" in problems(tmp_path / "nowhere")

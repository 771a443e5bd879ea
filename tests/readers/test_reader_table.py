"""Reading answers: what is refused, and how it is named."""

import csv

import numpy as np
import pytest

from hf_cushing.evaluation.predictions import Predictions
from hf_cushing.readers import export
from hf_cushing.readers import read_answers as reading
from hf_cushing.readers.read_answers import read_answers
from hf_cushing.schema import UserError

HEADER = "reader,level,photo_id,read,occurrence,call,score,seconds,regions"


@pytest.fixture
def predictions():
    """Four test photos t0..t3 and a training photo, of a model with two labels."""
    return predictions_of(["t0", "t1", "t2", "t3", "seen"], labels=("control", "cushing"))


def predictions_of(ids, labels):
    count = len(ids)
    return Predictions(
        photo_id=np.array(ids),
        patient_id=np.array([f"p{n}" for n in range(count)]),
        label=np.array(labels)[np.arange(count) % len(labels)],
        sex=np.full(count, "female"),
        split=np.array(["train" if name == "seen" else "test" for name in ids]),
        fold=np.zeros(count, int),
        seed=np.zeros(count, int),
        probabilities=np.full((count, len(labels)), 1 / len(labels)),
        labels=labels,
        model_revision="m",
        dataset_revision="d",
    )


@pytest.fixture
def read(tmp_path, predictions):
    """Read lines under a header as a table."""

    def reading(*lines, header=HEADER, source=predictions, label="cushing", name="answers.csv"):
        path = tmp_path / name
        path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
        return read_answers(path, source, label=label, split="test")

    return reading


def test_answers_are_typed_and_what_is_left_out_has_its_default(read):
    first, second = read(
        "Ann,Expert,t0,2,1,cushing,4.5,12,nose;chin", "Bo,student,t1,,,No,,,", name="a.csv"
    )
    assert (first.level, first.read, first.call, first.score) == ("expert", 2, True, 4.5)
    assert first.regions == ("nose", "chin")
    assert first.seconds == 12
    assert first.row == 2
    assert (second.read, second.occurrence, second.call) == (1, 1, False)
    assert np.isnan(second.score)
    assert np.isnan(second.seconds)


def test_optional_columns_may_be_missing_and_semicolons_separate(read):
    (answer,) = read("Ann;expert;t0;yes", header="reader;level;photo_id;call")
    assert answer.call
    assert answer.read == 1


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("Ann,expert,sen,1,1,yes,,,", "row 2: unknown photo 'sen': did you mean seen?"),
        ("Ann,expert,zzzz,1,1,yes,,,", "no prediction for it; give the run"),
        ("Ann,expert,,1,1,yes,,,", "row 2: no photo_id"),
        ("Ann,expert,seen,1,1,yes,,,", "photo seen is of split 'train', not 'test'"),
        ("Ann,,t0,1,1,yes,,,", "row 2: reader Ann has no level; write one of student, resident"),
        ("Ann,chief,t0,1,1,yes,,,", "reader Ann has unknown level 'chief'"),
        ("Ann,expert,t0,1,1,acromegaly,,,", "reader Ann: call 'acromegaly' is none of control"),
        ("Ann,expert,t0,1,1,,,,", "reader Ann: no call; write one of control, cushing, yes, no"),
        (",expert,t0,1,1,yes,,,", "row 2: no reader"),
        ("Ann,expert,t0,3,1,yes,,,", "read '3'; write 1 (alone) or 2"),
        ("Ann,expert,t0,1,0,yes,,,", "occurrence '0'; write 1, or 2 for a repeat"),
        ('Ann,expert,t0,1,1,yes,"4,5",,', "score '4,5' is not a number (with a point"),
        ("Ann,expert,t0,1,1,yes,,-3,", "seconds '-3' is not a number of 0 or more"),
        ("Ann,expert,t0,1,1,yes,,,nosee", "unknown region 'nosee'; did you mean nose?"),
        ("Ann,expert,t0,1,2,yes,,,", "a repeat of photo t0 without a first answer"),
    ],
)
def test_a_wrong_cell_is_named_with_row_and_remedy(read, line, told):
    with pytest.raises(UserError) as error:
        read(line)
    assert told in str(error.value)


def test_two_answers_of_one_reader_for_one_photo_are_refused_with_both_rows(read):
    with pytest.raises(UserError, match=r"row 4: reader Ann answered photo t0 twice, .* row 2;"):
        read("Ann,expert,t0,1,1,yes,,,", "Bo,expert,t0,1,1,yes,,,", "Ann,expert,t0,1,1,no,,,")


def test_a_reader_with_two_levels_is_refused(read):
    with pytest.raises(UserError, match="row 3: reader Ann is student here and expert in row 2"):
        read("Ann,expert,t0,1,1,yes,,,", "Ann,student,t1,1,1,yes,,,")


def test_all_problems_are_told_at_once(read):
    lines = [f"Ann,,t{n},1,1,yes,,," for n in range(4)]
    with pytest.raises(UserError) as error:
        read(*lines, "Bo,expert,t0,1,1,perhaps,,,")
    assert "reader Ann has no level in 4 rows (2, 3, 4, 5); write one of" in str(error.value)
    assert "row 6: reader Bo: call 'perhaps'" in str(error.value)


def test_a_fault_of_a_first_answer_does_not_make_its_repeat_a_second_fault(read):
    with pytest.raises(UserError) as error:
        read("Ann,expert,t0,1,1,perhaps,,,", "Ann,expert,t0,1,2,yes,,,")
    assert "repeat" not in str(error.value)


def test_an_empty_table_a_missing_column_and_a_missing_file_are_refused(
    read, tmp_path, predictions
):
    with pytest.raises(UserError, match="no row"):
        read()
    with pytest.raises(UserError, match="lacks column level; add it"):
        read("Ann,t0,yes", header="reader,photo_id,call")
    with pytest.raises(UserError, match="3 cells instead of"):
        read("Ann,expert,t0", "Ann,expert,t1,1,1,yes,,,")
    with pytest.raises(UserError, match="is no table"):
        read_answers(tmp_path / "none.csv", predictions, label="cushing", split="test")
    with pytest.raises(UserError, match="is no table"):
        read_answers(tmp_path / "none.xlsx", predictions, label="cushing", split="test")


def test_with_several_diseases_a_call_is_for_one_against_the_rest(read):
    several = predictions_of(["t0", "t1", "t2"], labels=("control", "cushing", "acromegaly"))
    lines = ("Ann,expert,t0,1,1,cushing,,,", "Ann,expert,t1,1,1,acromegaly,,,")
    found = read(*lines, source=several, label="acromegaly")
    assert [one.call for one in found] == [False, True]
    with pytest.raises(UserError, match=r"call 'yes' is none of control, cushing, acromegaly$"):
        read("Ann,expert,t0,1,1,yes,,,", source=several, label="acromegaly")


def test_a_kit_is_read_through_its_export(tmp_path, predictions, monkeypatch):
    row = ["Ann", "expert", "t1", "1", "1", "control", "2", "9.5", ""]
    rows = [dict(zip(HEADER.split(","), row, strict=True))]
    monkeypatch.setattr(reading, "export", lambda folder, key: rows)
    (answer,) = read_answers(tmp_path, predictions, label="cushing", split="test")
    assert (answer.photo_id, answer.call, answer.score, answer.row) == ("t1", False, 2.0, 2)


def test_header_of_the_kits_export_is_what_is_read_here():
    known = set(next(csv.reader([HEADER])))
    assert known <= set(export.COLUMNS)

import pytest

from hf_cushing.followup.visits_table import read_visits
from hf_cushing.schema import UserError
from tests.followup.visit_csv import write_table

BOTH_FORMS = [("a.jpg", "P1", "2020-01-10"), ("b.jpg", "P1", "10/04/2020")]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (BOTH_FORMS, ["row 3: date '10/04/2020' is not written YYYY-MM-DD; write all dates"]),
        ([("a.jpg", "P1", "")], ["row 2: date is empty"]),
        ([("a.jpg", "P1", "2020-02-30")], ["row 2", "no day of the calendar"]),
        ([("a.jpg", "P1", "2999-01-01")], ["row 2", "future"]),
        ([("a.jpg", "", "2020-01-01")], ["row 2: patient_id is empty"]),
        ([("a.jpg", "P1", "2020-01-01", "x")], ["row 2: sex 'x' is not known"]),
        (
            [("a.jpg", "P1", "2020-01-01"), ("a.jpg", "P1", "2020-02-01")],
            ["row 3: the photo a.jpg stands in row 2 too"],
        ),
        (
            [("a.jpg", "P1", "2020-05-01", "f", "", "", "1"), ("b.jpg", "P1", "2020-02-01", "f", "",
             "", "2")],
            ["patient P1: dates are out of order: visit 1 is of 2020-05-01, visit 2 of 2020-02-01"],
        ),
        (
            [("a.jpg", "P1", "2020-01-01", "f", "", "", "first"), ("b.jpg", "P1", "2020-02-01", "f",
             "", "", "first")],
            ["row 3: patient P1: date is 2020-02-01, but 2020-01-01 in row 2: a visit has one"],
        ),
        (
            [("a.jpg", "P1", "2020-01-01", "f", "", "", "1"), ("b.jpg", "P1", "2020-01-01", "f", "",
             "", "2")],
            ["row 3: patient P1: visit is 2, but 1 in row 2: photos of one day are one visit"],
        ),
        (
            [("a.jpg", "P1", "2020-01-01", "f", "2020-02-01"), ("b.jpg", "P1", "2020-03-01", "f",
             "2020-02-02")],
            ["row 3: patient P1: treatment_date is 2020-02-02, but 2020-02-01 in row 2"],
        ),
        (
            [("a.jpg", "P1", "2020-01-01", "f", "2020-02-01"), ("b.jpg", "P1", "2020-03-01")],
            ["treatment_date is empty, but 2020-02-01 in row 2", "sex is unknown, but female in"],
        ),
        (
            [("a.jpg", "P1", "2020-01-01", "f", "", "yes"), ("b.jpg", "P1", "2020-01-01", "f")],
            ["row 3: patient P1: stable is empty, but stable in row 2: photos of one day are one"],
        ),
        (
            [("a.jpg", "P1", "2020-01-01", "f", "2020-02-01", "yes"), ("b.jpg", "P1", "2020-03-01",
             "f", "2020-02-01", "yes")],
            ["marked as stable together ('stable'), but treatment began on 2020-02-01 between"],
        ),
    ],
)  # fmt: skip
def test_a_table_with_a_contradiction_is_refused_by_row_and_patient(tmp_path, rows, said):
    with pytest.raises(UserError) as caught:
        read_visits(write_table(tmp_path / "t.csv", rows))
    for text in said:
        assert text in str(caught.value)


def test_all_problems_of_a_table_are_told_at_once(tmp_path):
    rows = [("a.jpg", "P1", ""), ("b.jpg", "P1", "1.2.2020"), ("c.jpg", "", "2020-01-01")]
    with pytest.raises(UserError, match="3 problems; nothing was written"):
        read_visits(write_table(tmp_path / "t.csv", rows))


def test_a_table_without_dates_is_refused_with_the_columns_it_needs(tmp_path):
    path = write_table(tmp_path / "t.csv", [("a.jpg", "P1")], ("file_name", "patient_id"))
    with pytest.raises(UserError, match=r"missing column date \(found: file_name, patient_id\)"):
        read_visits(path)


def test_stable_is_yes_no_or_the_name_of_a_period(tmp_path):
    yes = ["yes", "1", "TRUE", "1.0"]
    no = ["No", "false", "0", "0.0", "", "NA", "n/a", "NaN", "None"]
    words = [*yes, *no, "period:remission", "Period: after"]
    rows = [(f"{n}.jpg", f"P{n}", "2020-01-01", "f", "", word) for n, word in enumerate(words)]
    found = read_visits(write_table(tmp_path / "t.csv", rows))
    expected = ["stable"] * len(yes) + [""] * len(no) + ["remission", "after"]
    assert [photo.stable for photo in found] == expected


@pytest.mark.parametrize("word", ["unstable", "changed", "remission", "2", "period:"])
def test_a_word_that_may_mean_not_stable_is_refused_with_its_row(tmp_path, word):
    path = write_table(tmp_path / "t.csv", [("a.jpg", "P1", "2020-01-01", "f", "", word)])
    with pytest.raises(UserError, match=f"row 2: stable '{word}' is not known; write yes, no, or"):
        read_visits(path)

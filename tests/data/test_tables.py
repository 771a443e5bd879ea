"""Tables as Excel and hospitals' programs write them."""

from datetime import datetime

import openpyxl
import pytest

from hf_cushing.data.table import read_table
from hf_cushing.schema import UserError
from tests.data.tables import write_table

ROWS = [{"patient_id": "001", "visit": "a"}, {"patient_id": "002", "visit": "b"}]


def rows_of(path, **how):
    return list(read_table(path, **how))


def test_workbook_with_a_title_dates_and_padded_numbers_is_read_as_excel_shows_it(tmp_path):
    book = openpyxl.Workbook()
    page = book.active
    for row in (["Patients 2024"], [], ["patient_id", "visit", "age", None], [7, None, 44.0]):
        page.append(row)
    page["A4"].number_format, page["B4"] = "000", datetime(2024, 3, 5)
    page["E4"] = "a remark beside the table"
    page["A9"] = " "
    book.save(tmp_path / "t.xlsx")
    cells = {"patient_id": "007", "visit": "2024-03-05", "age": "44"}
    assert rows_of(tmp_path / "t.xlsx") == [(4, cells)]


def test_sheet_is_named_where_several_are_filled(tmp_path):
    path = write_table(tmp_path / "t.xlsx", ROWS, Other=[["x"], ["1"]], Empty=[])
    with pytest.raises(UserError, match=r"several sheets \(there are: Sheet, Other\); name one"):
        rows_of(path)
    with pytest.raises(UserError, match="no filled sheet 'Faces'"):
        rows_of(path, sheet="Faces")
    assert rows_of(path, sheet="other") == [(2, {"x": "1"})]


def test_workbook_that_is_none_is_refused(tmp_path):
    (tmp_path / "t.xlsx").write_bytes(b"PK no workbook")
    with pytest.raises(UserError, match="can't be read as a workbook"):
        rows_of(tmp_path / "t.xlsx")


def test_empty_columns_and_rows_and_excels_first_line_are_skipped(tmp_path):
    text = "sep=;\npatient_id;visit;;\n001;a,b;;\n;;;\n002;c;;\n;;;\n"
    (tmp_path / "T.CSV").write_text(text, encoding="utf-8-sig")
    first, last = {"patient_id": "001", "visit": "a,b"}, {"patient_id": "002", "visit": "c"}
    assert rows_of(tmp_path / "T.CSV") == [(2, first), (4, last)]

"""Read sheets of an Excel workbook as Excel shows them."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hf_cushing.schema import UserError


def is_blank(cell: object) -> bool:
    """Whether a cell shows nothing."""
    return cell is None or not str(cell).strip()


def read_workbook(path: Path, sheet: str = "") -> Iterator[tuple[int, list[object]]]:
    """Cells of each row of a sheet, from its header on: titles above hold fewer cells."""
    table = _sheet_of(path, sheet)
    filled = [len(cells) - sum(map(is_blank, cells)) for _, cells in table]
    start = next(n for n, count in enumerate(filled) if 2 * count >= max(filled))
    width = len(table[start][1])
    for number, cells in table[start:]:
        yield number, (cells + [None] * width)[:width]


def _sheet_of(path: Path, sheet: str) -> list[tuple[int, list[object]]]:
    """Rows of the sheet of that name, or of the only one that holds anything."""
    filled = filled_sheets(path)
    chosen = [n for n in filled if n.casefold() == sheet.casefold()] if sheet else list(filled)
    if not filled:
        raise UserError(f"{path} is empty; write one row a photo into it")
    if len(chosen) != 1:
        what = f"no filled sheet '{sheet}'" if sheet else "several sheets"
        raise UserError(
            f"{path} has {what} (there are: {', '.join(filled)}); name one with --sheet"
        )
    return filled[chosen[0]]


def filled_sheets(path: Path) -> dict[str, list[tuple[int, list[object]]]]:
    """Numbered rows of each sheet that holds anything.

    Raises
    ------
    UserError
        No workbook.
    """
    import openpyxl

    try:
        with warnings.catch_warnings(action="ignore"):  # of what is there beside the cells
            book = openpyxl.load_workbook(path, read_only=True, data_only=True)
            found = {page.title: _rows_of(page) for page in book.worksheets}
            book.close()
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{path} can't be read as a workbook ({error}); open it and save it as .xlsx, without "
            "a password"
        ) from None
    return {name: rows for name, rows in found.items() if rows}


def _rows_of(page: Any) -> list[tuple[int, list[object]]]:
    """Filled rows of a sheet, numbered, without empty cells at their end."""
    page.reset_dimensions()  # some programs write wrong ones
    rows = []
    for number, row in enumerate(page.iter_rows(), start=1):
        cells = [_cell(cell) for cell in row]
        while cells and is_blank(cells[-1]):
            cells.pop()
        if cells:
            rows.append((number, cells))
    return rows


def _cell(cell: Any) -> object:
    """Value of a cell; a number shown with zeros in front keeps them."""
    if isinstance(cell.value, int) and re.fullmatch("0+", cell.number_format or ""):
        return str(cell.value).zfill(len(cell.number_format))
    return cell.value

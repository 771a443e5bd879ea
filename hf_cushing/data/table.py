"""Read tables that people wrote (CSV, Excel, JSON lines, Parquet); every cell stays its text."""

from __future__ import annotations

import csv
import json
import re
import unicodedata
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, time
from pathlib import Path
from typing import Any

from hf_cushing.schema import UserError

SUFFIXES = (".csv", ".tsv", ".xlsx", ".jsonl", ".parquet")
TABLE_NAMES = tuple(f"metadata{suffix}" for suffix in SUFFIXES)

MISSING = frozenset(
    (
        "",
        "-",
        "--",
        "–",
        "—",
        "na",
        "n/a",
        "n.a.",
        "#n/a",
        "#na",
        "<na>",
        "nan",
        "nat",
        "none",
        "null",
    )
)
"""What R, pandas, Excel, databases and people write where there is nothing; see `plain`."""

UNSEEN = "\u200b\ufeff"
"""Characters that no editor shows and `str.strip` keeps."""

MAX_LINES = 100
"""Kinds of problems told; the rest are counted."""

SHOWN_ROWS = 8

Problem = tuple[int, str] | tuple[int, str, str]
"""Row number; what is wrong there; "; " and the remedy. Where one kind of problem looks different
in every row, a third text says what of it is this row's alone."""

Report = Callable[[Problem], None]


def plain(text: str) -> str:
    """Write a word without what only dresses it: width, capitals, doubled and outer spaces.

    >>> plain(" Ｐatient   ID ")
    'patient id'
    """
    return " ".join(unicodedata.normalize("NFKC", text).strip(UNSEEN).casefold().split())


def find_tables(raw: Path) -> list[Path]:
    """Paths of all metadata tables of a folder."""
    return [raw / name for name in TABLE_NAMES if (raw / name).is_file()]


def find_table(raw: Path) -> Path:
    """Path of the one metadata table of a clinic folder."""
    if not raw.is_dir():
        raise UserError(f"{raw} is not a folder; give the folder that holds metadata.csv")
    tables = find_tables(raw)
    if len(tables) == 1:
        return tables[0]
    if tables:
        names = ", ".join(path.name for path in tables)
        raise UserError(f"{raw} holds several tables ({names}); keep one of them")
    raise UserError(f"{raw} holds none of {', '.join(TABLE_NAMES)}; write one row a photo into it")


def refuse_problems(where: str | Path, problems: Iterable[Problem], advice: str = "") -> None:
    """Raise one `UserError` with a line for each kind of problem, if there are any.

    Parameters
    ----------
    advice : str
        A last line: what helps against them all.
    """
    problems = sorted(set(problems))
    if not problems:
        return
    lines = [f"  {line}" for line in group_problems(problems)]
    more = [f"  … and {len(lines) - MAX_LINES} more kinds"] if len(lines) > MAX_LINES else []
    count = f"{len(problems)} problem" + ("s" if len(problems) > 1 else "")
    head = f"{where}: {count}; nothing was written"
    raise UserError("\n".join([head, *lines[:MAX_LINES], *more, *([advice] if advice else [])]))


def group_problems(problems: Iterable[Problem]) -> list[str]:
    """One line for each kind of problem: what, in how many rows, the first of them, the remedy.

    >>> group_problems([(2, "no sex; fill it in"), (4, "no sex; fill it in"), (9, "no age", "'z'")])
    ['no sex in 2 rows (2, 4); fill it in', "row 9: no age ('z')"]
    """
    kinds: dict[str, list[tuple[int, str]]] = {}
    for row, text, *own in problems:
        kinds.setdefault(text, []).append((row, own[0] if own else ""))
    return [_line(text, rows) for text, rows in kinds.items()]


def _line(text: str, rows: Sequence[tuple[int, str]]) -> str:
    what, mark, remedy = text.partition("; ")
    if len(rows) == 1:
        row, own = rows[0]
        return f"row {row}: {what}{own and f' ({own})'}{mark}{remedy}"
    shown = [f"{row} {own}".strip() for row, own in rows[:SHOWN_ROWS]]
    shown += ["…"] if len(rows) > SHOWN_ROWS else []
    return f"{what} in {len(rows)} rows ({', '.join(shown)}){mark}{remedy}"


def read_table(
    path: Path, report: Report | None = None, *, sheet: str = ""
) -> Iterator[tuple[int, dict[str, str]]]:
    """Read a table row by row; rows count as a spreadsheet shows them.

    Parameters
    ----------
    path : Path
        ``.csv`` (comma, semicolon or tab), ``.tsv``, ``.xlsx``, ``.jsonl`` or ``.parquet``.
    report : callable, optional
        Told of rows that can't be read; they are left out. By default they are refused at the
        end.
    sheet : str
        Of a workbook; needed where more than one holds anything.

    Yields
    ------
    (int, dict)
        Row number and cells: stripped text, empty where the table has nothing or says so (see
        `MISSING`); dates of Excel as ``YYYY-MM-DD``. The first data row is 2 in CSV and Parquet,
        and 1 in JSON lines, which have no header. Rows and columns without anything are skipped.

    Raises
    ------
    UserError
        No such table, or none that can be read.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES or not path.is_file():
        raise UserError(f"{path} is no table; give a file {', '.join(SUFFIXES)}")
    unread: list[Problem] = []
    told = report or unread.append
    empty = True
    try:
        if suffix == ".jsonl":
            rows = _read_jsonl(path, told)
        elif suffix == ".parquet":
            rows = _read_parquet(path)
        else:
            cells = _read_xlsx(path, sheet) if suffix == ".xlsx" else _read_csv(path)
            rows = _under_header(path, cells, told)
        for number, row in rows:
            empty = False
            yield number, {name.strip(): _text(value) for name, value in row.items()}
    except UnicodeDecodeError:
        raise UserError(
            f"{path} is not UTF-8; save it as UTF-8 (in Excel: Save as, CSV UTF-8)"
        ) from None
    refuse_problems(path, unread)
    if empty:
        raise UserError(f"{path} has no row that can be read; write at least one")


def _text(value: object) -> str:
    """Write a cell as text; a whole number has no ``.0``, a date no midnight."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, datetime) and value.time() == time():
        value = value.date()
    text = str(value).strip().strip(UNSEEN).strip()
    return "" if plain(text) in MISSING else text


def _is_blank(cell: object) -> bool:
    return cell is None or not str(cell).strip()


def _under_header(
    path: Path, records: Iterator[tuple[int, Sequence[object]]], report: Report
) -> Iterator[tuple[int, dict[str, object]]]:
    """Name the cells of each record by the first one, without what is empty."""
    header: list[str] = []
    for number, record in records:
        cells = list(record)
        while len(cells) > len(header) and _is_blank(cells[-1]):
            cells.pop()
        if not header:
            header = [_text(cell) for cell in cells]
            doubled = [name for name, n in Counter(header).items() if name and n > 1]
            if doubled:
                raise UserError(f"{path}: column {', '.join(doubled)} stands twice; delete one")
        elif len(cells) == len(header):
            if not all(map(_is_blank, cells)):
                named = zip(header, cells, strict=True)
                yield number, {name: cell for name, cell in named if name}
        elif cells:
            text = f"{len(cells)} cells instead of {len(header)}"
            report((number, f"{text}; put quotation marks round a cell with a comma"))


def _read_csv(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Cells of each record; what Excel writes first to name the separator is no record."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        first = file.readline()
        named = re.fullmatch(r"sep=(.)\s*", first, re.IGNORECASE)
        if not named:
            file.seek(0)
        delimiter = named[1] if named else max(",;\t", key=first.count)
        try:
            yield from enumerate(csv.reader(file, delimiter=delimiter, strict=True), start=1)
        except csv.Error as error:
            raise UserError(f"{path}: {error}; close the quotation mark or save it again") from None


def _read_xlsx(path: Path, sheet: str) -> Iterator[tuple[int, list[object]]]:
    """Cells of each row of a sheet, from its header on: titles above hold fewer cells."""
    table = _sheet_of(path, sheet)
    filled = [len(cells) - sum(map(_is_blank, cells)) for _, cells in table]
    start = next(n for n, count in enumerate(filled) if 2 * count >= max(filled))
    width = len(table[start][1])
    for number, cells in table[start:]:
        yield number, (cells + [None] * width)[:width]


def _sheet_of(path: Path, sheet: str) -> list[tuple[int, list[object]]]:
    """Rows of the sheet of that name, or of the only one that holds anything."""
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
    filled = {name: rows for name, rows in found.items() if rows}
    chosen = [name for name in filled if plain(name) == plain(sheet)] if sheet else list(filled)
    if not filled:
        raise UserError(f"{path} is empty; write one row a photo into it")
    if len(chosen) != 1:
        what = f"no filled sheet '{sheet}'" if sheet else "several sheets"
        raise UserError(
            f"{path} has {what} (there are: {', '.join(filled)}); name one with --sheet"
        )
    return filled[chosen[0]]


def _rows_of(page: Any) -> list[tuple[int, list[object]]]:
    """Filled rows of a sheet, numbered, without empty cells at their end."""
    page.reset_dimensions()  # some programs write wrong ones
    rows = []
    for number, row in enumerate(page.iter_rows(), start=1):
        cells = [_cell(cell) for cell in row]
        while cells and _is_blank(cells[-1]):
            cells.pop()
        if cells:
            rows.append((number, cells))
    return rows


def _cell(cell: Any) -> object:
    """Value of a cell; a number shown with zeros in front keeps them."""
    if isinstance(cell.value, int) and re.fullmatch("0+", cell.number_format or ""):
        return str(cell.value).zfill(len(cell.number_format))
    return cell.value


def _read_jsonl(path: Path, report: Report) -> Iterator[tuple[int, dict[str, Any]]]:
    with open(path, encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            try:
                cells = json.loads(line) if line.strip() else None
            except ValueError as error:
                report((number, f"not JSON ({error}); correct the line"))
                continue
            if isinstance(cells, dict):
                yield number, cells
            elif line.strip():
                report((number, 'not an object; write {"file_name": …}'))


def _read_parquet(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    import pyarrow
    import pyarrow.parquet

    try:
        yield from enumerate(pyarrow.parquet.read_table(path).to_pylist(), start=2)
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise UserError(f"{path} is not a Parquet table ({error}); write it again") from None


def write_csv(path: Path, rows: Iterable[Mapping[str, object]], names: Sequence[str]) -> None:
    """Write the columns `names` of `rows` as CSV."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)

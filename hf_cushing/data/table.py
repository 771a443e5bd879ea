"""Read the clinic's table; every cell stays the text that was written."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

from hf_cushing.schema import UserError

TABLE_NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")


def find_table(raw: Path) -> Path:
    """Path of the one metadata table of a clinic folder."""
    if not raw.is_dir():
        raise UserError(f"{raw} is not a folder; give the folder that holds metadata.csv")
    found = [raw / name for name in TABLE_NAMES if (raw / name).is_file()]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(path.name for path in found)
        raise UserError(f"{raw} holds several tables ({names}); keep one of them")
    raise UserError(f"{raw} holds none of {', '.join(TABLE_NAMES)}; write one row a photo into it")


Row = tuple[int, dict[str, object]]
Problem = tuple[int, str]


def read_table(path: Path) -> tuple[list[tuple[int, dict[str, str]]], list[Problem]]:
    """Read a table as (row number, cells); rows count as a spreadsheet shows them.

    Returns
    -------
    rows : list of (int, dict)
        Cells are stripped text, empty where the table has nothing. The first data row is 2
        in CSV and Parquet, and 1 in JSON lines, which have no header.
    problems : list of (int, str)
        Rows that can't be read, with the remedy; they are not among `rows`.
    """
    readers = {".csv": _read_csv, ".jsonl": _read_jsonl, ".parquet": _read_parquet}
    try:
        rows, problems = readers[path.suffix](path)
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8; save it as UTF-8") from None
    if not rows and not problems:
        raise UserError(f"{path} has no rows; write one row a photo into it")
    cleaned = [(number, {k.strip(): _text(v) for k, v in cells.items()}) for number, cells in rows]
    return cleaned, problems


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()


def _read_csv(path: Path) -> tuple[list[Row], list[Problem]]:
    rows: list[Row] = []
    problems: list[Problem] = []
    with open(path, encoding="utf-8-sig", newline="") as file:
        first = file.readline()
        file.seek(0)
        try:
            records = list(csv.reader(file, delimiter=max(",;\t", key=first.count), strict=True))
        except csv.Error as error:
            raise UserError(f"{path}: {error}; close the quotation mark or save it again") from None
    header = [name.strip() for name in records[0]] if records else []
    if doubled := [name for name, count in Counter(header).items() if count > 1]:
        raise UserError(f"{path}: column {', '.join(doubled)} stands twice; delete one")
    for number, record in enumerate(records[1:], start=2):
        if len(record) == len(header):
            rows.append((number, dict(zip(header, record, strict=True))))
        elif record:
            text = f"{len(record)} cells instead of {len(header)}"
            problems.append((number, f"{text}; put quotation marks round a cell with a comma"))
    return rows, problems


def _read_jsonl(path: Path) -> tuple[list[Row], list[Problem]]:
    rows: list[Row] = []
    problems: list[Problem] = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        try:
            cells = json.loads(line) if line.strip() else None
        except ValueError as error:
            problems.append((number, f"not JSON ({error}); correct the line"))
            continue
        if isinstance(cells, dict):
            rows.append((number, cells))
        elif line.strip():
            problems.append((number, 'not an object; write {"file_name": …}'))
    return rows, problems


def _read_parquet(path: Path) -> tuple[list[Row], list[Problem]]:
    import pyarrow
    import pyarrow.parquet

    try:
        rows = pyarrow.parquet.read_table(path).to_pylist()
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise UserError(f"{path} is not a Parquet table ({error}); write it again") from None
    return list(enumerate(rows, start=2)), []

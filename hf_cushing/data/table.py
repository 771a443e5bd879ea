"""Read the clinic's table; every cell stays the text that was written."""

from __future__ import annotations

import csv
import json
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


def read_table(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Read a table as (row number, cells); rows count as a spreadsheet shows them.

    Returns
    -------
    list of (int, dict)
        Cells are stripped text, empty where the table has nothing. The first data row is 2
        in CSV and Parquet, and 1 in JSON lines, which have no header.
    """
    readers = {".csv": _read_csv, ".jsonl": _read_jsonl, ".parquet": _read_parquet}
    rows = readers[path.suffix](path)
    if not rows:
        raise UserError(f"{path} has no rows; write one row a photo into it")
    return [(number, {k.strip(): _text(v) for k, v in cells.items()}) for number, cells in rows]


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()


def _read_csv(path: Path) -> list[tuple[int, dict[str, object]]]:
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            header = file.readline()
            file.seek(0)
            delimiter = max(",;\t", key=header.count)
            reader = csv.DictReader(file, delimiter=delimiter, strict=True)
            rows = [(reader.line_num, cells) for cells in reader]
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8; save it as 'CSV UTF-8'") from None
    except csv.Error as error:
        raise UserError(f"{path}: {error}; close the quotation mark or save it again") from None
    for number, cells in rows:
        if None in cells or None in cells.values():
            raise UserError(
                f"{path}, row {number}: the number of cells differs from the header; "
                "put quotation marks round a cell that holds a comma"
            )
    return rows


def _read_jsonl(path: Path) -> list[tuple[int, dict[str, object]]]:
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            cells = json.loads(line)
        except ValueError as error:
            raise UserError(f"{path}, row {number}: not JSON ({error}); correct the line") from None
        if not isinstance(cells, dict):
            raise UserError(f'{path}, row {number}: not an object; write {{"file_name": …}}')
        rows.append((number, cells))
    return rows


def _read_parquet(path: Path) -> list[tuple[int, dict[str, object]]]:
    import pyarrow
    import pyarrow.parquet

    try:
        rows = pyarrow.parquet.read_table(path).to_pylist()
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise UserError(f"{path} is not a Parquet table ({error}); write it again") from None
    return list(enumerate(rows, start=2))

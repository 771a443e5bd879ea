"""Read the clinic's table; every cell stays the text that was written."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from hf_cushing.schema import UserError

TABLE_NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")


def find_tables(raw: Path) -> list[Path]:
    """Paths of all metadata tables of a folder."""
    return [raw / name for name in TABLE_NAMES if (raw / name).is_file()]


def find_table(raw: Path) -> Path:
    """Path of the one metadata table of a clinic folder."""
    if not raw.is_dir():
        raise UserError(f"{raw} is not a folder; give the folder that holds metadata.csv")
    found = find_tables(raw)
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(path.name for path in found)
        raise UserError(f"{raw} holds several tables ({names}); keep one of them")
    raise UserError(f"{raw} holds none of {', '.join(TABLE_NAMES)}; write one row a photo into it")


Row = tuple[int, dict[str, object]]
Report = Callable[[tuple[int, str]], None]
"""Takes (row number, what is wrong and the remedy)."""


def read_table(path: Path, report: Report) -> Iterator[tuple[int, dict[str, str]]]:
    """Read a table row by row; rows count as a spreadsheet shows them.

    Parameters
    ----------
    path : Path
    report : callable
        Told of rows that can't be read; they are left out.

    Yields
    ------
    (int, dict)
        Row number and cells: stripped text, empty where the table has nothing. The first data
        row is 2 in CSV and Parquet, and 1 in JSON lines, which have no header.
    """
    readers = {".csv": _read_csv, ".jsonl": _read_jsonl, ".parquet": _read_parquet}
    empty = True
    try:
        for number, cells in readers[path.suffix](path, report):
            empty = False
            yield number, {name.strip(): _text(value) for name, value in cells.items()}
    except UnicodeDecodeError:
        raise UserError(
            f"{path} is not UTF-8; save it as UTF-8 (in Excel: Save as, CSV UTF-8)"
        ) from None
    if empty:
        raise UserError(f"{path} has no row that can be read; write one row a photo into it")


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()


def _read_csv(path: Path, report: Report) -> Iterator[Row]:
    with open(path, encoding="utf-8-sig", newline="") as file:
        first = file.readline()
        file.seek(0)
        records = csv.reader(file, delimiter=max(",;\t", key=first.count), strict=True)
        try:
            header = [name.strip() for name in next(records, [])]
            if doubled := [name for name, count in Counter(header).items() if count > 1]:
                raise UserError(f"{path}: column {', '.join(doubled)} stands twice; delete one")
            for number, record in enumerate(records, start=2):
                if len(record) == len(header):
                    yield number, dict(zip(header, record, strict=True))
                elif record:
                    text = f"{len(record)} cells instead of {len(header)}"
                    report((number, f"{text}; put quotation marks round a cell with a comma"))
        except csv.Error as error:
            raise UserError(f"{path}: {error}; close the quotation mark or save it again") from None


def _read_jsonl(path: Path, report: Report) -> Iterator[Row]:
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


def _read_parquet(path: Path, report: Report) -> Iterator[Row]:
    import pyarrow
    import pyarrow.parquet

    try:
        number = 2
        for batch in pyarrow.parquet.ParquetFile(path).iter_batches():
            for cells in batch.to_pylist():
                yield number, cells
                number += 1
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise UserError(f"{path} is not a Parquet table ({error}); write it again") from None

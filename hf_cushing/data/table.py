"""Read tables that people wrote (CSV, JSON lines, Parquet); every cell stays the text it was."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hf_cushing.schema import UserError

TABLE_NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
SUFFIXES = tuple(Path(name).suffix for name in TABLE_NAMES)

MAX_LINES = 1000
"""Problems told one by one; the rest are counted."""

Problem = tuple[int, str]
"""Row number, what is wrong there and the remedy."""

Report = Callable[[Problem], None]


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


def refuse_problems(where: str | Path, problems: Iterable[Problem]) -> None:
    """Raise one `UserError` with a line for each problem, if there are any."""
    lines = [f"  row {number}: {text}" for number, text in sorted(set(problems))]
    if not lines:
        return
    count = f"{len(lines)} problem" + ("s" if len(lines) > 1 else "")
    more = [f"  … and {len(lines) - MAX_LINES} more"] if len(lines) > MAX_LINES else []
    raise UserError(
        "\n".join([f"{where}: {count}; nothing was written", *lines[:MAX_LINES], *more])
    )


def read_table(path: Path, report: Report | None = None) -> Iterator[tuple[int, dict[str, str]]]:
    """Read a table row by row; rows count as a spreadsheet shows them.

    Parameters
    ----------
    path : Path
        ``.csv`` (comma, semicolon or tab), ``.jsonl`` or ``.parquet``.
    report : callable, optional
        Told of rows that can't be read; they are left out. By default they are refused at the
        end.

    Yields
    ------
    (int, dict)
        Row number and cells: stripped text, empty where the table has nothing. The first data
        row is 2 in CSV and Parquet, and 1 in JSON lines, which have no header.

    Raises
    ------
    UserError
        No such table, or none that can be read.
    """
    readers = {".csv": _read_csv, ".jsonl": _read_jsonl, ".parquet": _read_parquet}
    if path.suffix not in readers or not path.is_file():
        raise UserError(f"{path} is no table; give a file {', '.join(readers)}")
    unread: list[Problem] = []
    empty = True
    try:
        for number, cells in readers[path.suffix](path, report or unread.append):
            empty = False
            yield number, {name.strip(): _text(value) for name, value in cells.items()}
    except UnicodeDecodeError:
        raise UserError(
            f"{path} is not UTF-8; save it as UTF-8 (in Excel: Save as, CSV UTF-8)"
        ) from None
    refuse_problems(path, unread)
    if empty:
        raise UserError(f"{path} has no row that can be read; write at least one")


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()


def _read_csv(path: Path, report: Report) -> Iterator[tuple[int, dict[str, str]]]:
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


def _read_parquet(path: Path, report: Report) -> Iterator[tuple[int, dict[str, Any]]]:
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

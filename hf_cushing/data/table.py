"""Read tables that people wrote (CSV, Excel, JSON lines, Parquet); every cell stays its text."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, time
from pathlib import Path
from typing import Any

from hf_cushing.data.workbook import is_blank, read_workbook
from hf_cushing.schema import UserError, counted

SUFFIXES = (".csv", ".tsv", ".xlsx", ".jsonl", ".parquet")
OTHER_TABLES = (".xls", ".xlsb", ".ods", ".numbers", ".mdb", ".sav", ".zip")
OTHER_REMEDY = "save a table as .xlsx or .csv, unpack an archive"

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

SECOND = " (2)"

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


def find_tables(raw: Path, *, below: bool = True) -> list[Path]:
    """Paths of the tables of a folder: those called metadata, or else all, at its top or below."""
    for files in (raw.glob("*"), raw.rglob("*"))[: 1 + below]:
        tables = sorted(
            path
            for path in files
            if path.suffix.lower() in SUFFIXES
            and not any(part.startswith((".", "~$")) for part in path.relative_to(raw).parts)
        )
        if tables:
            return [p for p in tables if p.stem.lower() == "metadata"] or tables
    return []


def find_table(raw: Path) -> Path:
    """Path of the one table of a clinic folder."""
    if not raw.is_dir():
        unpack = "unpack it and " if raw.suffix.lower() == ".zip" else ""
        raise UserError(f"{raw} is not a folder; {unpack}give the folder of photos and table")
    tables = find_tables(raw)
    if len(tables) == 1:
        return tables[0]
    if tables:
        names = ", ".join(str(path.relative_to(raw)) for path in tables)
        raise UserError(
            f"{raw} holds several tables ({names}); name one in {raw / 'clinic.yaml'} (table: "
            f"NAME), or let `hf-cushing prepare {raw} --propose` choose"
        )
    others = sorted(path.name for path in raw.iterdir() if path.suffix.lower() in OTHER_TABLES)
    there = f"; there is {', '.join(others)}: {OTHER_REMEDY}" if others else ""
    raise UserError(
        f"{raw} holds no table ({', '.join(TABLE_NAMES)}, or another of these kinds){there}; "
        "put one there with a row for each photo"
    )


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
        where = f"row {row}: " if row else ""  # no row: of the whole table
        return f"{where}{what}{own and f' ({own})'}{mark}{remedy}"
    shown = [f"{row} {own}".strip() for row, own in rows[:SHOWN_ROWS]]
    shown += ["…"] if len(rows) > SHOWN_ROWS else []
    return f"{what} in {counted(len(rows), 'row')} ({', '.join(shown)}){mark}{remedy}"


def read_table(
    path: Path,
    report: Report | None = None,
    *,
    sheet: str = "",
    encoding: str = "",
    as_written: bool = False,
    content: bytes | None = None,
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
    encoding : str
        Of CSV and JSON lines; by default UTF-8, or UTF-16 where the file begins so.
    as_written : bool
        Leave the words of `MISSING` as they are, for those who give them a meaning, and take
        two columns of one name: the second's name ends in `SECOND`.
    content : bytes, optional
        What a CSV file holds that is in memory; `path` is its name.

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
    if suffix not in SUFFIXES or (content is None and not path.is_file()):
        raise UserError(f"{path} is no table; give a file {', '.join(SUFFIXES)}")
    unread: list[Problem] = []
    told = report or unread.append
    empty = True
    try:
        if suffix == ".jsonl":
            rows = _read_jsonl(path, told, encoding)
        elif suffix == ".parquet":
            rows = _read_parquet(path)
        else:
            of_excel = suffix == ".xlsx"
            cells = read_workbook(path, sheet) if of_excel else _read_csv(path, encoding, content)
            rows = _under_header(path, cells, told, may_double=as_written)
        for number, row in rows:
            empty = False
            cells = {name.strip(): _text(value) for name, value in row.items()}
            yield number, cells if as_written else {n: present(text) for n, text in cells.items()}
    except (UnicodeError, LookupError):
        raise UserError(
            f"{path} is not {encoding or 'UTF-8'}; save it as UTF-8 (in Excel: Save as, CSV "
            f"UTF-8), or let `hf-cushing prepare {path.parent} --propose` find out what it is"
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
    return str(value).strip().strip(UNSEEN).strip()


def present(text: str) -> str:
    """Empty for a word that says that nothing is there.

    >>> present("N/A"), present("44")
    ('', '44')
    """
    return "" if plain(text) in MISSING else text


def _under_header(
    path: Path,
    records: Iterator[tuple[int, Sequence[object]]],
    report: Report,
    *,
    may_double: bool,
) -> Iterator[tuple[int, dict[str, object]]]:
    """Name the cells of each record by the first one, without what is empty."""
    header: list[str] = []
    for number, record in records:
        cells = list(record)
        while len(cells) > len(header) and is_blank(cells[-1]):
            cells.pop()
        if not header:
            header = [_text(cell) for cell in cells]
            doubled = [name for name, n in Counter(header).items() if name and n > 1]
            if doubled and not may_double:
                raise UserError(f"{path}: column {', '.join(doubled)} stands twice; delete one")
            header = [name + SECOND * (name in doubled and name in header[:place])
                      for place, name in enumerate(header)]  # fmt: skip
        elif len(cells) == len(header):
            if not all(map(is_blank, cells)):
                named = zip(header, cells, strict=True)
                yield number, {name: cell for name, cell in named if name}
        elif cells:
            text = f"{len(cells)} cells instead of {len(header)}"
            report((number, f"{text}; put quotation marks round a cell with a comma"))


def encoding_of(path: Path) -> str:
    """UTF-16 or UTF-8, by how the file begins."""
    with open(path, "rb") as file:
        return _encoding(file.read(2))


def _encoding(data: bytes) -> str:
    starts = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    return "utf-16" if data.startswith(starts) else "utf-8-sig"


def _read_csv(path: Path, encoding: str, content: bytes | None) -> Iterator[tuple[int, list[str]]]:
    """Cells of each record; what Excel writes first to name the separator is no record."""
    data = path.read_bytes() if content is None else content
    encoding = encoding or _encoding(data)
    with io.TextIOWrapper(io.BytesIO(data), encoding=encoding, newline="") as file:
        first = file.readline()
        named = re.fullmatch(r"sep=(.)\s*", first, re.IGNORECASE)
        if not named:
            file.seek(0)
        delimiter = named[1] if named else max(",;\t", key=first.count)
        try:
            yield from enumerate(csv.reader(file, delimiter=delimiter, strict=True), start=1)
        except csv.Error as error:
            raise UserError(f"{path}: {error}; close the quotation mark or save it again") from None


def _read_jsonl(path: Path, report: Report, encoding: str) -> Iterator[tuple[int, dict[str, Any]]]:
    with open(path, encoding=encoding or encoding_of(path)) as file:
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

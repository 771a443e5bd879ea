"""Read and check tables of dated visits: every problem of every row, in one report."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path

from hf_cushing.data.row_checks import repeats
from hf_cushing.data.table import Problem, Report, read_table, refuse_problems
from hf_cushing.schema import SEX_SPELLINGS, UserError

ISO = re.compile(r"(\d{4}-\d{2}-\d{2})([T ][\d:.]+Z?)?")

STABLE_WORDS = dict.fromkeys(
    ("", "no", "n", "false", "0", "0.0", "na", "n/a", "<na>", "nan", "none"), ""
) | dict.fromkeys(("yes", "y", "true", "1", "1.0"), "stable")
"""Spellings of the column `stable`, small letters, those of tables written by pandas too."""

PERIOD = "period:"
"""Starts the name of a stable period in the column `stable`, where a patient has several."""

OF_FILES = ("file_name", "patient_id", "date")
OF_DATASET = ("photo_id", "date")
"""Columns that a table needs; the first names the photo."""

OPTIONAL = ("patient_id", "sex", "treatment_date", "stable", "visit")

Rows = Sequence[tuple[int, dict[str, str]]]
"""Number and cells of each row."""


@dataclass(frozen=True, kw_only=True)
class DatedPhoto:
    """One photo of a dated visit.

    Attributes
    ----------
    row : int
        Line of the table it comes from; for a dataset the photo's number, counted from 1.
    photo : str
        ``photo_id``, or ``file_name`` where the table names files.
    patient_id, sex, visit : str
        Words; sex as in `SEXES`, visit empty where the table says nothing.
    day : date
    treatment_date : date or None
    stable : str
        Name of a period: visits of a patient in the same one are known to be stable; empty for
        none.
    """

    row: int
    photo: str
    patient_id: str
    day: date
    treatment_date: date | None = None
    stable: str = ""
    sex: str = "unknown"
    visit: str = ""


def read_rows(path: Path, needed: Sequence[str]) -> tuple[Rows, list[Problem]]:
    """Rows of a table (CSV, JSON lines or Parquet), and problems of rows that can't be read.

    Raises
    ------
    UserError
        No such table, or one without a column of `needed`.
    """
    problems: list[Problem] = []
    rows = list(read_table(path, problems.append))
    columns = list(dict.fromkeys(name for _, cells in rows for name in cells))
    missing = [name for name in needed if name not in columns]
    if missing:
        raise UserError(
            f"{path}: missing column {', '.join(missing)} (found: {', '.join(columns)}); it needs "
            f"{', '.join(needed)} and may have {', '.join(n for n in OPTIONAL if n not in needed)}"
        )
    return rows, problems


def dated_photos(
    where: str | Path, rows: Rows, needed: Sequence[str], problems: Sequence[Problem] = ()
) -> list[DatedPhoto]:
    """Turn cells into photos.

    Parameters
    ----------
    where : str or Path
        What the rows are of, for the message.
    needed : sequence of str
        Columns without which a row is refused; the first names the photo.
    problems : sequence of Problem
        Further ones.

    Raises
    ------
    UserError
        With one line for every problem of every row.
    """
    problems = list(problems)
    photos = [
        photo
        for number, cells in rows
        if (photo := _photo(number, cells, needed, problems.append)) is not None
    ]
    refuse_problems(where, [*problems, *_contradictions(photos)])
    return photos


def read_visits(path: Path) -> list[DatedPhoto]:
    """Read a table of dated photo files, or refuse it; see `read_rows` and `dated_photos`."""
    rows, problems = read_rows(path, OF_FILES)
    return dated_photos(path, rows, OF_FILES, problems)


def _photo(
    row: int, cells: dict[str, str], needed: Sequence[str], report: Report
) -> DatedPhoto | None:
    empty = [name for name in needed if not cells.get(name)]
    for name in empty:
        report((row, f"{name} is empty; fill it in, or delete the row"))
    day, treatment = (_date(row, name, cells, report) for name in ("date", "treatment_date"))
    sex = SEX_SPELLINGS.get((cells.get("sex") or "unknown").lower(), "")
    if not sex:
        report((row, f"sex {cells['sex']!r} is not known; write female, male or unknown"))
    if not day or empty:
        return None
    return DatedPhoto(
        row=row,
        photo=cells[needed[0]].replace("\\", "/"),
        patient_id=cells["patient_id"],
        day=day,
        treatment_date=treatment,
        stable=_stable(row, cells.get("stable", ""), report),
        sex=sex or "unknown",
        visit=cells.get("visit", ""),
    )


def _stable(row: int, text: str, report: Report) -> str:
    """The stable period; a word that isn't known might mean "not stable", so it is refused."""
    word = text.strip()
    name = word[len(PERIOD) :].strip() if word.lower().startswith(PERIOD) else ""
    if not name and word.lower() not in STABLE_WORDS:
        report(
            (row, f"stable {text!r} is not known; write yes, no, or {PERIOD}NAME for one of "
             "several stable periods")
        )  # fmt: skip
    return name or STABLE_WORDS.get(word.lower(), "")


def _date(row: int, name: str, cells: dict[str, str], report: Report) -> date | None:
    text = cells.get(name, "")
    if not text:
        return None
    written = ISO.fullmatch(text)
    if not written:
        report((row, f"{name} {text!r} is not written YYYY-MM-DD; write all dates that way"))
        return None
    try:
        day = date.fromisoformat(written[1])
    except ValueError:
        report((row, f"{name} {text!r} is no day of the calendar; correct it"))
        return None
    if day > date.today():
        report((row, f"{name} {text!r} lies in the future; correct it"))
    return day


def _contradictions(photos: Sequence[DatedPhoto]) -> Iterator[Problem]:
    """Photos twice, and what can't be true of one patient or one visit."""
    photos = sorted(photos, key=lambda photo: (photo.patient_id, photo.day, photo.row))
    for photo, first in repeats(photos, "photo"):
        yield photo.row, f"the photo {photo.photo} stands in row {first.row} too; delete one"
    named = [photo for photo in photos if photo.visit and not ISO.fullmatch(photo.visit)]
    for rows, same, columns, rule in (
        (photos, ("patient_id",), ("sex", "treatment_date"), "a patient has one"),
        (photos, ("patient_id", "day"), ("stable", "visit"), "photos of one day are one visit"),
        (named, ("patient_id", "visit"), ("day",), "a visit has one date"),
    ):
        for photo, first in repeats(rows, *same):
            for column in columns:
                mine, other = getattr(photo, column) or "empty", getattr(first, column) or "empty"
                if mine != other:
                    name = "date" if column == "day" else column
                    text = f"{name} is {mine}, but {other} in row {first.row}: {rule}"
                    yield photo.row, f"patient {photo.patient_id}: {text}; write the same"
    for before, after in pairwise(photo for photo in named if photo.visit.isdecimal()):
        if before.patient_id == after.patient_id and int(after.visit) < int(before.visit):
            yield (
                after.row,
                f"patient {after.patient_id}: dates are out of order: visit {after.visit} is of "
                f"{after.day}, visit {before.visit} of {before.day} (row {before.row}); correct "
                "one of them",
            )
    stable = [photo for photo in photos if photo.stable and photo.treatment_date]
    for photo, first in repeats(stable, "patient_id", "stable"):
        if first.day <= photo.treatment_date < photo.day:
            yield (
                photo.row,
                f"patient {photo.patient_id}: visits of {first.day} and {photo.day} are marked as "
                f"stable together ('{photo.stable}'), but treatment began on "
                f"{photo.treatment_date} between them; name the two periods apart, as "
                "period:before and period:after",
            )

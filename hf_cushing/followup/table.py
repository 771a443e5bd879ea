"""Read and check dated visits: every problem of every row, in one report."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path

from hf_cushing.data.table import Problem, Report, read_table, refuse_problems
from hf_cushing.schema import SEX_SPELLINGS, UserError

ISO = re.compile(r"(\d{4}-\d{2}-\d{2})([T ][\d:.]+Z?)?")

STABLE_WORDS = dict.fromkeys(
    ("", "no", "n", "false", "0", "0.0", "na", "n/a", "<na>", "nan", "none"), ""
) | dict.fromkeys(("yes", "y", "true", "1", "1.0"), "stable")
"""Spellings of the column `stable`, small letters, those of tables written by pandas too."""

PERIOD = "period:"
"""Starts the name of a stable period in the column `stable`, where a patient has several."""

OPTIONAL = ("patient_id", "sex", "treatment_date", "stable", "visit")


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
    treatment : date or None
    period : str
        Visits of a patient with the same period are known to be stable; empty for none.
    """

    row: int
    photo: str
    patient_id: str
    day: date
    treatment: date | None = None
    period: str = ""
    sex: str = "unknown"
    visit: str = ""


def read_visits(path: Path, key: str) -> list[DatedPhoto]:
    """Read a table of dated photos.

    Parameters
    ----------
    path : Path
        CSV, JSON lines or Parquet.
    key : str
        Column that names the photo: ``file_name``, which needs ``patient_id`` too, or
        ``photo_id``.

    Raises
    ------
    UserError
        With one line for every problem of every row.
    """
    problems: list[Problem] = []
    rows = list(read_table(path, problems.append))
    needed = (key, "date") + (("patient_id",) if key == "file_name" else ())
    columns = list(dict.fromkeys(name for _, cells in rows for name in cells))
    missing = [name for name in needed if name not in columns]
    if missing:
        raise UserError(
            f"{path}: missing column {', '.join(missing)} (found: {', '.join(columns)}); it needs "
            f"{', '.join(needed)} and may have {', '.join(n for n in OPTIONAL if n not in needed)}"
        )
    return checked(str(path), rows, key=key, needed=needed, problems=problems)


def checked(
    where: str,
    rows: Sequence[tuple[int, dict[str, str]]],
    *,
    key: str,
    needed: Sequence[str],
    problems: Sequence[Problem] = (),
) -> list[DatedPhoto]:
    """Turn cells into photos, or refuse with every problem of every row; see `read_visits`."""
    found = list(problems)
    mixed = any(ISO.fullmatch(cells.get("date", "")) for _, cells in rows)
    photos = [
        photo
        for number, cells in rows
        if (photo := _photo(number, cells, key, needed, mixed, found.append))
    ]
    refuse_problems(where, [*found, *problems_of(photos)])
    return photos


def problems_of(photos: Sequence[DatedPhoto]) -> Iterator[Problem]:
    """What contradicts itself: photos twice, and within patients, of those whose id is known."""
    yield from _twice(photos)
    known = [photo for photo in photos if photo.patient_id]
    for check in (_one_word, _one_period, _visit_order, _stable_through_treatment):
        yield from check(known)


def _photo(
    row: int,
    cells: dict[str, str],
    key: str,
    needed: Sequence[str],
    mixed: bool,
    report: Report,
) -> DatedPhoto | None:
    for name in needed:
        if not cells.get(name):
            report((row, f"{name} is empty; fill it in, or delete the row"))
    day = _date(row, "date", cells.get("date", ""), mixed, report)
    treatment = _date(row, "treatment_date", cells.get("treatment_date", ""), mixed, report)
    sex = SEX_SPELLINGS.get((cells.get("sex") or "unknown").lower(), "")
    if not sex:
        report((row, f"sex {cells['sex']!r} is not known; write female, male or unknown"))
    if not day or not cells.get(key):
        return None
    return DatedPhoto(
        row=row,
        photo=cells[key].replace("\\", "/") if key == "file_name" else cells[key],
        patient_id=cells.get("patient_id", ""),
        day=day,
        treatment=treatment,
        period=_period(row, cells.get("stable", ""), report),
        sex=sex or "unknown",
        visit=cells.get("visit", ""),
    )


def _period(row: int, text: str, report: Report) -> str:
    """The stable period; a word that isn't known might mean "not stable", so it is refused."""
    word = text.strip()
    name = word[len(PERIOD) :].strip() if word.lower().startswith(PERIOD) else ""
    if name:
        return name
    if word.lower() not in STABLE_WORDS:
        report(
            (row, f"stable {text!r} is not known; write yes, no, or {PERIOD}NAME for one of "
             "several stable periods")
        )  # fmt: skip
    return STABLE_WORDS.get(word.lower(), "")


def _date(row: int, name: str, text: str, mixed: bool, report: Report) -> date | None:
    if not text:
        return None
    written = ISO.fullmatch(text)
    if not written:
        other = "; other rows have that form: the formats are mixed" if mixed else ""
        report((row, f"{name} {text!r} is not written YYYY-MM-DD{other}; write it that way"))
        return None
    try:
        found = date.fromisoformat(written[1])
    except ValueError:
        report((row, f"{name} {text!r} is no day of the calendar; correct it"))
        return None
    if found > date.today():
        report((row, f"{name} {text!r} lies in the future; correct it"))
    return found


def by_patient(photos: Sequence[DatedPhoto]) -> dict[str, list[DatedPhoto]]:
    """Photos of each patient, in order of date; patients by name."""
    found = defaultdict(list)
    for photo in photos:
        found[photo.patient_id].append(photo)
    return {name: sorted(found[name], key=lambda p: (p.day, p.row)) for name in sorted(found)}


def _twice(photos: Sequence[DatedPhoto]) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for photo in photos:
        seen = first.setdefault(photo.photo, photo.row)
        if seen != photo.row:
            yield photo.row, f"the photo {photo.photo} stands in row {seen} too; delete one"


def _one_word(photos: Sequence[DatedPhoto]) -> Iterator[Problem]:
    """Sex and date of treatment belong to the patient: one each."""
    for patient, own in by_patient(photos).items():
        for name, column in (("sex", "sex"), ("treatment", "treatment_date")):
            values = sorted({str(getattr(photo, name) or "empty") for photo in own})
            if len(values) > 1:
                yield (
                    min(photo.row for photo in own),
                    f"patient {patient} has several of {column} ({', '.join(values)}); write the "
                    "same in all rows of the patient",
                )


def _one_period(photos: Sequence[DatedPhoto]) -> Iterator[Problem]:
    """Photos of one day are one visit, with one name and in one stable period."""
    for visit in _visits(photos):
        for column, words in (
            ("stable", {photo.period for photo in visit}),
            ("visit", {photo.visit for photo in visit}),
        ):
            if len(words) > 1:
                yield (
                    visit[-1].row,
                    f"patient {visit[0].patient_id}, visit of {visit[0].day}: its photos differ in "
                    f"the column {column}; photos of one day are one visit: write the same",
                )


def _visits(photos: Sequence[DatedPhoto]) -> list[list[DatedPhoto]]:
    found = defaultdict(list)
    for photo in photos:
        found[photo.patient_id, photo.day].append(photo)
    return list(found.values())


def _visit_order(photos: Sequence[DatedPhoto]) -> Iterator[Problem]:
    """Visit words or numbers against dates: one date each, and numbers rise with the dates."""
    for patient, own in by_patient(photos).items():
        named = [photo for photo in own if photo.visit and not ISO.fullmatch(photo.visit)]
        days = defaultdict(set)
        for photo in named:
            days[photo.visit].add(photo.day)
        for name, dates in days.items():
            if len(dates) > 1:
                row = max(photo.row for photo in named if photo.visit == name)
                text = ", ".join(map(str, sorted(dates)))
                yield row, f"patient {patient}: visit {name} has several dates ({text}); correct it"
        yield from _falling(patient, named)


def _falling(patient: str, named: Sequence[DatedPhoto]) -> Iterator[Problem]:
    if not all(photo.visit.isdecimal() for photo in named):
        return
    for before, after in pairwise(named):
        if int(after.visit) < int(before.visit):
            yield (
                after.row,
                f"patient {patient}: dates are out of order: visit {after.visit} is of {after.day},"
                f" visit {before.visit} of {before.day} (row {before.row}); correct one of them",
            )


def _stable_through_treatment(photos: Sequence[DatedPhoto]) -> Iterator[Problem]:
    """A stable period can't hold visits before and after the treatment began."""
    for patient, own in by_patient(photos).items():
        for period in {photo.period for photo in own if photo.period and photo.treatment}:
            held = [photo for photo in own if photo.period == period]
            if held[0].day <= held[0].treatment < held[-1].day:
                yield (
                    held[-1].row,
                    f"patient {patient}: visits of {held[0].day} and {held[-1].day} are marked as "
                    f"stable together ('{period}'), but treatment began on {held[0].treatment} "
                    "between them; name the two periods apart, as period:before and period:after",
                )

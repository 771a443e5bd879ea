"""Checks of a clinic table's rows: each for itself, and against each other."""

from __future__ import annotations

import difflib
import re
import shlex
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import PurePosixPath

from hf_cushing.data.clinic_file import LEAVE_OUT, Reading
from hf_cushing.data.groups import alike_ids
from hf_cushing.data.table import Problem, Report, group_problems, plain
from hf_cushing.data.vocabulary import column_of, meaning
from hf_cushing.schema import (
    CONTROL,
    KNOWN_LABELS,
    LABEL_PATTERN,
    NOT_A_LABEL,
    NUMBER_COLUMNS,
    SEX_SPELLINGS,
    TEXT_COLUMNS,
    VIEWS,
    FacePhoto,
)

NUMBER_RANGES = {"age": (0.0, 120.0), "bmi": (8.0, 120.0), "severity": (0.0, 10.0)}

TIME = r"(?:[ T]\d{1,2}:\d{2}\S*)?"
DAY_FIRST = re.compile(rf"(\d{{1,2}})\.\s?(\d{{1,2}})\.\s?(\d{{4}}|\d\d){TIME}")
YEAR_FIRST = re.compile(rf"(\d{{4}})[-/.年](\d{{1,2}})[-/.月](\d{{1,2}})日?{TIME}")

ANY_DATE = re.compile(r"\b(\d{4}-\d{1,2}-\d{1,2}|\d{1,2}[./]\d{1,2}[./]\d{2,4})\b")

EXCEL_DAY = re.compile(r"[2-5]\d{4}")
"""A date as Excel counts it: days since 1899-12-30; these are of 1954 to 2064."""


def read_row(row: int, cells: dict[str, str], report: Report) -> FacePhoto:
    """Turn a row's cells into a `FacePhoto`; what is wrong with them is reported."""
    for name in ("file_name", "patient_id", "label"):
        if not cells.get(name):
            report((row, f"{name} is missing; fill it in"))
    file_name = cells.get("file_name", "").replace("\\", "/")
    sex = SEX_SPELLINGS.get(cells.get("sex", "").lower(), "")
    if not sex:
        likely = meaning("sex", cells.get("sex", ""))[0] or "female"
        say = f"say what it means: --map sex {shlex.quote(cells.get('sex', ''))}={likely}"
        what = f"sex '{cells['sex']}' is not known" if cells.get("sex") else "sex is missing"
        report((row, f"{what}; write female, male or unknown, or {say}"))
    view = cells.get("view", "").lower()
    if view and view not in VIEWS:
        report(
            (
                row,
                f"view '{view}' is not known; write {', '.join(VIEWS)} or nothing, or "
                f"--map view {shlex.quote(view)}=… says what it means",
            )
        )
    return FacePhoto(
        row=row,
        file_name=str(PurePosixPath(file_name)) if file_name else "",
        patient_id=cells.get("patient_id", ""),
        label=sys.intern(cells.get("label", "").lower()),
        sex=sex,
        **{name: _number(row, name, cells.get(name, ""), report) for name in NUMBER_COLUMNS},
        **{name: sys.intern(cells.get(name, "")) for name in TEXT_COLUMNS if name != "view"},
        view=view if view in VIEWS else "",
    )


def _number(row: int, name: str, text: str, report: Report) -> float | None:
    if not text:
        return None
    low, high = NUMBER_RANGES[name]
    try:
        value = float(re.sub(r"(?<=\d),(?=\d+$)", ".", text))
    except ValueError:
        value = float("nan")
    grade = name == "severity"
    if not low <= value <= high or (grade and not value.is_integer()):
        kind = "whole number" if grade else "number"
        what = f"{name} is not a {kind} from {low:g} to {high:g}; correct or empty it"
        report((row, what, f"'{text}'"))
        return None
    return value


def repeats(photos: Iterable[FacePhoto], *names: str) -> Iterator[tuple[FacePhoto, FacePhoto]]:
    """Each photo that is like an earlier one in the fields `names`, with the first like it."""
    first: dict[tuple[str, ...], FacePhoto] = {}
    for photo in photos:
        like = first.setdefault(tuple(getattr(photo, name) for name in names), photo)
        if like is not photo:
            yield photo, like


def repeated_files(photos: Sequence[FacePhoto], *, every: bool) -> Iterator[Problem]:
    """Rows of a file that an earlier row names; with `every` the first too, if they disagree."""
    for photo, first in repeats([photo for photo in photos if photo.file_name], "file_name"):
        text = "file_name stands in an earlier row too; keep one"
        yield photo.row, text, f"'{photo.file_name}' as row {first.row}"
        if every and photo.patient_id != first.patient_id:
            yield first.row, f"row {photo.row} gives the same file to another patient; keep one"


def contradictions(photos: Sequence[FacePhoto], *, every: bool) -> Iterator[Problem]:
    """Rows of one patient with another label or sex; with `every` all rows of that patient."""
    doubtful = set()
    for photo, first in repeats([photo for photo in photos if photo.patient_id], "patient_id"):
        for column in ("label", "sex"):
            mine, theirs = getattr(photo, column), getattr(first, column)
            if mine and theirs and mine != theirs:
                doubtful.add(photo.patient_id)
                text = f"{column} is another than in an earlier row of the same patient_id"
                own = f"'{mine}', row {first.row} '{theirs}'"
                yield photo.row, f"{text}; a patient has one {column}: correct one of the rows", own
    if every:
        for photo in photos:
            if photo.patient_id in doubtful:
                yield photo.row, "the rows of this patient_id have several labels or sexes"


def find_alike(photos: Sequence[FacePhoto]) -> Iterator[tuple[str, FacePhoto, FacePhoto]]:
    """Rows whose patient or pair id is an earlier one in another dress: column and both rows."""
    for name in ("patient_id", "pair_id"):
        for place, first in alike_ids([getattr(photo, name) for photo in photos]):
            yield name, photos[place], photos[first]


def say_alike(alike: Iterable[tuple[str, FacePhoto, FacePhoto]]) -> list[str]:
    """Name them by row only: an id may be a name."""
    problems = []
    for name, photo, first in alike:
        other = [c for c in ("label", "sex") if getattr(photo, c) != getattr(first, c)]
        what = {"patient_id": "person", "pair_id": "pair"}[name]
        but = f", but another {' and '.join(other)}" if other and name == "patient_id" else ""
        text = (
            f"{name} differs from an earlier row's only in zeros, capitals, spaces or the like"
            f"{but}; probably one {what}, so kept on one side of every split: write the id in one "
            "way"
        )
        problems.append((photo.row, text, f"as row {first.row}"))
    return group_problems(problems)


def wrong_labels(photos: Sequence[FacePhoto], labels: Sequence[str]) -> Iterator[Problem]:
    """Find label words outside the vocabulary, or that look like a slip of the pen."""
    counts = Counter(photo.label for photo in photos if photo.label)
    known = {label.lower() for label in labels or KNOWN_LABELS}
    wrong = {}
    for label, count in counts.items():
        word = shlex.quote(label)
        if label in known:
            continue
        near = [meaning("label", label)[0]]
        if not near[0] and not labels:
            others = known | {other for other, n in counts.items() if n > count}
            near = difflib.get_close_matches(label, sorted(others - {label}), n=1, cutoff=0.75)
        likely = near[0] if near and near[0] in known else ""
        say = f"say what it means: --map label {word}={likely or 'LABEL'}"
        if labels:
            wrong[label] = f"is not one of {', '.join(sorted(known))}; {say}"
        elif label in NOT_A_LABEL:
            remedy = NOT_A_LABEL[label]
            to = CONTROL if CONTROL in remedy else f"'{LEAVE_OUT}'"
            wrong[label] = f"names no disease; {remedy}: --map label {word}={to}"
        elif not LABEL_PATTERN.fullmatch(label):
            wrong[label] = f"is no single word of a-z, 0-9 and _; {say}"
        elif near and near[0]:
            every = ",".join(sorted({*counts} - {label})) + f",{label}"
            wrong[label] = (
                f"is not known; did you mean '{near[0]}'? --map label {word}={near[0]} says so; if "
                f"it is right as it is: --labels {every}"
            )
    for photo in photos:
        if photo.label in wrong:
            yield photo.row, f"label '{photo.label}' {wrong[photo.label]}"


def other_labels(photo: FacePhoto, rest: Mapping[str, str], reading: Reading) -> Iterator[Problem]:
    """Find further columns of the table that give a row another label."""
    for name, text in rest.items():
        if column_of(name) != ("label", True) and not plain(name).startswith("label"):
            continue
        word, sure = meaning("label", text)
        word = reading.values.get("label", {}).get(plain(text), word if sure else "")
        if word in KNOWN_LABELS and photo.label in KNOWN_LABELS and word != photo.label:
            remedy = "ask which is right: the column 'label' was taken"
            yield photo.row, f"column '{name}' gives another label; {remedy}", f"'{text}'"


def with_dates(photos: Sequence[FacePhoto]) -> list[FacePhoto]:
    """Write dates of visits as ``YYYY-MM-DD``; Excel's numbers of days only beside other dates.

    05/03/2024 stays as it is: it may be a day of March or of May.
    """
    visits = [_iso_date(photo.visit) for photo in photos]
    if any(YEAR_FIRST.fullmatch(visit) for visit in visits):
        start = date(1899, 12, 30)
        visits = [
            str(start + timedelta(int(visit))) if EXCEL_DAY.fullmatch(visit) else visit
            for visit in visits
        ]
    return [replace(p, visit=sys.intern(v)) for p, v in zip(photos, visits, strict=True)]


def _iso_date(text: str) -> str:
    if match := DAY_FIRST.fullmatch(text):
        day, month, year = (int(part) for part in match.groups())
        year += 0 if year > 99 else 2000 if year < 70 else 1900
    elif match := YEAR_FIRST.fullmatch(text):
        year, month, day = (int(part) for part in match.groups())
    else:
        return text
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return text

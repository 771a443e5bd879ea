"""Check the clinic's table: every problem of every row, in one report."""

from __future__ import annotations

import dataclasses
import difflib
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hf_cushing.data.options import MIN_FOLDS
from hf_cushing.data.table import find_table, read_table
from hf_cushing.schema import (
    CONTROL,
    KNOWN_LABELS,
    LABEL_PATTERN,
    NOT_A_LABEL,
    NUMBER_COLUMNS,
    OPTIONAL_COLUMNS,
    REQUIRED_COLUMNS,
    SEX_SPELLINGS,
    TEXT_COLUMNS,
    VIEWS,
    FacePhoto,
    UsageError,
    UserError,
)

NUMBER_RANGES = {"age": (0.0, 120.0), "bmi": (8.0, 120.0), "severity": (0.0, 10.0)}


MAX_LINES = 1000
"""Problems told one by one; the rest are counted."""

RESERVED = re.compile(r"image|photo_id|fold(_\d+)?|landmarks|face_box|split")
"""Columns of a dataset that `--keep-column` can't name."""


@dataclass(frozen=True)
class Intake:
    """What the table says, checked.

    Attributes
    ----------
    table : Path
    photos : list of FacePhoto
        One a row, in the table's order; their files may still be absent or broken.
    unlisted : list of str
        Files in the folder that no row names.
    dropped_columns : list of str
        Columns of the table that are not carried over.
    """

    table: Path
    photos: list[FacePhoto]
    unlisted: list[str]
    dropped_columns: list[str]

    @property
    def root(self) -> Path:
        """Folder of the photos."""
        return self.table.parent


def read_intake(
    raw: Path,
    *,
    labels: list[str] | None = None,
    keep_columns: tuple[str, ...] = (),
    public: bool = False,
) -> Intake:
    """Read and check the table of a clinic folder.

    Parameters
    ----------
    raw : Path
        Folder with the photos and ``metadata.csv``, ``.jsonl`` or ``.parquet``.
    labels : list of str, optional
        The labels that may occur; by default those that do.
    keep_columns : tuple of str
        Further columns to carry over, as text.
    public : bool
        It is a folder of public controls.

    Raises
    ------
    UserError
        With one line for every problem of every row.
    """
    table = find_table(raw)
    problems: list[tuple[int, str]] = []
    columns: dict[str, None] = {}
    photos = []
    for number, cells in read_table(table, problems.append):
        columns.update(dict.fromkeys(cells))
        photo = _read_row(number, cells, problems.append)
        extra = tuple(cells.get(name, "") for name in keep_columns)
        photos.append(dataclasses.replace(photo, extra=extra, public=public))
    _check_columns(table, list(columns), keep_columns)
    for check in (_check_duplicates, _check_patients):
        problems += check(photos)
    problems += _check_labels(photos, labels)
    if problems:
        lines = [f"  row {number}: {text}" for number, text in sorted(set(problems))]
        count = f"{len(lines)} problem" + ("s" if len(lines) > 1 else "")
        more = [f"  … and {len(lines) - MAX_LINES} more"] if len(lines) > MAX_LINES else []
        shown = [f"{table}: {count}; nothing was written", *lines[:MAX_LINES], *more]
        raise UserError("\n".join(shown))
    carried = (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS, *keep_columns)
    return Intake(
        table=table,
        photos=photos,
        unlisted=_unlisted(raw, table, photos),
        dropped_columns=[name for name in columns if name not in carried],
    )


def check_cohort(
    photos: Iterable[FacePhoto], *, folds: int, where: str, groups: dict[str, str] | None = None
) -> None:
    """Refuse a cohort with one class, without controls, or with fewer patients than folds.

    Patients who must stay together (`groups`: patient to group) count as one.
    """
    patients: dict[str, set[str]] = defaultdict(set)
    for photo in photos:
        patients[photo.label].add((groups or {}).get(photo.patient_id, photo.patient_id))
    if CONTROL not in patients:
        found = ", ".join(sorted(patients)) or "none"
        raise UserError(f"{where}: no photo is labelled '{CONTROL}' (found: {found}); add controls")
    if len(patients) < 2:
        raise UserError(f"{where}: one class only ('{CONTROL}'); add photos of patients")
    for label, members in sorted(patients.items()):
        if len(members) < folds:
            fewer = f" or use --folds {len(members)}" if len(members) >= MIN_FOLDS else ""
            raise UserError(
                f"{where}: label '{label}' has {len(members)} patients, fewer than {folds} folds; "
                f"add patients{fewer}"
            )


def _check_columns(table: Path, columns: list[str], keep_columns: tuple[str, ...]) -> None:
    missing = [name for name in REQUIRED_COLUMNS if name not in columns]
    if missing:
        raise UserError(
            f"{table}: missing column {', '.join(missing)} (found: {', '.join(columns)}); "
            "add it, or rename the one that holds it"
        )
    for name in keep_columns:
        if name not in columns:
            raise UsageError(f"--keep-column {name}: {table} has {', '.join(columns)}")
        if name in REQUIRED_COLUMNS + OPTIONAL_COLUMNS or RESERVED.fullmatch(name):
            raise UsageError(f"--keep-column {name}: a dataset has a column of that name anyway")


def _read_row(
    row: int, cells: dict[str, str], report: Callable[[tuple[int, str]], None]
) -> FacePhoto:
    for name in ("file_name", "patient_id", "label"):
        if not cells.get(name):
            report((row, f"{name} is empty; fill it in"))
    file_name = cells.get("file_name", "").replace("\\", "/")
    sex = SEX_SPELLINGS.get(cells.get("sex", "").lower(), "")
    if not sex:
        shown = cells.get("sex", "") or "(empty)"
        report((row, f"sex {shown!r} is not known; write female, male or unknown"))
    view = cells.get("view", "").lower()
    if view and view not in VIEWS:
        report((row, f"view '{view}' is not known; write {', '.join(VIEWS)} or nothing"))
    return FacePhoto(
        row=row,
        file_name=str(PurePosixPath(file_name)),
        patient_id=cells.get("patient_id", ""),
        label=sys.intern(cells.get("label", "").lower()),
        sex=sex,
        **{name: _number(row, name, cells.get(name, ""), report) for name in NUMBER_COLUMNS},
        **{name: sys.intern(cells.get(name, "")) for name in TEXT_COLUMNS if name != "view"},
        view=view if view in VIEWS else "",
    )


def _number(
    row: int, name: str, text: str, report: Callable[[tuple[int, str]], None]
) -> float | None:
    if not text:
        return None
    low, high = NUMBER_RANGES[name]
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    grade = name == "severity"
    if not low <= value <= high or (grade and not value.is_integer()):
        kind = "whole number" if grade else "number"
        report(
            (row, f"{name} '{text}' is not a {kind} from {low:g} to {high:g}; correct or empty it")
        )
        return None
    return value


def _check_duplicates(photos: list[FacePhoto]) -> list[tuple[int, str]]:
    first: dict[str, int] = {}
    problems = []
    for photo in photos:
        seen = first.setdefault(photo.file_name, photo.row)
        if photo.file_name and seen != photo.row:
            problems.append(
                (photo.row, f"file_name '{photo.file_name}' stands in row {seen} too; keep one")
            )
    return problems


def _check_patients(photos: list[FacePhoto]) -> list[tuple[int, str]]:
    problems = []
    for column in ("label", "sex"):
        first: dict[str, FacePhoto] = {}
        for photo in photos:
            seen = first.setdefault(photo.patient_id, photo)
            mine, theirs = getattr(photo, column), getattr(seen, column)
            if photo.patient_id and mine and theirs and mine != theirs:
                problems.append(
                    (
                        photo.row,
                        f"same patient_id as row {seen.row}, but {column} '{mine}' instead of "
                        f"'{theirs}'; a patient has one {column}: correct one of the rows",
                    )
                )
    return problems


def _check_labels(photos: list[FacePhoto], labels: list[str] | None) -> list[tuple[int, str]]:
    """Find label words outside the vocabulary, or that look like a slip of the pen."""
    counts = Counter(photo.label for photo in photos if photo.label)
    known = {label.lower() for label in labels or KNOWN_LABELS}
    wrong = {}
    for label, count in counts.items():
        if labels and label not in known:
            wrong[label] = f"is not one of {', '.join(sorted(known))}"
        elif not labels and label in NOT_A_LABEL:
            wrong[label] = f"is not the name of a disease: {NOT_A_LABEL[label]}"
        elif not LABEL_PATTERN.fullmatch(label):
            wrong[label] = "is not a word of letters, digits and _, beginning with a letter"
        elif label not in known:
            others = known | {other for other, n in counts.items() if n > count}
            near = difflib.get_close_matches(label, sorted(others - {label}), n=1, cutoff=0.75)
            if near:
                wrong[label] = f"is not known; did you mean '{near[0]}'?"
    remedy = "correct it, or name all labels with --labels"
    return [
        (p.row, f"label '{p.label}' {wrong[p.label]} ({remedy})")
        for p in photos
        if p.label in wrong
    ]


def _unlisted(raw: Path, table: Path, photos: list[FacePhoto]) -> list[str]:
    listed = {photo.file_name for photo in photos}
    files = (p for p in raw.rglob("*") if p.is_file() and p != table)
    names = (p.relative_to(raw) for p in files)
    visible = (n.as_posix() for n in names if not any(part.startswith(".") for part in n.parts))
    return sorted(name for name in visible if name not in listed)

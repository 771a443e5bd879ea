"""Intake of a clinic folder: its table checked in one report, its files found and hashed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from hf_cushing.data.clinic_file import CLINIC_FILE, LEAVE_OUT, Reading, read_clinic_file
from hf_cushing.data.file_names import FolderFiles
from hf_cushing.data.options import Progress
from hf_cushing.data.row_checks import (
    contradictions,
    find_alike,
    other_labels,
    read_row,
    repeated_files,
    repeats,
    say_alike,
    with_dates,
    wrong_labels,
)
from hf_cushing.data.table import (
    Problem,
    find_table,
    group_problems,
    read_table,
    refuse_problems,
)
from hf_cushing.faces.photo import PhotoError
from hf_cushing.files import sha256_file
from hf_cushing.schema import (
    OPTIONAL_COLUMNS,
    REQUIRED_COLUMNS,
    FacePhoto,
    UsageError,
)

NO_BYTES = hashlib.sha256(b"").hexdigest()[:16]
"""`photo_id` of an empty file."""

RESERVED = re.compile(r"image|photo_id|fold(_\d+)?|landmarks|face_box|context(_box|_share)?|split")
"""Columns of a dataset that `--keep-column` can't name."""


ADVICE = (
    "The table can stay as it is: --column, --map, or a clinic.yaml (`hf-cushing prepare RAW "
    "--propose` writes one) say how to read it; --on-bad-row reject leaves such rows out"
)

HEADER = 0
"""Stands for a row where a problem is one of the whole table."""

BadRow = Literal["reject", "fail"]


@dataclass(frozen=True)
class LeftOut:
    """A row that is not used, as the account tells it.

    Attributes
    ----------
    row : int
    file_name : str
        Empty in a row that can't be read.
    reason : str
        ``left_out`` where a person said so, ``bad_row`` where the row is at fault.
    message : str
    """

    row: int
    file_name: str
    reason: str
    message: str


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
    alike : list of (int, int)
        Rows whose patient or pair ids differ only in their dress: they stay on one side.
    warnings : list of str
    left_out : list of LeftOut
    near : dict
        For the row of a file that is absent: what is there instead.
    reading : Reading
        How the table was read.
    folder : Path, optional
        Of the photos; by default the table's.
    """

    table: Path
    photos: list[FacePhoto]
    unlisted: list[str]
    dropped_columns: list[str]
    alike: list[tuple[int, int]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    near: dict[int, str] = field(default_factory=dict)
    reading: Reading = field(default_factory=Reading)
    folder: Path | None = None

    @property
    def root(self) -> Path:
        """Folder of the photos."""
        return self.folder or self.table.parent


def read_intake(
    raw: Path,
    *,
    labels: Sequence[str] = (),
    keep_columns: tuple[str, ...] = (),
    public: bool = False,
    reading: Reading | None = None,
    on_bad_row: BadRow = "fail",
) -> Intake:
    """Read and check the table of a clinic folder; its photos are not looked at yet.

    Parameters
    ----------
    raw : Path
        Folder with the photos and one table, such as ``metadata.csv``.
    labels : sequence of str
        The labels that may occur; by default those that do.
    keep_columns : tuple of str
        Further columns to carry over, as text.
    public : bool
        It is a folder of public controls.
    reading : Reading, optional
        How to read the table; by default as its ``clinic.yaml`` says.
    on_bad_row : {"fail", "reject"}
        ``reject``: rows at fault are left out, and where rows contradict each other, all of them.

    Raises
    ------
    UserError
        With one line for every kind of problem.
    """
    reading = read_clinic_file(raw) if reading is None else reading
    table = raw / reading.table if reading.table else find_table(raw)
    files = FolderFiles(raw, aside=(table, raw / CLINIC_FILE), base=table.parent)
    rows = _read_rows(table, reading, files, keep_columns)
    photos = with_dates([replace(photo, public=public) for photo in rows.photos])
    every = on_bad_row == "reject"
    problems = [
        *rows.problems,
        *repeated_files(photos, every=every),
        *contradictions(photos, every=every),
        *wrong_labels(photos, labels),
    ]
    named = {photo.file_name for photo in photos} | {row.file_name for row in rows.left_out}
    carried = (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS, *keep_columns)
    intake = Intake(
        table=table,
        photos=photos,
        unlisted=[name for name in files.names if name not in named],
        dropped_columns=[name for name in rows.columns if name not in carried],
        warnings=group_problems(rows.doubts),
        left_out=rows.left_out,
        reading=reading,
        folder=raw,
    )
    intake = settle_problems(intake, problems, on_bad_row)
    alike = list(find_alike(intake.photos))
    there = set(files.names)
    return replace(
        intake,
        alike=[(photo.row, first.row) for _, photo, first in alike],
        warnings=[*intake.warnings, *say_alike(alike)],
        near={
            photo.row: files.what_is_there(photo.file_name)
            for photo in intake.photos
            if photo.file_name not in there
        },
    )


@dataclass(frozen=True)
class _Rows:
    """The table's rows, and what is wrong with (`problems`) or odd about (`doubts`) them."""

    photos: list[FacePhoto] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    doubts: list[Problem] = field(default_factory=list)
    columns: dict[str, None] = field(default_factory=dict)


def _read_rows(
    table: Path, reading: Reading, files: FolderFiles, keep_columns: tuple[str, ...]
) -> _Rows:
    rows = _Rows()
    read = read_table(
        table,
        rows.problems.append,
        sheet=reading.sheet,
        encoding=reading.encoding,
        as_written=True,
    )
    sources: dict[tuple[str, ...], dict[str, str]] = {}
    for number, written in read:
        names = tuple(written)
        if names not in sources:
            sources[names] = reading.sources(names)
        cells = reading.translate(written, sources[names])
        rows.columns.update(dict.fromkeys(cells))
        if cells.get("file_name"):
            cells["file_name"] = files.find(cells["file_name"]) or cells["file_name"]
        to_leave = [name for name, text in cells.items() if text == LEAVE_OUT]
        if to_leave:
            why = f"its {to_leave[0]} is one to leave out"
            rows.left_out.append(LeftOut(number, cells.get("file_name", ""), "left_out", why))
            continue
        photo = read_row(number, cells, rows.problems.append)
        rows.photos.append(replace(photo, extra=tuple(cells.get(n, "") for n in keep_columns)))
        rest = {name: text for name, text in cells.items() if name not in sources[names]}
        rows.doubts.extend(other_labels(photo, rest, reading))
    _check_columns(rows, [name for names in sources for name in names], reading)
    _check_kept_columns(table, rows.columns, keep_columns)
    return rows


def settle_problems(intake: Intake, problems: Sequence[Problem], on_bad_row: BadRow) -> Intake:
    """Refuse the table for its problems, or leave their rows out.

    Raises
    ------
    UserError
    """
    if on_bad_row == "fail":
        refuse_problems(intake.table, problems, ADVICE)
        return intake
    refuse_problems(intake.table, [problem for problem in problems if problem[0] == HEADER])
    why: dict[int, str] = {}
    for row, text, *own in sorted(set(problems)):
        why.setdefault(row, text + (f" ({own[0]})" if own else ""))
    names = {photo.row: photo.file_name for photo in intake.photos}
    left = [LeftOut(row, names.get(row, ""), "bad_row", text) for row, text in why.items()]
    return replace(
        intake,
        photos=[photo for photo in intake.photos if photo.row not in why],
        left_out=[*intake.left_out, *left],
    )


def with_photo_ids(intake: Intake, progress: Progress) -> Intake:
    """Hash every file inside the folder; absent and outside ones keep an empty photo_id."""
    advance = progress("Reading files", len(intake.photos))

    def photo_id(photo: FacePhoto) -> str:
        advance(1)
        try:
            path = locate(intake.root, photo.file_name)
            return sha256_file(path)[:16] if path.is_file() else ""
        except (OSError, PhotoError):
            return ""

    with ThreadPoolExecutor() as pool:
        photo_ids = pool.map(photo_id, intake.photos)
        pairs = zip(intake.photos, photo_ids, strict=True)
        return replace(intake, photos=[replace(photo, photo_id=name) for photo, name in pairs])


def locate(root: Path, file_name: str) -> Path:
    """Path of a photo, which must lie inside `root` even if links are followed.

    Raises
    ------
    PhotoError
        ``outside``.
    """
    path = Path(root, file_name)
    if not path.resolve().is_relative_to(Path(root).resolve()):
        raise PhotoError("outside", "it lies outside the folder; put a copy into the folder")
    return path


def row_name(row: int, public: bool) -> str:
    """Name a row of the clinic's table, or of the table of public controls."""
    return f"controls {row}" if public else str(row)


def check_copies(intake: Intake, on_bad_row: BadRow = "fail") -> Intake:
    """Refuse the same bytes under two patients, or leave all their rows out."""
    photos = [photo for photo in intake.photos if photo.photo_id not in ("", NO_BYTES)]
    text = (
        "the same photo as in an earlier row, under another patient_id; give both rows one "
        "patient_id, or delete the wrong row"
    )
    problems: list[Problem] = []
    for photo, first in repeats(photos, "photo_id"):
        if photo.patient_id != first.patient_id:
            problems.append((photo.row, text, f"as row {first.row}"))
            if on_bad_row == "reject":
                problems.append((first.row, f"row {photo.row} gives its photo to another patient"))
    return settle_problems(intake, problems, on_bad_row)


def _check_columns(rows: _Rows, names: Sequence[str], reading: Reading) -> None:
    """Report columns that are absent, once, instead of every row's empty cell."""
    found = ", ".join(dict.fromkeys(names))
    absent = [name for name in REQUIRED_COLUMNS if name not in rows.columns]
    rows.problems[:] = [
        problem
        for problem in rows.problems
        if not any(problem[1].startswith(f"{name} is missing") for name in absent)
    ]
    unknown = [n for n in reading.columns if n not in rows.columns and n not in REQUIRED_COLUMNS]
    if absent or unknown:
        missing = [f"{n} ('{reading.columns[n]}')" if n in reading.columns else n
                   for n in [*absent, *unknown]]  # fmt: skip
        remedy = f"say which it is: --column {[*absent, *unknown][0]}='…'"
        text = f"missing column {', '.join(missing)} (found: {found}); {remedy}"
        rows.problems.append((HEADER, text))


def _check_kept_columns(table: Path, columns: Sequence[str], keep_columns: tuple[str, ...]) -> None:
    for name in keep_columns:
        if name not in columns:
            raise UsageError(f"--keep-column {name}: {table} has {', '.join(columns)}")
        if name in REQUIRED_COLUMNS + OPTIONAL_COLUMNS or RESERVED.fullmatch(name):
            raise UsageError(f"--keep-column {name}: a dataset has a column of that name anyway")

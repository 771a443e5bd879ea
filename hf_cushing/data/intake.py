"""Intake of a clinic folder: its table checked in one report, its files found and hashed."""

from __future__ import annotations

import difflib
import hashlib
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from hf_cushing.data.groups import alike_ids
from hf_cushing.data.options import Progress
from hf_cushing.data.table import (
    Problem,
    Report,
    find_table,
    group_problems,
    read_table,
    refuse_problems,
)
from hf_cushing.faces.photo import PhotoError
from hf_cushing.files import sha256_file
from hf_cushing.schema import (
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

NO_BYTES = hashlib.sha256(b"").hexdigest()[:16]
"""`photo_id` of an empty file."""

RESERVED = re.compile(r"image|photo_id|fold(_\d+)?|landmarks|face_box|context(_box|_share)?|split")
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
    alike : list of (int, int)
        Rows whose patient or pair ids differ only in their dress: they stay on one side.
    warnings : list of str
    """

    table: Path
    photos: list[FacePhoto]
    unlisted: list[str]
    dropped_columns: list[str]
    alike: list[tuple[int, int]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def root(self) -> Path:
        """Folder of the photos."""
        return self.table.parent


def read_intake(
    raw: Path,
    *,
    labels: Sequence[str] = (),
    keep_columns: tuple[str, ...] = (),
    public: bool = False,
) -> Intake:
    """Read and check the table of a clinic folder; its photos are not looked at yet.

    Parameters
    ----------
    raw : Path
        Folder with the photos and ``metadata.csv``, ``.jsonl`` or ``.parquet``.
    labels : sequence of str
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
    problems: list[Problem] = []
    columns: dict[str, None] = {}
    photos = []
    for number, cells in read_table(table, problems.append):
        columns.update(dict.fromkeys(cells))
        photo = _read_row(number, cells, problems.append)
        extra = tuple(cells.get(name, "") for name in keep_columns)
        photos.append(replace(photo, extra=extra, public=public))
    _check_columns(table, list(columns), keep_columns)
    found = (*_repeated_files(photos), *_contradictions(photos), *_wrong_labels(photos, labels))
    refuse_problems(table, [*problems, *found])
    alike = list(_alike(photos))
    carried = (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS, *keep_columns)
    return Intake(
        table=table,
        photos=photos,
        unlisted=_unlisted(raw, table, photos),
        dropped_columns=[name for name in columns if name not in carried],
        alike=[(photo.row, first.row) for _, photo, first in alike],
        warnings=_say_alike(alike),
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


def check_copies(intake: Intake) -> None:
    """Refuse the same bytes under two patients."""
    photos = [photo for photo in intake.photos if photo.photo_id not in ("", NO_BYTES)]
    problems = [
        (photo.row, f"the same photo as row {first.row}, under another patient_id; give both rows "
         "one patient_id, or delete the wrong row")
        for photo, first in repeats(photos, "photo_id")
        if photo.patient_id != first.patient_id
    ]  # fmt: skip
    refuse_problems(intake.table, problems)


def repeats(photos: Iterable[FacePhoto], *names: str) -> Iterator[tuple[FacePhoto, FacePhoto]]:
    """Each photo that is like an earlier one in the fields `names`, with the first like it."""
    first: dict[tuple[str, ...], FacePhoto] = {}
    for photo in photos:
        like = first.setdefault(tuple(getattr(photo, name) for name in names), photo)
        if like is not photo:
            yield photo, like


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


def _read_row(row: int, cells: dict[str, str], report: Report) -> FacePhoto:
    for name in ("file_name", "patient_id", "label"):
        if not cells.get(name):
            report((row, f"{name} is missing; fill it in"))
    file_name = cells.get("file_name", "").replace("\\", "/")
    sex = SEX_SPELLINGS.get(cells.get("sex", "").lower(), "")
    if not sex:
        what = f"sex '{cells['sex']}' is not known" if cells.get("sex") else "sex is missing"
        report((row, f"{what}; write female, male or unknown"))
    view = cells.get("view", "").lower()
    if view and view not in VIEWS:
        report((row, f"view '{view}' is not known; write {', '.join(VIEWS)} or nothing"))
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
        value = float(text)
    except ValueError:
        value = float("nan")
    grade = name == "severity"
    if not low <= value <= high or (grade and not value.is_integer()):
        kind = "whole number" if grade else "number"
        what = f"{name} is not a {kind} from {low:g} to {high:g}; correct or empty it"
        report((row, what, f"'{text}'"))
        return None
    return value


def _repeated_files(photos: list[FacePhoto]) -> Iterator[Problem]:
    for photo, first in repeats(photos, "file_name"):
        if photo.file_name:
            text = "file_name stands in an earlier row too; keep one"
            yield photo.row, text, f"'{photo.file_name}' as row {first.row}"


def _contradictions(photos: list[FacePhoto]) -> Iterator[Problem]:
    """Rows of one patient with another label or sex."""
    for photo, first in repeats(photos, "patient_id"):
        for column in ("label", "sex"):
            mine, theirs = getattr(photo, column), getattr(first, column)
            if photo.patient_id and mine and theirs and mine != theirs:
                text = f"{column} is another than in an earlier row of the same patient_id"
                own = f"'{mine}', row {first.row} '{theirs}'"
                yield photo.row, f"{text}; a patient has one {column}: correct one of the rows", own


def _alike(photos: list[FacePhoto]) -> Iterator[tuple[str, FacePhoto, FacePhoto]]:
    """Rows whose patient or pair id is an earlier one in another dress: column and both rows."""
    for name in ("patient_id", "pair_id"):
        for place, first in alike_ids([getattr(photo, name) for photo in photos]):
            yield name, photos[place], photos[first]


def _say_alike(alike: Iterable[tuple[str, FacePhoto, FacePhoto]]) -> list[str]:
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


def _wrong_labels(photos: list[FacePhoto], labels: Sequence[str]) -> Iterator[Problem]:
    """Find label words outside the vocabulary, or that look like a slip of the pen."""
    counts = Counter(photo.label for photo in photos if photo.label)
    known = {label.lower() for label in labels or KNOWN_LABELS}
    wrong = {}
    for label, count in counts.items():
        if labels and label not in known:
            wrong[label] = f"is not one of {', '.join(sorted(known))}"
        elif not labels and label in NOT_A_LABEL:
            wrong[label] = f"names no disease; {NOT_A_LABEL[label]}"
        elif not LABEL_PATTERN.fullmatch(label):
            wrong[label] = "is not a word of letters, digits and _, beginning with a letter"
        elif label not in known:
            others = known | {other for other, n in counts.items() if n > count}
            near = difflib.get_close_matches(label, sorted(others - {label}), n=1, cutoff=0.75)
            if near:
                wrong[label] = f"is not known; did you mean '{near[0]}'?"
    remedy = "correct it, or name all labels with --labels"
    for photo in photos:
        if photo.label in wrong:
            yield photo.row, f"label '{photo.label}' {wrong[photo.label]} ({remedy})"


def _unlisted(raw: Path, table: Path, photos: list[FacePhoto]) -> list[str]:
    listed = {photo.file_name for photo in photos}
    files = (p for p in raw.rglob("*") if p.is_file() and p != table)
    names = (p.relative_to(raw) for p in files)
    visible = (n.as_posix() for n in names if not any(part.startswith(".") for part in n.parts))
    return sorted(name for name in visible if name not in listed)

"""The photos of a batch, and the table that may come with them: it states sex and date."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath

from hf_cushing.data.table import SUFFIXES, read_table
from hf_cushing.data.vocabulary import column_of, meaning
from hf_cushing.faces.uploads import MAX_PHOTOS, ArchiveError, Budget, is_archive
from hf_cushing.predict.batch import PhotoSource
from hf_cushing.schema import UserError

READ = (".csv", ".tsv")
"""A stranger's workbook isn't opened: it is an archive of its own."""

OTHERS = (".xls", ".ods", ".numbers", *SUFFIXES)

MAX_TABLE_BYTES = 1_000_000

SHOWN_ROWS = 8


class TableError(ArchiveError):
    """A table that is refused, and the photos with it.

    Attributes
    ----------
    rows : str
        Where; empty where it is the table as a whole.
    """

    def __init__(self, reason: str, message: str, rows: Sequence[int] = ()) -> None:
        more = ["…"] if len(rows) > SHOWN_ROWS else []
        self.rows = ", ".join([*map(str, rows[:SHOWN_ROWS]), *more])
        where = f"row {self.rows}: " if rows else ""
        super().__init__(f"table_{reason}", f"table: {where}{message}")


def gather(files: Sequence[PhotoSource]) -> list[PhotoSource]:
    """The photos of several files, with the sex and date that a table among them states.

    Archives are unpacked. A photo without a row stays as it is, a row without a photo is no fault.

    Raises
    ------
    ArchiveError
        Also for more than `MAX_PHOTOS` photos in all, and for a table that can't be read or names
        none of the photos.
    """
    photos: list[PhotoSource] = []
    tables: list[PhotoSource] = []
    budget = Budget()
    for file in files:
        packed = not _is_table(file) and isinstance(file.photo, bytes) and is_archive(file.photo)
        content = budget.unpack(file.photo) if packed else [(file.name, file.photo)]
        for name, data in content:
            entry = replace(file, name=name, photo=data)
            (tables if _is_table(entry) else photos).append(entry)
        if len(photos) > MAX_PHOTOS:
            raise ArchiveError("too_many", f"more than {MAX_PHOTOS} photos; send fewer at once")
    for table in tables:
        photos = _described(photos, table)
    return photos


def _is_table(file: PhotoSource) -> bool:
    return PurePosixPath(file.name).suffix.lower() in OTHERS


def _described(photos: Sequence[PhotoSource], table: PhotoSource) -> list[PhotoSource]:
    """The photos with what the table states of them.

    A row means the file of that path, seen from the table, or else the only one of that name.
    """
    here = PurePosixPath(table.name).parent
    names = Counter(PurePosixPath(photo.name).name for photo in photos)
    places = {
        name: place
        for place, photo in enumerate(photos)
        for name in (photo.name, PurePosixPath(photo.name).name)
        if name == photo.name or names[name] == 1
    }
    stated: dict[int, PhotoSource] = {}
    unknown, twice = [], []
    for number, cells in _rows(table):
        name, word = cells["file_name"].replace("\\", "/"), cells.get("sex", "")
        place = places.get(str(here / name), places.get(PurePosixPath(name).name))
        sex, sure = meaning("sex", word) if word else ("unknown", True)
        if not sure:
            unknown.append(number)
        elif place in stated:
            twice.append(number)
        elif place is not None:
            stated[place] = replace(photos[place], date=cells.get("visit", ""))
            if sex != "unknown":
                stated[place] = replace(stated[place], sex=sex)
    if unknown:
        raise TableError("sex", "sex is not known; write female, male or nothing", unknown)
    if twice:
        raise TableError("twice", "the photo has another row already; delete one", twice)
    if photos and not stated:
        raise TableError("names", "file_name names none of the photos; write it as they are named")
    return [stated.get(place, photo) for place, photo in enumerate(photos)]


def _rows(table: PhotoSource) -> list[tuple[int, dict[str, str]]]:
    """Number and cells of each row, by the names of our columns; those it understands."""
    path, data = Path(table.name), table.photo
    if path.suffix.lower() not in READ:
        raise TableError("kind", "save it as CSV (UTF-8)")
    rows, problems = [], []
    if isinstance(data, bytes) and len(data) <= MAX_TABLE_BYTES:
        with suppress(UserError):
            rows = list(read_table(path, problems.append, content=data))
    if problems:
        raise TableError("cells", "as many cells as the header has", [p[0] for p in problems])
    if not rows:
        raise TableError("unreadable", "save it as CSV (UTF-8), of less than 1 MB")
    known = {name: ours for name in rows[0][1] for ours, sure in [column_of(name)] if sure}
    named = [(n, {known[k]: text for k, text in row.items() if k in known}) for n, row in rows]
    if not all(row.get("file_name") for _, row in named):
        raise TableError("columns", "a column file_name must name each photo")
    return named

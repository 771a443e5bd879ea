"""Many photos: named one by one, in a folder, or by a table; their answers as rows, JSON, CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_cushing.data.table import SUFFIXES as TABLES
from hf_cushing.data.table import read_table, refuse_problems
from hf_cushing.faces.photo import PhotoError
from hf_cushing.predict.answer import Answer, Photo, Predictor
from hf_cushing.predict.decision import UNCERTAIN
from hf_cushing.run import Run
from hf_cushing.schema import PROBABILITY_PREFIX, RESEARCH_NOTICE, SEX_SPELLINGS, UserError

PHOTOS = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".avif", ".heic",
          ".heif")  # fmt: skip
"""Endings of the files that are taken from a folder."""

ELSEWHERE = "probability_at_prevalence"
"""Column of the CSV, where a prevalence was asked for."""

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Starts of a cell that a spreadsheet would compute."""


@dataclass(frozen=True)
class PhotoSource:
    """A photo to be answered for.

    Attributes
    ----------
    name : str
        As the user knows it.
    photo : Photo
    sex : str
        ``female``, ``male`` or ``unknown``.
    date : str
        As its table writes it; empty without.
    """

    name: str
    photo: Photo
    sex: str = "unknown"
    date: str = ""


@dataclass(frozen=True)
class Row:
    """A photo with its answer, or why there is none.

    Attributes
    ----------
    name : str
    answer : Answer or None
    reason, message : str
        Of a `PhotoError`; empty with an answer.
    date : str
        Of the source.
    """

    name: str
    answer: Answer | None
    reason: str = ""
    message: str = ""
    date: str = ""

    def to_json(self) -> dict[str, Any]:
        """The answer's fields, or the reason for none."""
        facts = {"photo": self.name, "error": self.reason, "message": self.message}
        facts |= {"date": self.date} if self.date else {}
        return facts | (self.answer.to_json() if self.answer else {})


def photo_sources(paths: Sequence[Path], sex: str = "unknown") -> list[PhotoSource]:
    """Photos named one by one, all photos of a folder, or those of a table.

    Parameters
    ----------
    paths : sequence of Path
        Photos, folders, and tables with the column ``file_name`` (relative to the table) and,
        if it is known, ``sex``.
    sex : str
        Of everybody whose sex no table states.

    Raises
    ------
    UserError
        A folder without photos, or a table's problems, row by row.
    """
    found: list[PhotoSource] = []
    for path in paths:
        if path.is_dir():
            found += _of_folder(path, sex)
        elif path.suffix.lower() in TABLES:
            found += _of_table(path, sex)
        else:
            found.append(PhotoSource(str(path), path, sex))
    return found


def _of_folder(folder: Path, sex: str) -> list[PhotoSource]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PHOTOS)
    if not paths:
        raise UserError(f"{folder} holds no photos ({', '.join(PHOTOS)}); give another folder")
    return [PhotoSource(str(path), path, sex) for path in paths]


def _of_table(table: Path, sex: str) -> list[PhotoSource]:
    problems: list[tuple[int, str]] = []
    found = []
    for number, cells in read_table(table, problems.append):
        name, word = cells.get("file_name", ""), cells.get("sex", "").lower()
        if not name:
            problems.append((number, "file_name is empty or the column is missing; fill it in"))
        if word and word not in SEX_SPELLINGS:
            problems.append((number, f"sex '{word}' is not known; write female, male or unknown"))
        found.append(PhotoSource(name, table.parent / name, SEX_SPELLINGS.get(word, sex)))
    if found and not any(source.name for source in found):
        raise UserError(
            f"{table} has no column file_name: predict reads our words (file_name, sex) alone; "
            "name the columns so, or give the folder of photos"
        )
    refuse_problems(str(table), problems)
    return found


def rows_of(predictor: Predictor, sources: Iterable[PhotoSource]) -> Iterator[Row]:
    """Answer for each photo; one that can't be used costs only itself.

    Photos are decoded one at a time, so that memory stays bounded.
    """
    sources = list(sources)
    photos, sexes = (source.photo for source in sources), (source.sex for source in sources)
    for source, answer in zip(sources, predictor.answers(photos, sexes), strict=True):
        if isinstance(answer, PhotoError):
            yield Row(source.name, None, answer.reason, str(answer), source.date)
        else:
            yield Row(source.name, answer, date=source.date)


def rows_to_csv(run: Run, rows: Sequence[Row]) -> str:
    """All numbers, one row a photo."""
    probabilities = {label: PROBABILITY_PREFIX + label for label in run.labels}
    thresholds = {label: f"threshold_{label}" for label in run.diseases}
    columns = ["photo", "date", "sex", "answer", *probabilities.values(), *thresholds.values(),
               "plausible", "warnings", "error", "message", "model", "notice"]  # fmt: skip
    if any(row.answer and row.answer.elsewhere is not None for row in rows):
        columns.append(ELSEWHERE)
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        photo, day = (f"'{x}" if x.startswith(FORMULA) else x for x in (row.name, row.date))
        cells = {"photo": photo, "date": day, "model": run.title, "notice": RESEARCH_NOTICE}
        cells |= {"error": row.reason, "message": row.message}
        if answer := row.answer:
            cells |= {"sex": answer.sex, "answer": answer.label}
            cells |= {name: f"{answer.probabilities[x]:.6f}" for x, name in probabilities.items()}
            cells |= {name: f"{answer.thresholds[x]:.6f}" for x, name in thresholds.items()}
            if answer.elsewhere is not None:
                cells[ELSEWHERE] = f"{answer.elsewhere:.6f}"
            cells["plausible"] = " ".join(answer.plausible or ())
            cells["warnings"] = "; ".join(remark.message for remark in answer.warnings)
        writer.writerow(cells)
    return text.getvalue()


def sentence(row: Row) -> str:
    """One line for a person: the answer first, then what it rests on."""
    answer = row.answer
    if answer is None:
        return f"{row.name}: not scored: {row.message}"
    numbers = ", ".join(
        f"{label} {answer.probabilities[label]:.3f} ({_point(answer, label)})"
        for label in answer.thresholds
    )
    if answer.label == UNCERTAIN and answer.band:
        low, high = answer.band
        numbers += f"; from {low:.3f} to {high:.3f} there is no answer for sex {answer.sex}"
    if answer.elsewhere is not None:
        numbers += f"; {answer.elsewhere:.3g} at the prevalence asked for"
    remarks = "".join(f"\n  {remark.message}" for remark in answer.warnings)
    return f"{row.name}: {answer.label}; {numbers}{remarks}"


def _point(answer: Answer, label: str) -> str:
    point, threshold = answer.operating_points[label], answer.thresholds[label]
    if point is None:
        return f"called from {threshold:g} on, no operating point was chosen"
    whose = "" if point.sex == "all" else f" for sex {point.sex}"
    return f"called from {threshold:.3f} on{whose}"

"""The photos of a follow-up: from a prepared dataset, or from a table of raw photographs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hf_cushing.data.chunks import read_crops
from hf_cushing.data.crops import align_intake
from hf_cushing.data.intake import Intake, with_photo_ids
from hf_cushing.data.loading import class_words
from hf_cushing.data.options import Progress
from hf_cushing.data.row_checks import repeats
from hf_cushing.data.table import refuse_problems
from hf_cushing.faces.align import CROP_SIDE
from hf_cushing.followup.visits import DatedCohort
from hf_cushing.followup.visits_table import (
    ISO,
    OF_DATASET,
    DatedPhoto,
    dated_photos,
    read_rows,
    read_visits,
)
from hf_cushing.heatmaps.store import key_of
from hf_cushing.models.score import check_labels
from hf_cushing.run import Run
from hf_cushing.schema import CONTROL, SPLITS, FacePhoto, UserError, counted, dataset_features

if TYPE_CHECKING:
    from datasets import Dataset

NO_DATES = (
    "has no dates of visits; give --visits TABLE with the columns photo_id and date, or prepare it "
    "with --keep-column date"
)


def read_dataset(run: Run, dataset: str, *, split: str, visits: Path | None) -> DatedCohort:
    """The dated photos of a prepared dataset.

    Parameters
    ----------
    run : Run
        The photos have the roles that it gave them.
    dataset : str
        Folder or Hub id.
    split : str
        One of `SPLITS`, or ``all``.
    visits : Path, optional
        Table with photo_id and date; without it the dataset's own column ``date``, or ``visit``
        where it holds dates.

    Raises
    ------
    UserError
        Any problem of the dates, each with its row; no dates; no landmarks; other labels than
        the run's.
    """
    photos = _of_split(run, dataset, split)
    cells = _cells(photos)
    if visits:
        dated, left_out = _dates_of_table(cells, visits, split)
    else:
        dated, left_out = _dates_of_dataset(cells, dataset, split)
    place = {name: number for number, name in enumerate(photos["photo_id"])}
    crops = photos.select([place[photo.photo] for photo in dated])
    return DatedCohort(dated, crops, left_out).in_order()


def _of_split(run: Run, dataset: str, split: str) -> Dataset:
    from datasets import concatenate_datasets

    data = run.load_faces(dataset)
    check_labels(run.classifier, data.labels, run.name)
    names = SPLITS if split == "all" else (split,)
    photos = concatenate_datasets([data.roles[name] for name in names])
    if "landmarks" not in photos.column_names:
        raise UserError(f"--dataset {dataset} has no landmarks; make it with `hf-cushing prepare`")
    return photos


def _cells(photos: Dataset) -> list[dict[str, str]]:
    """What the dataset says of each photo, as cells of a table of visits."""
    names = ("photo_id", "patient_id", "date", "treatment_date", "stable", "visit")
    columns = {name: photos[name][:] for name in names if name in photos.column_names}
    columns["sex"] = class_words(photos, "sex")
    rows = [
        {name: str(value or "").strip() for name, value in zip(columns, values, strict=True)}
        for values in zip(*columns.values(), strict=True)
    ]
    for row in rows:
        visit = row.get("visit", "")
        row.setdefault("date", visit if ISO.fullmatch(visit) else "")
    return rows


def _dates_of_dataset(
    cells: Sequence[dict[str, str]], dataset: str, split: str
) -> tuple[list[DatedPhoto], dict[str, str]]:
    """Dates that the dataset itself holds; patients without any are left out."""
    patients = {row["patient_id"] for row in cells}
    dated = {row["patient_id"] for row in cells if row["date"]}
    if not dated:
        raise UserError(f"--dataset {dataset} {NO_DATES}")
    rows = [(n, row) for n, row in enumerate(cells, 1) if row["patient_id"] in dated]
    photos = dated_photos(f"--dataset {dataset}, {split} photos", rows, OF_DATASET)
    undated = counted(len(patients - dated), "patient")
    return photos, {undated: "none of their photos has a date"} if patients - dated else {}


def _dates_of_table(
    cells: Sequence[dict[str, str]], table: Path, split: str
) -> tuple[list[DatedPhoto], dict[str, str]]:
    """Dates from a table by photo_id; who is in the photo comes from the dataset."""
    rows, problems = read_rows(table, OF_DATASET)
    of_photo = {own["photo_id"]: own for own in cells}
    known = []
    for number, row in rows:
        name, patient = row.get("photo_id", ""), row.get("patient_id", "")
        own = of_photo.get(name, {})
        if name and not own:
            problems.append(
                (number, f"photo {name} is not among the {split} photos of the dataset; correct "
                 "it, delete the row, or choose another --split")
            )  # fmt: skip
        elif own and patient not in ("", own["patient_id"]):
            problems.append(
                (number, f"photo {name} is of patient {own['patient_id']} in the dataset, not "
                 f"{patient}; correct it")
            )  # fmt: skip
        who = {key: own.get(key, "") for key in ("patient_id", "sex")}
        known.append((number, row | who))
    photos = dated_photos(table, known, OF_DATASET, problems)
    rest = len(cells) - len(photos)
    reason = f"{table.name} does not name them"
    return photos, {f"{rest} of {len(cells)} photos": reason} if rest else {}


def align_table(table: Path, work: Path, *, num_proc: int, progress: Progress) -> DatedCohort:
    """Align the photographs that a table of file_name, patient_id and date names.

    Parameters
    ----------
    table : Path
        The file names are relative to its folder.
    work : Path
        Folder for finished chunks; what is there is not done again.

    Raises
    ------
    UserError
        Any problem of the table; a file that is absent; one photo twice. A photo without a
        usable face is left out, and named.
    """
    dated = read_visits(table)
    faces = [FacePhoto(row=p.row, file_name=p.photo, patient_id=p.patient_id, label="", sex=p.sex)
             for p in dated]  # fmt: skip
    intake = with_photo_ids(Intake(table, faces, [], []), progress)
    _check_files(intake)
    folder = work / f"crops-{key_of([(p.file_name, p.photo_id) for p in intake.photos])}"
    folder.mkdir(parents=True, exist_ok=True)
    aligned = align_intake(
        intake,
        folder,
        side=CROP_SIDE,
        identity=False,
        context=False,
        num_proc=num_proc,
        progress=progress,
    )
    left_out = {
        f"row {photo.row}, {photo.file_name}": outcome.message
        for photo, outcome in zip(aligned.photos, aligned.outcomes, strict=True)
        if outcome.reason
    }
    crops = {index: crop for chunk in read_crops(aligned.chunks) for index, crop in chunk.items()}
    if not crops:
        name, reason = next(iter(left_out.items()))
        raise UserError(f"{table}: no photo could be used ({name}: {reason})")
    photos = [dated[index] for index in crops]
    return DatedCohort(photos, _dataset(crops, intake.photos), left_out).in_order()


def _check_files(intake: Intake) -> None:
    """Refuse rows without a file, and a file that stands in two rows."""
    problems = [
        (photo.row, f"{photo.file_name}: no such file that can be read in {intake.root}; add it or "
         "delete the row (names are relative to the table's folder)")
        for photo in intake.photos
        if not photo.photo_id
    ]  # fmt: skip
    there = [photo for photo in intake.photos if photo.photo_id]
    for photo, first in repeats(there, "photo_id"):
        other = "" if first.patient_id == photo.patient_id else ", under another patient_id"
        text = f"{photo.file_name} has the same content as row {first.row}{other}; delete one"
        problems.append((photo.row, text))
    refuse_problems(intake.table, problems)


def _dataset(crops: Mapping[int, dict], photos: Sequence[FacePhoto]) -> Dataset:
    """The aligned faces as `DatedCohort` has them."""
    from datasets import Dataset, Features

    features = dataset_features([CONTROL])
    columns = {
        name: [crop[name] for crop in crops.values()] for name in ("image", "landmarks", "face_box")
    }
    columns["photo_id"] = [photos[index].photo_id for index in crops]
    return Dataset.from_dict(columns, Features({name: features[name] for name in columns}))

"""The photos of a follow-up: from a prepared dataset, or from a table of raw photographs."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hf_cushing.data.cohort import check_copies, with_photo_ids
from hf_cushing.data.crops import make_crops, read_crops, read_outcomes
from hf_cushing.data.intake import Intake
from hf_cushing.data.loading import FaceData, class_words
from hf_cushing.data.options import Progress
from hf_cushing.data.table import refuse_problems
from hf_cushing.evaluation.command import load_as_run
from hf_cushing.files import read_json
from hf_cushing.followup.table import ISO, DatedPhoto, checked, problems_of, read_visits
from hf_cushing.schema import CROP_SIDE, SPLITS, FacePhoto, UsageError, UserError

if TYPE_CHECKING:
    from datasets import Dataset

ALL = "all"

NO_DATES = (
    "has no dates of visits; give --visits TABLE with the columns photo_id and date, or prepare it "
    "with --keep-column date"
)


@dataclass(frozen=True)
class Followed:
    """Photos with their visits, in one order.

    Attributes
    ----------
    crops : datasets.Dataset
        With the columns image, label, photo_id, landmarks and face_box.
    photos : list of DatedPhoto
    left_out : dict
        What is not followed, to the reason.
    labels : list of str
        Class names of the dataset; empty for a table, which needs none.
    """

    crops: Dataset
    photos: list[DatedPhoto]
    left_out: dict[str, str] = field(default_factory=dict)
    labels: list[str] = field(default_factory=list)


def key_of(facts: object) -> str:
    """Hash that names a piece of work: 16 hex digits."""
    return hashlib.sha256(json.dumps(facts, default=str).encode()).hexdigest()[:16]


def manifest_of(run: str) -> dict:
    """The manifest of a run folder; empty for a model without."""
    path = Path(run) / "manifest.json"
    return read_json(path) if path.is_file() else {}


def check_not_seen(crops: Dataset, run: str) -> None:
    """Refuse photos that trained the model: their scores say more of training than of the face."""
    seen = set(manifest_of(run).get("seen_photo_ids", ())) & set(crops["photo_id"][:])
    if seen:
        some = ", ".join(sorted(seen)[:3])
        raise UserError(
            f"{len(seen)} of the {len(crops)} photos were among the train or validation photos of "
            f"{run} (photo_id {some}{', …' if len(seen) > 3 else ''}); follow up patients that it "
            "has not seen: of a dataset its test photos (--split test), of a table other rows"
        )


def photos_of_dataset(run: str, dataset: str, *, split: str, visits: Path | None) -> Followed:
    """The dated photos of a prepared dataset.

    Parameters
    ----------
    run : str
        Run folder or Hub id: the roles of the photos are dealt as it had them.
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
        Any problem of the dates, each with its row; no dates; no landmarks.
    """
    if split not in (*SPLITS, ALL):
        raise UsageError(f"--split {split}: choose {', '.join((*SPLITS, ALL))}")
    data = load_as_run(run, dataset)
    photos = _of_split(data, split)
    if "landmarks" not in photos.column_names:
        raise UserError(f"--dataset {dataset} has no landmarks; make it with `hf-cushing prepare`")
    take = _from_columns if visits is None else _from_table
    dated, left_out = take(photos, dataset if visits is None else visits, split)
    place = {name: number for number, name in enumerate(photos["photo_id"][:])}
    dated = sorted(dated, key=lambda photo: (photo.patient_id, photo.day, photo.photo))
    crops = photos.select([place[photo.photo] for photo in dated])
    return Followed(crops, dated, left_out, data.labels)


def _of_split(data: FaceData, split: str) -> Dataset:
    from datasets import concatenate_datasets

    names = SPLITS if split == ALL else (split,)
    return concatenate_datasets([data.roles[name] for name in names])


def _from_columns(
    photos: Dataset, dataset: str, split: str
) -> tuple[list[DatedPhoto], dict[str, str]]:
    """Dates that the dataset itself holds; patients without any are left out."""
    names = ["photo_id", "patient_id", "date", "treatment_date", "stable", "visit"]
    columns = {n: photos[n][:] for n in names if n in photos.column_names}
    columns["sex"] = class_words(photos, "sex")
    if "date" not in columns:
        columns["date"] = [t if ISO.fullmatch(t or "") else "" for t in columns.get("visit", [])]
    if not any(columns["date"]):
        raise UserError(f"--dataset {dataset} {NO_DATES}")
    rows = [
        {name: str(value or "").strip() for name, value in zip(columns, cells, strict=True)}
        for cells in zip(*columns.values(), strict=True)
    ]
    followed = {cells["patient_id"] for cells in rows if cells["date"]}
    kept = [(n, cells) for n, cells in enumerate(rows, 1) if cells["patient_id"] in followed]
    dated = checked(
        f"--dataset {dataset}, {split} photos", kept, key="photo_id", needed=("photo_id", "date")
    )
    undated = {cells["patient_id"] for cells in rows} - followed
    reason = "none of their photos has a date"
    return dated, {f"{len(undated)} patients": reason} if undated else {}


def _from_table(
    photos: Dataset, table: Path, split: str
) -> tuple[list[DatedPhoto], dict[str, str]]:
    """Dates from a table by photo_id; who is in the photo comes from the dataset."""
    dated = read_visits(table, "photo_id")
    ids = photos["photo_id"][:]
    who = dict(zip(ids, zip(photos["patient_id"][:], class_words(photos, "sex"), strict=True),
                   strict=True))  # fmt: skip
    problems = [
        (p.row, f"photo {p.photo} is not among the {split} photos of the dataset; correct it, "
         "delete the row, or choose another --split")
        for p in dated
        if p.photo not in who
    ]  # fmt: skip
    problems += [
        (p.row, f"photo {p.photo} is of patient {who[p.photo][0]} in the dataset, not "
         f"{p.patient_id}; correct it")
        for p in dated
        if p.photo in who and p.patient_id not in ("", who[p.photo][0])
    ]  # fmt: skip
    refuse_problems(table, problems)
    dated = [replace(p, patient_id=who[p.photo][0], sex=who[p.photo][1]) for p in dated]
    refuse_problems(table, problems_of(dated))
    rest = len(set(ids) - {p.photo for p in dated})
    reason = f"{table.name} does not name them"
    return dated, {f"{rest} of {len(ids)} photos": reason} if rest else {}


def photos_of_table(table: Path, work: Path, *, num_proc: int, progress: Progress) -> Followed:
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
    dated = read_visits(table, "file_name")
    faces = [FacePhoto(row=p.row, file_name=p.photo, patient_id=p.patient_id, label="", sex=p.sex)
             for p in dated]  # fmt: skip
    intake = with_photo_ids(Intake(table, faces, [], []), progress)
    _check_files(intake)
    check_copies(intake)
    folder = work / f"crops-{key_of([(p.file_name, p.photo_id) for p in intake.photos])}"
    folder.mkdir(parents=True, exist_ok=True)
    chunks = make_crops(
        intake.root, list(enumerate(intake.photos)), work=folder, side=CROP_SIDE, identity=False,
        num_proc=num_proc, advance=progress("Finding and aligning faces", len(faces)),
    )  # fmt: skip
    left_out = {
        f"row {dated[o.index].row}, {dated[o.index].photo}": o.message
        for o in read_outcomes(chunks)
        if o.reason
    }
    crops, places = _crops(chunks, [photo.photo_id for photo in intake.photos])
    if not places:
        first = next(iter(left_out.items()))
        raise UserError(f"{table}: no photo could be used ({first[0]}: {first[1]})")
    order = sorted(range(len(places)), key=lambda i: (dated[places[i]].patient_id,
                                                      dated[places[i]].day, places[i]))  # fmt: skip
    return Followed(crops.select(order), [dated[places[i]] for i in order], left_out)


def _check_files(intake: Intake) -> None:
    problems = [
        (p.row, f"{p.file_name}: no such file that can be read in {os.fspath(intake.root)}; add it "
         "or delete the row (names are relative to the table's folder)")
        for p in intake.photos
        if not p.photo_id
    ]  # fmt: skip
    counts = Counter(p.photo_id for p in intake.photos if p.photo_id)
    first: dict[tuple[str, str], int] = {}
    for photo in intake.photos:
        seen = first.setdefault((photo.photo_id, photo.patient_id), photo.row)
        if counts[photo.photo_id] > 1 and seen != photo.row:
            text = f"{photo.file_name} has the same content as row {seen}; delete one"
            problems.append((photo.row, text))
    refuse_problems(intake.table, problems)


def _crops(chunks: Sequence[Path], photo_ids: Sequence[str]) -> tuple[Dataset, list[int]]:
    """The aligned faces as a dataset, and the place of each in the table."""
    from datasets import Array2D, Dataset, Features, Image, List, Value

    features = Features(
        {
            "image": Image(),
            "label": Value("int64"),
            "photo_id": Value("string"),
            "landmarks": Array2D(shape=(68, 2), dtype="float32"),
            "face_box": List(Value("int32"), length=4),
        }
    )
    crops = [crop for chunk in read_crops(list(chunks)) for crop in chunk]
    columns = {
        "image": [{"bytes": crop.image, "path": None} for crop in crops],
        "label": [0] * len(crops),
        "photo_id": [photo_ids[crop.index] for crop in crops],
        "landmarks": [[crop.landmarks[i : i + 2] for i in range(0, 136, 2)] for crop in crops],
        "face_box": [crop.face_box for crop in crops],
    }
    return Dataset.from_dict(columns, features=features), [crop.index for crop in crops]

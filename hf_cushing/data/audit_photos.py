"""What an audit looks at: a prepared dataset folder, or the fresh crops of a clinic folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hf_cushing.data.chunks import FILE_NAMES, read_crops, run_tasks
from hf_cushing.data.clinic_file import CLINIC_FILE
from hf_cushing.data.crops import Crops, align_intake
from hf_cushing.data.intake import read_intake, row_name, with_photo_ids
from hf_cushing.data.intake_report import read_intake_report
from hf_cushing.data.losses import count_losses
from hf_cushing.data.measure import (
    QUALITY_NAMES,
    Measures,
    describe_crops,
    measure_crop,
    measures_from,
)
from hf_cushing.data.options import Progress
from hf_cushing.data.parquet import shards_of
from hf_cushing.data.persons import Decisions
from hf_cushing.data.splits import Splits
from hf_cushing.data.table import TABLE_NAMES, find_tables
from hf_cushing.schema import CROP_SIDE, SPLITS, UserError

WORDS = ("photo_id", "patient_id", "label", "sex", "site", "source", "view")
NUMBERS = ("age", "bmi")
PICTURES = ("image", "landmarks", "context", "context_box")
"""What a photo is measured by; not held in memory."""


@dataclass(frozen=True)
class AuditPhotos:
    """A cohort's photos as columns, one row a photo.

    Attributes
    ----------
    columns : dict of numpy.ndarray
        Words, shape (n,): `WORDS`, split, row (of the table; empty if unknown); numbers:
        `NUMBERS` (NaN if unknown), face_side (pixels), and one int column of folds for each
        repeat. `split` is empty and there are no folds for a cohort that is not yet split.
    file : dict of numpy.ndarray
        The fields of `FileFacts`; empty where they were not recorded.
    measures : Measures
    pictures : callable
        From row numbers to the JPEGs of their crops.
    losses : list of dict
        Of `count_losses`; empty where it isn't known what was rejected.
    decisions : Decisions
        What a person decided of pairs of photos.
    """

    columns: dict[str, np.ndarray]
    file: dict[str, np.ndarray]
    measures: Measures
    pictures: Callable[[Sequence[int]], dict[int, bytes]]
    losses: list[dict[str, Any]] = field(default_factory=list)
    decisions: Decisions = ()

    def __len__(self) -> int:
        return len(self.columns["photo_id"])

    @property
    def identity_checked(self) -> bool:
        """Whether faces were described, so that persons can be told apart."""
        return len(self) > 0 and bool(np.isfinite(self.measures.descriptor).all())

    @property
    def folds(self) -> list[str]:
        """Names of the columns of folds."""
        return [name for name in self.columns if name.startswith("fold")]

    @property
    def quality(self) -> dict[str, np.ndarray]:
        """Columns of `Quality`, and the width of the face in the photo."""
        columns = dict(zip(QUALITY_NAMES, self.measures.quality.T, strict=True))
        return columns | {"face_side": self.columns["face_side"]}


def photos_of(
    source: Path, work: Path, *, identity: bool, num_proc: int, progress: Progress
) -> AuditPhotos:
    """Audit input from a prepared dataset or a clinic folder, with crops under `work`."""
    how = {"identity": identity, "num_proc": num_proc, "progress": progress}
    if any((source / "data").glob("*.parquet")):  # before tables: pairs.csv lies beside it
        return photos_of_folder(source, **how)
    if (source / CLINIC_FILE).is_file() or find_tables(source, below=False):
        return photos_of_clinic(source, work, **how)
    raise UserError(
        f"{source} is neither a prepared dataset (data/*.parquet) nor a clinic folder "
        f"({', '.join(TABLE_NAMES)}); give one of them"
    )


def photos_of_clinic(
    raw: Path, work: Path, *, identity: bool, num_proc: int, progress: Progress
) -> AuditPhotos:
    """Align and measure a clinic folder's photos, with crops under `work`, which must stay."""
    intake = with_photo_ids(read_intake(raw), progress)
    how = {"identity": identity, "num_proc": num_proc, "progress": progress}
    crops = align_intake(intake, work, side=CROP_SIDE, context=True, **how)
    if not crops.kept:
        raise UserError(f"{intake.table}: no photo could be used; run `hf-cushing prepare` for why")
    return photos_of_crops(crops)


def photos_of_crops(
    crops: Crops, splits: Splits | None = None, decisions: Decisions = ()
) -> AuditPhotos:
    """Audit input from crops that were just made; kept photos only."""
    places, photos = list(crops.kept), list(crops.kept.values())
    outcomes = [crops.outcomes[place] for place in places]
    values = {name: [getattr(p, name) for p in photos] for name in (*WORDS, *NUMBERS)}
    columns = _columns(values, [outcome.face_box for outcome in outcomes])
    columns["row"] = np.array([row_name(p.row, p.public) for p in photos], dtype=str)
    roles = [splits.columns_of(p.patient_id) if splits else {"split": ""} for p in photos]
    columns |= {name: np.array([role[name] for role in roles]) for name in roles[0]}
    file = {name: np.array([getattr(o.file, name) for o in outcomes]) for name in FILE_NAMES}

    def pictures(rows: Sequence[int]) -> dict[int, bytes]:
        wanted = {places[row]: row for row in rows}
        found = ((i, crop) for chunk in read_crops(crops.chunks) for i, crop in chunk.items())
        return {wanted[i]: crop["image"]["bytes"] for i, crop in found if i in wanted}

    measures = measures_from([outcome.measures for outcome in outcomes])
    losses = count_losses(crops.photos, crops.outcomes)
    return AuditPhotos(columns, file, measures, pictures, losses, decisions)


def photos_of_folder(
    folder: Path, *, identity: bool, num_proc: int, progress: Progress
) -> AuditPhotos:
    """Audit input from a prepared dataset folder: every crop is measured anew.

    Raises
    ------
    UserError
        If it holds no shards, or a damaged one.
    """
    groups, table, splits = _shards_without_pictures(folder)
    advance = progress("Measuring crops", len(splits))
    measured: dict[int, list[dict[str, bytes]]] = {}
    tasks = [(number, *group, identity) for number, group in enumerate(groups)]
    for number, rows in run_tasks(_measure_group, tasks, num_proc=num_proc):
        measured[number] = rows
        advance(len(rows))
    measures = measures_from([row for number in sorted(measured) for row in measured[number]])
    columns = _table_columns(table) | {"split": np.array(splits)}
    columns["row"], file_facts, *known = _from_report(folder, columns["photo_id"].tolist())

    def pictures(rows: Sequence[int]) -> dict[int, bytes]:
        found, first = {}, 0
        for group in groups:
            images = _read_group(*group, ["image"])
            for row in set(rows) & set(range(first, first + images.num_rows)):
                found[row] = images["image"][row - first].as_py()["bytes"]
            first += images.num_rows
        return found

    return AuditPhotos(columns, file_facts, measures, pictures, *known)


def _shards_without_pictures(folder: Path) -> tuple[list[tuple[Path, int]], Any, list[str]]:
    """Row groups (file, number), a table of all other columns, and the split of each row."""
    import pyarrow
    import pyarrow.parquet

    groups, tables, splits = [], [], []
    try:
        for split in SPLITS:
            for path in shards_of(folder, split):
                file = pyarrow.parquet.ParquetFile(path)
                names = [n for n in file.schema_arrow.names if n not in PICTURES]
                tables.append(file.read(columns=names))
                splits += [split] * file.metadata.num_rows
                groups += [(path, group) for group in range(file.metadata.num_row_groups)]
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"{path} can't be read ({error}); prepare the dataset again") from None
    if not tables:
        raise UserError(f"{folder}/data holds no Parquet shards; prepare it again")
    return groups, pyarrow.concat_tables(tables), splits


def _read_group(path: Path, group: int, names: Sequence[str]) -> Any:
    """Those of the columns that there are."""
    import pyarrow.parquet

    return pyarrow.parquet.ParquetFile(path).read_row_group(group, columns=list(names))


def _measure_group(
    number: int, path: Path, group: int, identity: bool
) -> tuple[int, list[dict[str, bytes]]]:
    rows = _read_group(path, group, PICTURES).to_pylist()
    crops = [(row["image"]["bytes"], np.array(row["landmarks"], np.float32)) for row in rows]
    views = [
        (row["context"]["bytes"], row["context_box"]) if "context" in row else None for row in rows
    ]
    measured = [measure_crop(*crop, view) for crop, view in zip(crops, views, strict=True)]
    if identity:
        for measures, vector in zip(measured, describe_crops(crops), strict=True):
            measures["descriptor"] = vector
    return number, measured


def _table_columns(table: Any) -> dict[str, np.ndarray]:
    """Columns of the shards as arrays, class numbers as words."""
    from datasets import ClassLabel, Features

    values = table.to_pydict()
    for name, feature in Features.from_arrow_schema(table.schema).items():
        if isinstance(feature, ClassLabel):
            values[name] = [feature.names[number] for number in values[name]]
    folds = {name: np.array(values[name]) for name in values if name.startswith("fold")}
    return _columns(values, values["face_box"]) | folds


def _columns(
    values: Mapping[str, Sequence[Any]], face_boxes: Sequence[Sequence[int]]
) -> dict[str, np.ndarray]:
    columns = {name: np.array([v or "" for v in values[name]], dtype=str) for name in WORDS}
    columns |= {
        name: np.array([np.nan if v is None else v for v in values[name]], float)
        for name in NUMBERS
    }
    boxes = np.array(face_boxes).reshape(-1, 4)
    return columns | {"face_side": (boxes[:, 2] - boxes[:, 0]).astype(float)}


def _from_report(
    folder: Path, photo_ids: list[str]
) -> tuple[np.ndarray, dict[str, np.ndarray], list[dict[str, Any]], Decisions]:
    """Row and file facts of each photo, losses and decisions, where intake.json has them."""
    report = read_intake_report(folder)
    if report is None:
        return np.full(len(photo_ids), ""), {}, [], ()
    known = {row["columns"]["photo_id"]: row for row in report.kept.values()}
    if not all(photo_id in known for photo_id in photo_ids):
        raise UserError(
            f"{folder / 'intake.json'} doesn't know all photos of the shards; prepare it again"
        )
    rows = [known[photo_id] for photo_id in photo_ids]
    facts = {name: np.array([row["file"][name] for row in rows]) for name in FILE_NAMES}
    names = np.array([row_name(row["row"], row["columns"]["public"]) for row in rows])
    decisions = tuple(map(tuple, report.options.get("decisions", ())))
    return names, facts, report.losses, decisions

"""What an audit looks at: a prepared dataset folder, or a clinic folder's fresh crops."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from hf_cushing.data.account import Account
from hf_cushing.data.audit import AuditPhotos
from hf_cushing.data.crops import (
    FILE_NAMES,
    MEASURE_NAMES,
    Outcome,
    read_crops,
    read_measures,
    run_tasks,
)
from hf_cushing.data.measure import measure_crop, measures_from
from hf_cushing.data.splits import Deal
from hf_cushing.files import read_json
from hf_cushing.schema import SPLITS, FacePhoto, UserError, fold_column

Pictures = Callable[[list[int]], dict[int, bytes]]
"""From row numbers to the JPEGs of their crops."""

WORDS = ("photo_id", "patient_id", "label", "sex", "site", "source", "view")
NUMBERS = ("age", "bmi")


def photos_of_crops(
    photos: list[FacePhoto], outcomes: list[Outcome], chunks: list[Path], deal: Deal | None
) -> tuple[AuditPhotos, Pictures]:
    """Audit input from what `make_crops` has just made of `photos`; kept photos only.

    Parameters
    ----------
    deal : Deal, optional
        Splits and folds, once they are known.
    """
    indices, boxes, measures = read_measures(chunks)
    kept = [n for n, index in enumerate(indices.tolist()) if not outcomes[index].reason]
    chosen = [photos[index] for index in indices[kept].tolist()]
    columns = _photo_columns(chosen)
    columns["face_side"] = (boxes[kept, 2] - boxes[kept, 0]).astype(float)
    columns["row"] = np.array([row_name(p.row, p.public) for p in chosen], dtype=str)
    columns["split"] = np.array([deal.splits[p.patient_id] if deal else "" for p in chosen])
    for repeat, folds in enumerate(deal.folds if deal else (), start=1):
        columns[fold_column(repeat)] = np.array([folds[p.patient_id] for p in chosen])
    facts = [outcomes[index].file for index in indices[kept].tolist()]
    file = {name: np.array([getattr(fact, name) for fact in facts]) for name in FILE_NAMES}
    measures = dataclasses.replace(
        measures, **{name: getattr(measures, name)[kept] for name in MEASURE_NAMES}
    )

    def pictures(rows: list[int]) -> dict[int, bytes]:
        wanted = {int(indices[kept[row]]): row for row in rows}
        crops = (crop for chunk in read_crops(chunks) for crop in chunk)
        return {wanted[crop.index]: crop.image for crop in crops if crop.index in wanted}

    return AuditPhotos(columns, file, measures), pictures


def photos_of_folder(
    folder: Path, *, identity: bool, num_proc: int, start: Callable[[int], Callable[[int], None]]
) -> tuple[AuditPhotos, Pictures]:
    """Audit input from a prepared dataset folder: every crop is measured anew.

    Raises
    ------
    UserError
        If it holds no shards, or a damaged one.
    """
    import pyarrow
    import pyarrow.parquet

    shards = [(s, p) for s in SPLITS for p in sorted((folder / "data").glob(f"{s}-*.parquet"))]
    if not shards:
        raise UserError(f"{folder}/data holds no Parquet shards; prepare it again")
    tasks, tables, splits = [], [], []
    try:
        for split, path in shards:
            file = pyarrow.parquet.ParquetFile(path)
            names = [n for n in file.schema_arrow.names if n not in ("image", "landmarks")]
            tables.append(file.read(columns=names))
            splits += [split] * file.metadata.num_rows
            groups = range(file.metadata.num_row_groups)
            tasks += [(len(tasks) + group, path, group, identity) for group in groups]
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"{path} can't be read ({error}); prepare the dataset again") from None
    advance = start(len(splits))
    done: dict[int, dict[str, list[bytes]]] = {}
    for number, columns in run_tasks(_measure_group, tasks, num_proc=num_proc):
        done[number] = columns
        advance(len(columns["quality"]))
    joined = {name: [v for n in sorted(done) for v in done[n][name]] for name in MEASURE_NAMES}
    columns = _table_columns(tables) | {"split": np.array(splits)}
    columns["row"], facts = _from_account(folder, columns["photo_id"].tolist())

    def pictures(rows: list[int]) -> dict[int, bytes]:
        wanted, found, first = set(rows), {}, 0
        for _, path, group, _ in tasks:
            images = pyarrow.parquet.ParquetFile(path).read_row_group(group, columns=["image"])
            for row in wanted & set(range(first, first + images.num_rows)):
                found[row] = images["image"][row - first].as_py()["bytes"]
            first += images.num_rows
        return found

    return AuditPhotos(columns, facts, measures_from(joined)), pictures


def _measure_group(
    number: int, path: Path, group: int, identity: bool
) -> tuple[int, dict[str, list[bytes]]]:
    import pyarrow.parquet

    names = ["image", "landmarks"]
    rows = pyarrow.parquet.ParquetFile(path).read_row_group(group, columns=names).to_pylist()
    measured = [
        measure_crop(
            row["image"]["bytes"], np.array(row["landmarks"], np.float32), identity=identity
        )
        for row in rows
    ]
    return number, {name: [row[name] for row in measured] for name in MEASURE_NAMES}


def _photo_columns(photos: list[FacePhoto]) -> dict[str, np.ndarray]:
    words = {name: np.array([getattr(p, name) for p in photos], dtype=str) for name in WORDS}
    return words | {name: _numbers(getattr(p, name) for p in photos) for name in NUMBERS}


def _numbers(values: Iterable[float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], float)


def _table_columns(tables: list[Any]) -> dict[str, np.ndarray]:
    """Columns of the shards as arrays, class numbers as words."""
    import pyarrow
    from datasets import ClassLabel, Features

    table = pyarrow.concat_tables(tables)
    features = Features.from_arrow_schema(table.schema)
    values = {name: table[name].to_pylist() for name in table.column_names}
    for name, feature in features.items():
        if isinstance(feature, ClassLabel):
            values[name] = [feature.names[number] for number in values[name]]
    columns = {name: np.array([v or "" for v in values[name]], dtype=str) for name in WORDS}
    columns |= {name: _numbers(values[name]) for name in NUMBERS}
    folds = [name for name in values if name.startswith("fold")]
    columns |= {name: np.array(values[name]) for name in folds}
    boxes = np.array(values["face_box"]).reshape(-1, 4)
    return columns | {"face_side": (boxes[:, 2] - boxes[:, 0]).astype(float)}


def _from_account(folder: Path, photo_ids: list[str]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Row of the clinic's table and file facts of each photo, where intake.json has them."""
    path = folder / "intake.json"
    if not path.is_file():
        return np.full(len(photo_ids), ""), {}
    account = Account(**read_json(path))
    known = {row["columns"]["photo_id"]: row for row in account.rows if row["status"] == "kept"}
    if not all(photo_id in known for photo_id in photo_ids):
        raise UserError(f"{path} doesn't know all photos of the shards; prepare it again")
    rows = [known[photo_id] for photo_id in photo_ids]
    facts = {name: np.array([row["file"][name] for row in rows]) for name in FILE_NAMES}
    return np.array([row_name(row["row"], row["columns"]["public"]) for row in rows]), facts


def row_name(row: int, public: bool) -> str:
    """Name a row of the clinic's table, or of the table of public controls."""
    return f"controls {row}" if public else str(row)

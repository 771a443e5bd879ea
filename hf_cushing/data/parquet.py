"""The Parquet shards of a dataset folder: written a few photos at a time, and where they lie."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from hf_cushing.data.chunks import read_crops
from hf_cushing.schema import SEXES, SPLITS, UserError, dataset_features

if TYPE_CHECKING:
    from datasets import Dataset

    from hf_cushing.data.intake_report import IntakeReport

SHARD_BYTES = 400_000_000

SHARD = re.compile(rf"({'|'.join(SPLITS)})-\d{{5}}-of-\d{{5}}-[0-9a-f]{{8}}\.parquet")
"""Name of a shard, as `write_shards` gives it."""

NEEDED = ("image", "label", "sex", "patient_id", "photo_id", "fold")
"""Columns without which a dataset is none of ours."""

IDENTITY = (*NEEDED[1:], "landmarks")
"""Columns that make a dataset's revision."""


def shards_of(folder: Path, split: str = "*") -> list[Path]:
    """The shards of a split of a dataset folder, in order; of all splits by default."""
    return sorted((folder / "data").glob(f"{split}-*.parquet"))


def read_splits(folder: Path, only: Sequence[str] = ()) -> dict[str, Dataset]:
    """Read the shards themselves: `load_dataset` would keep a copy of the faces in the user's
    cache, and serve it again after the shards have changed.

    Parameters
    ----------
    only : sequence of str
        These columns, as far as they are there; all by default.

    Raises
    ------
    UserError
        There are no shards.
    """
    import pyarrow
    from datasets import Dataset
    from datasets.table import InMemoryTable
    from pyarrow.parquet import ParquetFile

    splits = {}
    for split in SPLITS:
        files = [ParquetFile(shard, pre_buffer=False) for shard in shards_of(folder, split)]
        if files:
            names = [name for name in files[0].schema_arrow.names if not only or name in only]
            # Part by part: a whole shard at once takes twice its size meanwhile
            parts = (
                file.read_row_group(number, columns=names)
                for file in files
                for number in range(file.num_row_groups)
            )
            table = pyarrow.concat_tables(parts)
            # a name of its own: datasets would make one from a copy of all the pictures
            splits[split] = Dataset(InMemoryTable(table), fingerprint=uuid4().hex)
    if not splits:
        raise UserError(f"--dataset {folder}: data/ holds no Parquet shards; prepare it again")
    return splits


def content_revision(splits: Mapping[str, Dataset]) -> str:
    """Hash of who is where, with which label, and how the crops were cut: 16 hex digits."""
    digest = hashlib.sha256()
    splits = {split: splits[split] for split in SPLITS if split in splits}
    for split, photos in splits.items():
        names = [name for name in IDENTITY if name in photos.column_names]
        columns = photos.select_columns(names).with_format("arrow")[:]
        for name in names:
            digest.update(f"{split}/{name}:[".encode())
            parts = (part.to_pylist() for part in columns[name].chunks if len(part))
            for number, values in enumerate(parts):  # all at once takes gigabytes
                digest.update((", " * bool(number) + json.dumps(values)[1:-1]).encode())
            digest.update(b"]")
    return digest.hexdigest()[:16]


def revision_of(folder: Path) -> str:
    """The revision of a dataset folder, as `load_faces` gives it."""
    return content_revision(read_splits(folder, IDENTITY))


def write_shards(out: Path, report: IntakeReport, chunks: list[Path]) -> None:
    """Write ``out/data/SPLIT-i-of-n-FINGERPRINT.parquet`` with explicit Features.

    The fingerprint stands in the names because `load_dataset` keeps a copy by path and name: a
    dataset made again in the same folder would otherwise be served as it was before.

    Parameters
    ----------
    out : Path
    report : IntakeReport
        Says of each photo whether it is kept, its columns and its split.
    chunks : list of Path
        Files of the crops; a crop's index is the place of its photo in the report.
    """
    features = dataset_features(
        report.labels,
        repeats=report.options["repeats"],
        keep_columns=tuple(report.options["keep_columns"]),
        context=report.options["context"],
    )
    (out / "data").mkdir(parents=True)
    kept = {place: row["columns"] for place, row in report.kept.items()}
    for split in SPLITS:
        rows = {place: columns for place, columns in kept.items() if columns["split"] == split}
        batches = (
            [_coded(rows[i], report.labels) | crop for i, crop in chunk.items() if i in rows]
            for chunk in read_crops(chunks)
        )
        paths = _write_parts(out / "data" / split, filter(None, batches), features.arrow_schema)
        for number, path in enumerate(paths):
            place = f"{number:05d}-of-{len(paths):05d}"
            path.rename(out / "data" / f"{split}-{place}-{report.fingerprint[:8]}.parquet")


def copy_shard(source: Path, target: Path, without: Sequence[str] = ()) -> list[str]:
    """Write a shard anew, without some of its columns; give those that it had, in order.

    What the file says beside its columns and their types is left behind.

    Raises
    ------
    UserError
        A column of a type that `datasets` doesn't know.
    """
    import pyarrow.parquet
    from datasets import Features

    target.parent.mkdir(parents=True, exist_ok=True)
    file = pyarrow.parquet.ParquetFile(source)
    try:
        features = Features.from_arrow_schema(file.schema_arrow)
    except (NotImplementedError, ValueError) as error:
        raise UserError(f"{source.name}: a column of an unknown type ({error})") from None
    dropped = [name for name in features if name in without]
    schema = Features({n: f for n, f in features.items() if n not in dropped}).arrow_schema
    with pyarrow.parquet.ParquetWriter(target, schema) as writer:
        for group in range(file.metadata.num_row_groups):
            writer.write_table(file.read_row_group(group, columns=schema.names).cast(schema))
    return dropped


def _coded(values: dict[str, Any], labels: list[str]) -> dict[str, Any]:
    """Class words as their numbers."""
    numbers = {"label": labels.index(values["label"]), "sex": SEXES.index(values["sex"])}
    return values | numbers


def _write_parts(stem: Path, batches: Iterable[list[dict[str, Any]]], schema: Any) -> list[Path]:
    """Write each batch as a row group, and files of about `SHARD_BYTES`."""
    import pyarrow
    import pyarrow.parquet

    paths: list[Path] = []
    writer, size = None, 0
    for rows in batches:
        if writer is None or size > SHARD_BYTES:
            if writer is not None:
                writer.close()
            paths.append(stem.with_name(f"{stem.name}.{len(paths)}"))
            writer, size = pyarrow.parquet.ParquetWriter(paths[-1], schema), 0
        table = pyarrow.Table.from_pylist(rows, schema)
        writer.write_table(table)
        size += table.nbytes
    if writer is not None:
        writer.close()
    return paths

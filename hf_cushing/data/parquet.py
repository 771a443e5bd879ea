"""Write the dataset folder's Parquet shards, a few photos at a time."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_cushing.data.crops import Crop
from hf_cushing.schema import SEXES, SPLITS, dataset_features, order_labels

if TYPE_CHECKING:
    import pyarrow

SHARD_BYTES = 400_000_000


def write_splits(
    out: Path,
    kept: dict[int, dict[str, Any]],
    chunks: Iterable[list[Crop]],
    *,
    fingerprint: str,
    repeats: int,
    keep_columns: tuple[str, ...],
) -> None:
    """Write ``out/data/SPLIT-i-of-n-FINGERPRINT.parquet`` with explicit Features.

    The fingerprint stands in the names because `load_dataset` keeps a copy by path and name: a
    dataset made again in the same folder would otherwise be served as it was before.

    Parameters
    ----------
    out : Path
    kept : dict
        Photo index to its column values, without image, landmarks and face_box, and with `split`.
    chunks : iterable of list of Crop
        Read once, in the order of the photos.
    fingerprint : str
        First 8 digits of the hash of the input.
    repeats : int
        Number of columns of folds.
    keep_columns : tuple of str
    """
    labels = order_labels({row["label"] for row in kept.values()})
    features = dataset_features(labels, repeats=repeats, keep_columns=keep_columns)
    schema = features.arrow_schema
    writers = {split: _ShardWriter(out / "data", split, fingerprint, schema) for split in SPLITS}
    for chunk in chunks:
        for split, writer in writers.items():
            rows = [
                _row(kept[crop.index], crop, labels)
                for crop in chunk
                if crop.index in kept and kept[crop.index]["split"] == split
            ]
            writer.write(rows)
    for writer in writers.values():
        writer.close()


def _row(values: dict[str, Any], crop: Crop, labels: list[str]) -> dict[str, Any]:
    return values | {
        "image": {"bytes": crop.image, "path": None},
        "label": labels.index(values["label"]),
        "sex": SEXES.index(values["sex"]),
        "landmarks": np.reshape(crop.landmarks, (68, 2)).tolist(),
        "face_box": crop.face_box,
    }


class _ShardWriter:
    """Parquet files of one split, each of about `SHARD_BYTES`."""

    def __init__(self, folder: Path, split: str, fingerprint: str, schema: Any):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.split, self.schema = folder, split, schema
        self.fingerprint = fingerprint
        self.paths: list[Path] = []
        self.writer: Any = None
        self.bytes = 0

    def write(self, rows: list[dict[str, Any]]) -> None:
        import pyarrow.parquet

        if not rows:
            return
        if self.writer is None or self.bytes > SHARD_BYTES:
            self._finish_shard()
            self.paths.append(self.folder / f"{self.split}-{len(self.paths):05d}.parquet")
            self.writer = pyarrow.parquet.ParquetWriter(self.paths[-1], self.schema)
        table = _table(rows, self.schema)
        self.writer.write_table(table)
        self.bytes += table.nbytes

    def close(self) -> None:
        """Finish the last shard and put the number of shards into the names."""
        self._finish_shard()
        for number, path in enumerate(self.paths):
            name = f"{self.split}-{number:05d}-of-{len(self.paths):05d}-{self.fingerprint}.parquet"
            path.rename(self.folder / name)

    def _finish_shard(self) -> None:
        if self.writer is not None:
            self.writer.close()
            self.writer, self.bytes = None, 0


def _table(rows: list[dict[str, Any]], schema: Any) -> pyarrow.Table:
    """Build an Arrow table; landmarks go in by their storage type."""
    import pyarrow

    columns = []
    for field in schema:
        values = [row[field.name] for row in rows]
        if isinstance(field.type, pyarrow.BaseExtensionType):
            storage = pyarrow.array(values, field.type.storage_type)
            columns.append(pyarrow.ExtensionArray.from_storage(field.type, storage))
        else:
            columns.append(pyarrow.array(values, field.type))
    return pyarrow.Table.from_arrays(columns, schema=schema)

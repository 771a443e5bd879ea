"""The Parquet shards of a dataset folder: written a few photos at a time, and where they lie."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_cushing.schema import SEXES, SPLITS, dataset_features

if TYPE_CHECKING:
    from hf_cushing.data.chunks import Crop
    from hf_cushing.data.intake_report import IntakeReport

SHARD_BYTES = 400_000_000


def shards_of(folder: Path, split: str = "*") -> list[Path]:
    """The shards of a split of a dataset folder, in order; of all splits by default."""
    return sorted((folder / "data").glob(f"{split}-*.parquet"))


def write_shards(out: Path, report: IntakeReport, chunks: Iterable[list[Crop]]) -> None:
    """Write ``out/data/SPLIT-i-of-n-FINGERPRINT.parquet`` with explicit Features.

    The fingerprint stands in the names because `load_dataset` keeps a copy by path and name: a
    dataset made again in the same folder would otherwise be served as it was before.

    Parameters
    ----------
    out : Path
    report : IntakeReport
        Says of each photo whether it is kept, its columns and its split.
    chunks : iterable of list of Crop
        Read once; a crop's index is the place of its photo in the report.
    """
    keep_columns = tuple(report.options["keep_columns"])
    features = dataset_features(
        report.labels, repeats=report.options["repeats"], keep_columns=keep_columns
    )
    kept = {place: row["columns"] for place, row in report.kept.items()}
    writers = {
        split: _ShardWriter(out / "data" / split, report.fingerprint[:8], features.arrow_schema)
        for split in SPLITS
    }
    for chunk in chunks:
        for split, writer in writers.items():
            writer.write(
                [
                    _row(kept[crop.index], crop, report.labels)
                    for crop in chunk
                    if crop.index in kept and kept[crop.index]["split"] == split
                ]
            )
    for writer in writers.values():
        writer.close()


def _row(values: dict[str, Any], crop: Crop, labels: list[str]) -> dict[str, Any]:
    return values | {
        "image": {"bytes": crop.image, "path": None},
        "label": labels.index(values["label"]),
        "sex": SEXES.index(values["sex"]),
        "landmarks": crop.landmarks,
        "face_box": crop.face_box,
    }


class _ShardWriter:
    """Parquet files ``STEM-i-of-n-FINGERPRINT.parquet``, each of about `SHARD_BYTES`."""

    def __init__(self, stem: Path, fingerprint: str, schema: Any):
        stem.parent.mkdir(parents=True, exist_ok=True)
        self.stem, self.fingerprint, self.schema = stem, fingerprint, schema
        self.paths: list[Path] = []
        self.writer: Any = None
        self.bytes = 0

    def write(self, rows: list[dict[str, Any]]) -> None:
        import pyarrow
        import pyarrow.parquet

        if not rows:
            return
        if self.writer is None or self.bytes > SHARD_BYTES:
            self._finish_shard()
            self.paths.append(self.stem.with_name(f"{self.stem.name}-{len(self.paths)}.parquet"))
            self.writer = pyarrow.parquet.ParquetWriter(self.paths[-1], self.schema)
        table = pyarrow.Table.from_pylist(rows, self.schema)
        self.writer.write_table(table)
        self.bytes += table.nbytes

    def close(self) -> None:
        """Finish the last shard and put the number of shards into the names."""
        self._finish_shard()
        for number, path in enumerate(self.paths):
            place = f"{number:05d}-of-{len(self.paths):05d}"
            path.rename(path.with_name(f"{self.stem.name}-{place}-{self.fingerprint}.parquet"))

    def _finish_shard(self) -> None:
        if self.writer is not None:
            self.writer.close()
            self.writer, self.bytes = None, 0

"""The prepared photographs as a `datasets` builder, with a configuration for each disease.

    from hf_cushing.data.builder import CushingFaces

    builder = CushingFaces(config_name="cushing", data_dir="DATASET_OR_CLINIC_FOLDER")
    builder.download_and_prepare()
    faces = builder.as_dataset()                      # or, without a copy in the cache:
    stream = builder.as_streaming_dataset()["train"]

`data_dir` is a folder made by `hf-cushing prepare`, or a clinic folder, which is then prepared
into the cache first. `synthetic` draws a cohort. Loading scripts are refused by `datasets`, so
the class is imported; the Parquet folder itself needs none of this.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import pyarrow.parquet
from datasets.fingerprint import Hasher

from hf_cushing.data.options import PrepareOptions
from hf_cushing.data.parquet import shards_of
from hf_cushing.data.prepare import prepare
from hf_cushing.data.synthetic import CohortOptions, make_cohort
from hf_cushing.schema import CONTROL, SPLITS, UserError, dataset_features


@dataclass
class CushingFacesConfig(datasets.BuilderConfig):
    """Parameters of the builder.

    Attributes
    ----------
    labels : tuple of str
        Photos with other labels are left out.
    photos, cohort_seed : int
        Of the drawn cohort; `synthetic` only.
    folds, repeats, split_seed, num_proc : int
        Of the preparation of a clinic folder. With several processes, and for `synthetic`, call
        the builder under ``if __name__ == "__main__":``.
    identity : bool
        Compare the faces of a clinic folder, and keep ids of one person together.
    content : str
        Hash of the source, so that the cache notices a change; filled in by the builder.
    """

    labels: tuple[str, ...] = (CONTROL, "cushing")
    photos: int = 343
    cohort_seed: int = 0
    folds: int = 5
    repeats: int = 1
    split_seed: int = 0
    num_proc: int = 1
    identity: bool = True
    content: str = ""


class CushingFaces(datasets.GeneratorBasedBuilder):
    """Aligned face crops with label, sex, patient, split and fold."""

    BUILDER_CONFIG_CLASS = CushingFacesConfig
    BUILDER_CONFIGS = [  # noqa: RUF012 (the library's way)
        CushingFacesConfig(name="cushing"),
        CushingFacesConfig(name="acromegaly", labels=(CONTROL, "acromegaly")),
        CushingFacesConfig(name="endocrine", labels=(CONTROL, "cushing", "acromegaly")),
        CushingFacesConfig(name="synthetic"),
    ]
    VERSION = datasets.Version("1.0.0")

    def __init__(self, *args: Any, data_dir: str | None = None, **options: Any):
        if data_dir is not None:
            options["content"] = _content(Path(data_dir))
        super().__init__(*args, data_dir=data_dir, **options)

    def _info(self) -> datasets.DatasetInfo:
        shards = shards_of(Path(self.config.data_dir)) if self.config.data_dir else []
        if shards:
            schema = pyarrow.parquet.read_schema(shards[0])
            features = datasets.Features.from_arrow_schema(schema)
            features["label"] = datasets.ClassLabel(names=list(self.config.labels))
        else:
            features = dataset_features(list(self.config.labels), repeats=self.config.repeats)
        return datasets.DatasetInfo(features=features)

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        folder = self._prepared_folder()
        found = {split: shards_of(folder, split) for split in SPLITS}
        return [
            datasets.SplitGenerator(name=split, gen_kwargs={"shards": shards})
            for split, shards in found.items()
            if shards
        ]

    def _generate_examples(self, shards: list[Path]) -> Iterator[tuple[int, dict[str, Any]]]:
        wanted, key = list(self.config.labels), 0
        for shard in shards:
            file = pyarrow.parquet.ParquetFile(shard)
            own = datasets.Features.from_arrow_schema(file.schema_arrow)["label"].names
            for batch in file.iter_batches(batch_size=32):
                for row in batch.to_pylist():
                    if own[row["label"]] in wanted:
                        row["label"] = wanted.index(own[row["label"]])
                        yield key, row
                        key += 1

    def _prepared_folder(self) -> Path:
        """The prepared dataset: `data_dir` itself, or made from it in the cache."""
        config = self.config
        if config.data_dir and shards_of(Path(config.data_dir)):
            return Path(config.data_dir)
        cache = Path(self._cache_dir_root) / "hf_cushing" / self.config_id
        if config.name == "synthetic":
            raw = cache / "raw"
            make_cohort(raw, cache / "truth", CohortOptions(
                photos=config.photos, seed=config.cohort_seed), num_proc=1)  # fmt: skip
        elif config.data_dir:
            raw = Path(config.data_dir)
        else:
            raise UserError(f"configuration '{config.name}': give data_dir, the folder of photos")
        identity = config.identity and config.name != "synthetic"
        options = PrepareOptions(
            folds=config.folds,
            repeats=config.repeats,
            seed=config.split_seed,
            identity=identity,
        )
        prepare(raw, cache / "dataset", options, num_proc=config.num_proc, overwrite=True)
        return cache / "dataset"


def _content(folder: Path) -> str:
    """Hash of names, sizes and times of a folder's files."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    facts = [(str(path.relative_to(folder)), path.stat()) for path in files]
    return Hasher.hash([(name, stat.st_size, stat.st_mtime_ns) for name, stat in facts])

import shutil

import pyarrow
import pyarrow.parquet
import pytest

from hf_cushing.data.builder import CushingFaces
from hf_cushing.data.options import PrepareOptions
from hf_cushing.data.prepare import prepare
from hf_cushing.data.synthetic import CohortOptions, make_cohort
from hf_cushing.schema import UserError


def shards(folder, split):
    paths = sorted((folder / "data").glob(f"{split}-*.parquet"))
    return pyarrow.concat_tables([pyarrow.parquet.read_table(path) for path in paths])


def built(folder, cache, **options):
    builder = CushingFaces(data_dir=str(folder), cache_dir=str(cache), **options)
    builder.download_and_prepare()
    return builder.as_dataset()


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_round_trip_with_the_parquet_folder_is_exact(dataset, tmp_path, split):
    table = built(dataset, tmp_path, config_name="cushing")[split].data.table
    original = shards(dataset, split)
    assert table.column_names == original.column_names
    for name in original.column_names:
        assert table[name].to_pylist() == original[name].to_pylist(), name
    assert table.schema.metadata.keys() == original.schema.metadata.keys()


def test_stream_gives_the_same_rows_without_a_copy_in_the_cache(dataset, tmp_path):
    builder = CushingFaces(config_name="cushing", data_dir=str(dataset), cache_dir=str(tmp_path))
    rows = list(builder.as_streaming_dataset(split="test"))
    assert [row["photo_id"] for row in rows] == shards(dataset, "test")["photo_id"].to_pylist()
    assert rows[0]["image"].size == (256, 256)
    assert not list(tmp_path.rglob("*.arrow"))


@pytest.fixture(scope="module")
def endocrine(tmp_path_factory):
    """A prepared dataset of both diseases."""
    base = tmp_path_factory.mktemp("endocrine")
    cohort = CohortOptions(photos=36, diseases=("cushing", "acromegaly"), positive_share=0.6)
    make_cohort(base / "raw", base / "truth", cohort, num_proc=1)
    prepare(base / "raw", base / "out", PrepareOptions(folds=3, identity=False), num_proc=1)
    return base / "out"


@pytest.mark.parametrize("disease", ["cushing", "acromegaly"])
def test_configuration_of_one_disease_leaves_the_other_out(endocrine, tmp_path, disease):
    found = built(endocrine, tmp_path, config_name=disease)["train"]
    words = shards(endocrine, "train")["label"].to_pylist()
    wanted = ["control", "cushing", "acromegaly"].index(disease)
    assert found.features["label"].names == ["control", disease]
    assert found["label"].count(1) == words.count(wanted) > 0
    assert found["label"].count(0) == words.count(0)


def test_both_diseases_together_are_the_whole_dataset(endocrine, tmp_path):
    found = built(endocrine, tmp_path, config_name="endocrine")["train"]
    assert found["label"][:] == shards(endocrine, "train")["label"].to_pylist()


def test_changed_folder_is_not_served_from_the_cache(dataset, endocrine, tmp_path):
    folder = tmp_path / "folder"
    counts = []
    for source in (dataset, endocrine):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(source, folder)
        counts.append(len(built(folder, tmp_path / "cache", config_name="cushing")["train"]))
    assert counts[0] != counts[1]


def test_clinic_folder_is_prepared_first(clinic, tmp_path):
    found = built(clinic, tmp_path, config_name="cushing", identity=False, folds=3)
    assert sum(len(rows) for rows in found.values()) == 72
    assert set(found["test"]["fold"]) <= {0, 1, 2}


def test_configuration_of_photographs_needs_their_folder(tmp_path):
    builder = CushingFaces(config_name="acromegaly", cache_dir=str(tmp_path))
    with pytest.raises(UserError, match="give data_dir"):
        builder.as_streaming_dataset(split="train")

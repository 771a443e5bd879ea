"""Folders that the gate lets through, made once, and copies of them to be spoilt."""

import json
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path

import pyarrow
import pyarrow.parquet

from hf_cushing.publish.gate import RULES
from hf_cushing.publish.options import DatasetOptions, ModelOptions, SpaceOptions
from hf_cushing.publish.staging import stage_dataset, stage_model, stage_space
from hf_cushing.run import Run

LICENCE = "cc-by-nc-4.0"


@cache
def staged(kind, run, dataset):
    """What staging gives for a clean run and its dataset; read only."""
    work = run.with_name("staged")
    if kind == "model":
        options = ModelOptions(repo_id="me/faces", license=LICENCE, dataset=dataset)
        return stage_model(Run(run), options, work)
    if kind == "dataset":
        options = DatasetOptions(repo_id="me/photos", license=LICENCE)
        return stage_dataset(dataset, options, work)
    options = SpaceOptions(repo_id="me/app", license=LICENCE, model_id="me/faces")
    return stage_space(Run(run), options, work)


def case_of(kind, run, dataset, tmp_path):
    """A copy of a staged folder and of what it was made from, for a test to spoil."""
    made = staged(kind, run, dataset)
    folder, source = tmp_path / "folder", tmp_path / "source"
    shutil.copytree(made.folder, folder)
    shutil.copytree(dataset if kind == "dataset" else run, source)
    return replace(made, folder=folder, source=source, findings=())


def with_options(staged, **options):
    """The same folder, to be published otherwise."""
    return replace(staged, options=replace(staged.options, **options))


def messages(rule, case):
    """What one rule finds."""
    return [m for r in RULES if r.name == rule and case.kind in r.kinds for m in r.faults(case)]


def change_json(path: Path, change):
    """Rewrite a JSON file by a function that changes its content."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def change_rows(folder: Path, change, split="test"):
    """Rewrite a shard of a dataset by a function that changes a row."""
    path = next((folder / "data").glob(f"{split}-*.parquet"))
    table = pyarrow.parquet.read_table(path)
    storage = {
        field.name: column.chunk(0).storage if hasattr(column.type, "storage_type") else None
        for field, column in zip(table.schema, table.combine_chunks().columns, strict=True)
    }
    plain = {n: s if s is not None else table[n].combine_chunks() for n, s in storage.items()}
    rows = pyarrow.table(plain).to_pylist()
    for row in rows:
        change(row)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)


def as_photographs(case):
    """Let the drawn faces pass for photographs."""
    for split in ("train", "validation", "test"):
        change_rows(case.folder, lambda row: row.update(source="clinic"), split)

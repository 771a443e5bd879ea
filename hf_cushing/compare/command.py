"""``hf-cushing compare``: train a grid, and say what can be told apart."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hf_cushing.compare.cells import Say, StudyOutcome, is_first_process, run_cells
from hf_cushing.compare.external import external_results
from hf_cushing.compare.grid import Cell, make_cells
from hf_cushing.compare.learning import learning_curves, learning_sentence, learning_tables
from hf_cushing.compare.plan import Study, make_study
from hf_cushing.compare.report import write_record, write_study
from hf_cushing.compare.results import collect
from hf_cushing.compare.screen import study_screen
from hf_cushing.compare.tables import external_table, study_tables, study_verdicts
from hf_cushing.data.loading import load_faces
from hf_cushing.files import plain, read_json
from hf_cushing.schema import UsageError, UserError
from hf_cushing.stats import DRAWS

ADDED = ("baselines", "sizes")
"""Fields of a study that only add cells, so that its folder takes them in later."""


def compare(
    study: Study,
    dataset: str,
    out: Path,
    *,
    shard: tuple[int, int] = (0, 1),
    external: str | None = None,
    draws: int = DRAWS,
    say: Say,
) -> StudyOutcome:
    """Train the cells that are not there, then write tables and figures if none is missing.

    With `external`, a second dataset, its tables are added. All processes of a launch train
    together; the first one writes.

    Raises
    ------
    UserError
        Faults of the study or the dataset; `out` belongs to another study.
    """
    first = is_first_process()
    if external and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError("--external scores in one process: call it once more without a launcher")
    say = say if first else (lambda line: None)
    data = load_faces(dataset, revision=study.options.get("dataset_revision"))
    cells, left_out = make_cells(study, dataset, data, out)
    record = plain(vars(study)) | {"dataset_revision": data.revision}
    _claim(out, record, write=first)
    for name, reason in left_out.items():
        say(f"left out: {name}: {reason}")
    outcome = replace(run_cells(cells, out, shard=shard, say=say), left_out=left_out)
    whole = _whole_arms(cells)
    if outcome.missing or not first or all(cell.arm.size < 1 for cell in whole):
        return outcome
    curves = learning_curves(whole, draws=draws)
    whole = [cell for cell in whole if cell.arm.size == 1]
    results = collect(whole, draws=draws)
    tables = study_tables(results, study.published) + learning_tables(curves)
    if external:
        scored = external_results(whole, external, draws=draws, say=say)
        tables += [external_table(label, arms, whole) for label, arms in scored.items()]
    verdicts = study_verdicts(results, tables) + [learning_sentence(curve) for curve in curves]
    name = f"{dataset.rstrip('/').split('/')[-1]} ({data.revision})"
    screen = study_screen(results, verdicts, dataset=name, runs=len(outcome.done))
    outcome = replace(outcome, tables=tables, verdicts=verdicts, screen=screen)
    write_study(out, record, outcome, results, curves)
    return outcome


def _claim(out: Path, record: dict[str, Any], *, write: bool) -> None:
    """Refuse a folder of another study; its cells would be mixed up in the tables."""
    if (out / "study.json").is_file():
        recorded = plain(vars(Study())) | _recorded(out)  # older ones have fewer fields
        names = sorted(
            name for name in record if name not in ADDED and recorded.get(name) != record[name]
        )
        if names:
            raise UserError(
                f"{out} belongs to another study ({', '.join(names)} differ); give another --out"
            )
    elif write:
        write_record(out, record)


def _whole_arms(cells: Sequence[Cell]) -> list[Cell]:
    """Cells of arms of which all are done."""
    unfinished = {cell.arm for cell in cells if not cell.done}
    return [cell for cell in cells if cell.arm not in unfinished]


def _recorded(out: Path) -> dict[str, Any]:
    if not (out / "study.json").is_file():
        raise UserError(f"{out} holds no study.json; make it with `hf-cushing compare`")
    return read_json(out / "study.json")["study"]


def read_plan(out: Path) -> Study:
    """The study of a folder that `compare` made; without baselines where it knew of none."""
    values = {"baselines": "none"} | _recorded(out)
    del values["dataset_revision"]
    return make_study(values, str(out / "study.json"))


def replay(out: Path, dataset: str, again: Path, *, say: Say, draws: int = DRAWS) -> list[str]:
    """Run a study anew in the folder `again`; the tables whose content came out differently."""
    recorded, plan = _recorded(out)["dataset_revision"], read_plan(out)
    revision = load_faces(dataset, revision=plan.options.get("dataset_revision")).revision
    if revision != recorded:
        raise UserError(
            f"--dataset {dataset} has revision {revision}, the study was made with {recorded}; "
            "give the same dataset"
        )
    tables = compare(plan, dataset, again, draws=draws, say=say).tables
    old, new = (
        {path.stem: path.read_bytes() for path in (folder / "tables").glob("*.csv")}
        for folder in (out, again)
    )
    names = old.keys() | {table.name for table in tables}
    return sorted(name for name in names if old.get(name) != new.get(name))

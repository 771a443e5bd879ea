"""``hf-cushing compare``: train a grid, and say what can be told apart."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_cushing.compare.cells import Outcome, Tell, is_first_process, run_cells
from hf_cushing.compare.external import external_tables
from hf_cushing.compare.figures import plot_arms, plot_gap_and_cost
from hf_cushing.compare.mitigation import mitigation_tables, models_of, plot_mitigations
from hf_cushing.compare.plan import Cell, Study, make_cells, make_study, study_to_json
from hf_cushing.compare.results import LabelResult, collect
from hf_cushing.compare.tables import study_tables, winner_sentence
from hf_cushing.data.loading import load_faces
from hf_cushing.files import plain, read_json, write_json, write_text
from hf_cushing.reports.page import embed, tables_to_page
from hf_cushing.reports.table import Table, table_to_csv, tables_to_latex, tables_to_markdown
from hf_cushing.schema import RESEARCH_NOTICE, UsageError, UserError
from hf_cushing.stats import DRAWS
from hf_cushing.training.environment import devices, environment

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class StudyResult:
    """What came of a call.

    Attributes
    ----------
    outcome : Outcome
    tables : list of Table
        Empty while cells are missing.
    """

    outcome: Outcome
    tables: list[Table]


def compare(
    study: Study,
    dataset: str,
    out: Path,
    *,
    shard: tuple[int, int] = (0, 1),
    external: str | None = None,
    draws: int = DRAWS,
    tell: Tell,
) -> StudyResult:
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
    tell = tell if first else (lambda line: None)
    data = load_faces(dataset)
    cells, left_out = make_cells(study, dataset, data, out)
    record = study_to_json(study) | {"dataset_revision": data.revision}
    _claim(out, record, write=first)
    for name, reason in left_out.items():
        tell(f"left out: {name}: {reason}")
    outcome = run_cells(cells, out, shard=shard, tell=tell)
    if outcome.missing or not outcome.done or not first:
        return StudyResult(outcome, [])
    whole = _whole_arms(cells, outcome)
    if not whole:
        return StudyResult(outcome, [])
    results = collect(whole, draws=draws)
    tables = study_tables(results, study.published)
    tables += [table for result in results for table in mitigation_tables(result)]
    if external:
        tables += external_tables(whole, external, draws=draws, tell=tell)
    _write(out, results, tables, record, outcome=outcome, left_out=left_out)
    return StudyResult(outcome, tables)


def read_plan(out: Path) -> Study:
    """The study of a folder that `compare` made."""
    if not (out / "study.json").is_file():
        raise UserError(f"{out} holds no study.json; make it with `hf-cushing compare`")
    values = read_json(out / "study.json")["study"]
    values.pop("dataset_revision")
    return make_study(values, str(out / "study.json"))


def replay(out: Path, dataset: str, again: Path, *, tell: Tell, draws: int = DRAWS) -> list[str]:
    """Run a study anew in the folder `again`; the tables whose content came out differently."""
    old = read_json(out / "study.json")["study"]
    revision = load_faces(dataset).revision
    if revision != old["dataset_revision"]:
        raise UserError(
            f"--dataset {dataset} has revision {revision}, the study was made with "
            f"{old['dataset_revision']}; give the same dataset"
        )
    result = compare(read_plan(out), dataset, again, draws=draws, tell=tell)
    names = {table.name for table in result.tables}
    names |= {path.stem for path in (out / "tables").glob("*.csv")}
    return sorted(name for name in names if not _same(out, again, f"tables/{name}.csv"))


def _same(out: Path, again: Path, name: str) -> bool:
    paths = (out / name, again / name)
    return all(path.is_file() for path in paths) and paths[0].read_bytes() == paths[1].read_bytes()


def _claim(out: Path, record: dict[str, Any], *, write: bool) -> None:
    """Refuse a folder of another study; its cells would be mixed up in the tables."""
    path = out / "study.json"
    if path.is_file():
        found = read_json(path)["study"]
        if found != record:
            names = sorted(k for k in record if found.get(k) != record[k])
            raise UserError(
                f"{out} belongs to another study ({', '.join(names)} differ); give another --out"
            )
    elif write:
        write_json(path, {"schema_version": SCHEMA_VERSION, "study": record})


def _whole_arms(cells: Sequence[Cell], outcome: Outcome) -> list[Cell]:
    """Cells of arms of which none failed."""
    done = set(outcome.done)
    broken = {cell.arm for cell in cells if cell not in done}
    return [cell for cell in cells if cell.arm not in broken]


def _write(
    out: Path,
    results: Sequence[LabelResult],
    tables: Sequence[Table],
    record: dict[str, Any],
    *,
    outcome: Outcome,
    left_out: dict[str, str],
) -> None:
    """Tables first, the record last."""
    for table in tables:
        write_text(out / "tables" / f"{table.name}.csv", table_to_csv(table))
    write_text(out / "study.md", tables_to_markdown(tables))
    write_text(out / "study.tex", tables_to_latex(tables))
    figures = _figures(out, results)
    page = tables_to_page(
        f"Comparison of models, {len(outcome.done)} runs",
        verdicts=_verdicts(results, tables),
        tables=tables,
        figures=figures,
        failed=outcome.failed,
        left_out=left_out,
    )
    write_text(out / "study.html", page)
    costs = [_cost(cell) for cell in outcome.done]
    facts = {
        "schema_version": SCHEMA_VERSION,
        "notice": RESEARCH_NOTICE,
        "study": record,
        "finished": time.strftime("%Y-%m-%d"),
        "environment": environment(),
        "devices": devices(),
        "seconds": round(sum(cost["seconds"] for cost in costs), 1),
        "energy_kwh": sum(cost["energy_kwh"] or 0 for cost in costs) or None,
        "cells": costs,
        "failed": outcome.failed,
        "left_out": left_out,
        "tables": {table.name: plain([table.header, *table.body]) for table in tables},
    }
    write_json(out / "study.json", facts)


def _verdicts(results: Sequence[LabelResult], tables: Sequence[Table]) -> list[str]:
    found = [f"{result.label}: {winner_sentence(result)}" for result in results]
    return found + [table.notes[0] for table in tables if table.name.startswith("mitigation_")]


def _figures(out: Path, results: Sequence[LabelResult]) -> list[tuple[str, str]]:
    """Captions and embedded pictures."""
    found = []
    for result in results:
        arms, spread = (out / f"{kind}_{result.label}.png" for kind in ("arms", "gap_cost"))
        plot_arms(arms, result)
        plot_gap_and_cost(spread, result)
        found.append((f"{result.label}: AUROC and F1 of every arm, the best AUROC on top.", arms))
        found.append(
            (f"{result.label}: F1 against the gap of the sexes, and against time.", spread)
        )
        for number, (name, arms) in enumerate(models_of(result)):
            path = out / f"mitigation_{result.label}_{number}.png"
            plot_mitigations(path, name, arms)
            found.append((f"{result.label}: the worse sex and all together, {name}.", path))
    return [(caption, embed(path)) for caption, path in found]


def _cost(cell: Cell) -> dict[str, Any]:
    manifest = read_json(cell.folder / "manifest.json")
    return {
        "cell": cell.folder.name,
        "model_revision": manifest["model_revision"],
        "seconds": manifest["run"]["seconds"],
        "processes": manifest["run"]["processes"],
        "energy_kwh": manifest["run"].get("energy_kwh"),
    }

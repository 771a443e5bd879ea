"""The folder of a study: tables, figures, one page, and the record of what was run."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hf_cushing.compare.cells import StudyOutcome
from hf_cushing.compare.figures import (
    plot_arms,
    plot_forest,
    plot_gap_and_cost,
    plot_learning,
    plot_mitigations,
)
from hf_cushing.compare.grid import Cell
from hf_cushing.compare.learning import LearningCurve
from hf_cushing.compare.mitigation import mitigated_models
from hf_cushing.compare.results import LabelResult
from hf_cushing.evaluation.origin import origin_of
from hf_cushing.files import PageHead, plain, write_json, write_text
from hf_cushing.reports.page import tables_to_page
from hf_cushing.reports.table import table_to_csv, tables_to_latex, tables_to_markdown
from hf_cushing.schema import RESEARCH_NOTICE
from hf_cushing.training.environment import devices, environment

SCHEMA_VERSION = 1

NAMED = 4
"""Models that the head of the page names."""

FOREST = (
    "AUROC on test with its 95 % interval: networks, the best first, and the baselines that they "
    "must beat. Pale: too few patients for a statement."
)


def write_study(
    out: Path,
    record: dict[str, Any],
    outcome: StudyOutcome,
    results: Sequence[LabelResult],
    curves: Sequence[LearningCurve] = (),
) -> None:
    """Write tables and figures first, ``study.json`` last.

    Parameters
    ----------
    out : Path
    record : dict
        The study, by which the folder is known.
    outcome : StudyOutcome
        With its tables.
    """
    tables = outcome.tables
    for table in tables:
        write_text(out / "tables" / f"{table.name}.csv", table_to_csv(table))
    write_text(out / "study.md", tables_to_markdown(tables))
    write_text(out / "study.tex", tables_to_latex(tables))
    forest = out / "forest.png"
    plot_forest(forest, results)
    page = tables_to_page(
        f"Comparison of models, {len(outcome.done)} runs",
        head=_head(outcome.done),
        screen=outcome.screen,
        lead=(FOREST, forest),
        tables=tables,
        figures=[*_figures(out, results), *_curves(out, curves)],
        failed=outcome.failed,
        left_out=outcome.left_out,
    )
    write_text(out / "study.html", page)
    write_record(out, record, _facts(outcome))


def _head(cells: Sequence[Cell]) -> PageHead:
    """Of all runs; the tables name the models one by one."""
    manifests = [cell.run.manifest for cell in cells]
    origin = origin_of(manifests, [cell.name for cell in cells])
    models = list(dict.fromkeys(cell.arm.name for cell in cells))
    few = "; ".join(models[:NAMED]) + (
        f"; and {len(models) - NAMED} more" if models[NAMED:] else ""
    )
    return replace(origin.head, run=f"{len(cells)}, under cells/", model=few)


def _facts(outcome: StudyOutcome) -> dict[str, Any]:
    """What ``study.json`` says of the runs, beside the study."""
    costs = [_cost(cell) for cell in outcome.done]
    return {
        "notice": RESEARCH_NOTICE,
        "finished": time.strftime("%Y-%m-%d"),
        "environment": environment(),
        "devices": devices(),
        "seconds": round(sum(cost["seconds"] for cost in costs), 1),
        "energy_kwh": sum(cost["energy_kwh"] or 0 for cost in costs) or None,
        "cells": costs,
        "failed": outcome.failed,
        "left_out": outcome.left_out,
        "verdicts": outcome.verdicts,
        "tables": {table.name: plain([table.header, *table.body]) for table in outcome.tables},
    }


def write_record(out: Path, record: dict[str, Any], facts: dict[str, Any] | None = None) -> None:
    """Write ``study.json``: the study, and what is known of its runs once it is finished."""
    write_json(
        out / "study.json", {"schema_version": SCHEMA_VERSION, "study": record} | (facts or {})
    )


def _figures(out: Path, results: Sequence[LabelResult]) -> Iterator[tuple[str, Path]]:
    """Draw; captions and paths."""
    for result in results:
        arms, spread = (out / f"{kind}_{result.label}.png" for kind in ("arms", "gap_cost"))
        plot_arms(arms, result)
        yield f"{result.label}: AUROC and F1 of every arm, the best AUROC on top.", arms
        plot_gap_and_cost(spread, result)
        yield f"{result.label}: F1 against the gap of the sexes, and against time.", spread
        for number, (name, own) in enumerate(mitigated_models(result)):
            path = out / f"mitigation_{result.label}_{number}.png"
            plot_mitigations(path, name, own)
            yield f"{result.label}: the worse sex and all together, {name}.", path


def _curves(out: Path, curves: Sequence[LearningCurve]) -> Iterator[tuple[str, Path]]:
    for label in dict.fromkeys(curve.label for curve in curves):
        path = out / f"learning_{label}.png"
        plot_learning(path, [curve for curve in curves if curve.label == label])
        yield f"{label}: AUROC against the patients who trained, on the same test photos.", path


def _cost(cell: Cell) -> dict[str, Any]:
    manifest = cell.run.manifest
    facts = manifest["run"]
    return {
        "cell": cell.folder.name,
        "model_revision": manifest["model_revision"],
        "seconds": facts["seconds"],
        "processes": facts["processes"],
        "energy_kwh": facts.get("energy_kwh"),
    }

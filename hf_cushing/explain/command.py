"""From a run and a dataset to a report folder."""

from __future__ import annotations

from pathlib import Path

from hf_cushing.data.options import Progress
from hf_cushing.evaluation.command import origin_of_runs
from hf_cushing.explain.cohort import Explained, explain_cohort, load_cohort
from hf_cushing.explain.findings import Findings, findings_of
from hf_cushing.explain.marked_masks import read_masks
from hf_cushing.explain.options import ExplainOptions
from hf_cushing.explain.reader_regions import read_reader_regions
from hf_cushing.explain.report import write_explanation
from hf_cushing.files import check_report_folder
from hf_cushing.run import Run

BATCHES = "batches"
"""Folder of finished batches: numbers and small heatmaps, no photos."""


def explain_to(
    out: Path,
    run: Run,
    dataset: str,
    options: ExplainOptions,
    *,
    readers: Path | None = None,
    masks: Path | None = None,
    thumbnails: bool = True,
    progress: Progress,
) -> tuple[Explained, Findings]:
    """Explain a run on a split and write the report; see `load_cohort` for errors.

    Parameters
    ----------
    out : Path
        Called again with the same folder, what is computed is not computed again.
    readers : Path, optional
        Table for `read_reader_regions`.
    masks : Path, optional
        Folder for `read_masks`.
    """
    check_report_folder(out, "explain.json")
    cohort = load_cohort(run, dataset, options)
    # before hours of work, so that a wrong table is found at once
    marks = {
        "readers": read_reader_regions(readers, cohort.photo_ids) if readers else None,
        "masks": read_masks(masks, cohort.photo_ids, cohort.side) if masks else None,
    }
    explained = explain_cohort(cohort, out / BATCHES, options, progress)
    findings = findings_of(explained, **marks)
    origin = origin_of_runs([run], dataset, cohort.dataset_revision)
    write_explanation(out, explained, findings, options, origin=origin, thumbnails=thumbnails)
    return explained, findings

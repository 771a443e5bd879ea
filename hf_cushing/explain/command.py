"""From a run and a dataset to a report folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_cushing.data.options import Progress
from hf_cushing.explain.cohort import Explained, ExplainOptions, explain_run
from hf_cushing.explain.findings import READER_REGIONS, Findings, find, read_masks
from hf_cushing.explain.report import write_explanation
from hf_cushing.files import check_report_folder
from hf_cushing.stats.region_agreement import read_reader_regions

if TYPE_CHECKING:
    from datasets import Dataset

BATCHES = "batches"
"""Folder of finished batches: numbers and small heatmaps, no photos."""


def explain_to(
    out: Path,
    run: str,
    dataset: str,
    options: ExplainOptions,
    *,
    readers: Path | None = None,
    masks: Path | None = None,
    thumbnails: bool = True,
    progress: Progress,
) -> tuple[Explained, Findings]:
    """Explain a run on a split and write the report; see `explain_run` for errors.

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
    marks: dict[str, Any] = {}

    def read_people(photos: Dataset) -> None:
        """Before hours of work, so that a wrong table is found at once."""
        names, side = photos["photo_id"][:], photos[0]["image"].size[0]
        if readers:
            marks["readers"] = read_reader_regions(readers, photo_ids=names, regions=READER_REGIONS)
        if masks:
            marks["masks"] = read_masks(masks, names, side)

    work = out / BATCHES
    explained = explain_run(run, dataset, work, options, progress, check=read_people)
    found = find(explained, **marks)
    write_explanation(out, explained, found, options, thumbnails=thumbnails)
    return explained, found

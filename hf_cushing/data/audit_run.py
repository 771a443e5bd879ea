"""`hf-cushing audit`: a prepared dataset or a clinic folder in, ``audit.json`` and page out."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from hf_cushing.data.against import shared_persons
from hf_cushing.data.audit_input import AuditPhotos, Pictures, photos_of_crops, photos_of_folder
from hf_cushing.data.audit_report import run_audit
from hf_cushing.data.cohort import cohort_of, with_photo_ids
from hf_cushing.data.intake import read_intake
from hf_cushing.data.options import PrepareOptions, Progress
from hf_cushing.data.table import TABLE_NAMES, find_tables
from hf_cushing.schema import UserError


def audit(
    source: Path,
    out: Path,
    *,
    against: Path | None = None,
    identity: bool = True,
    thumbnails: bool = True,
    num_proc: int | None = None,
    progress: Progress = lambda title, total: lambda count: None,
) -> dict[str, Any]:
    """Audit a prepared dataset folder, or a clinic folder before it is prepared.

    In a clinic folder every pair of ids that seem to be one person counts as leakage, since a
    split may part them.

    Parameters
    ----------
    source : Path
    out : Path
        Folder that receives ``audit.json`` and ``audit.html``.
    against : Path, optional
        Another dataset or clinic folder: a person found in both counts as leakage.
    identity : bool
        Compare faces.
    thumbnails : bool
        Show faces in the page.

    Returns
    -------
    dict
        The content of ``audit.json``.
    """
    options = {"identity": identity, "num_proc": num_proc or os.cpu_count() or 1}
    with tempfile.TemporaryDirectory(prefix="hf-cushing-audit-") as work:
        photos, pictures = _photos_of(Path(source), Path(work, "here"), progress, **options)
        more = []
        if against is not None:
            other, _ = _photos_of(Path(against), Path(work, "there"), progress, **options)
            more = list(shared_persons(photos, other))
        return run_audit(Path(out), photos, pictures, thumbnails=thumbnails, more=more)


def _photos_of(
    source: Path, work: Path, progress: Progress, *, identity: bool, num_proc: int
) -> tuple[AuditPhotos, Pictures]:
    if (source / "data").is_dir() and not find_tables(source):
        return photos_of_folder(
            source,
            identity=identity,
            num_proc=num_proc,
            start=lambda total: progress("Measuring crops", total),
        )
    if not find_tables(source):
        raise UserError(
            f"{source} is neither a prepared dataset (data/*.parquet) nor a clinic folder "
            f"({', '.join(TABLE_NAMES)}); give one of them"
        )
    return clinic_photos(source, work, identity=identity, num_proc=num_proc, progress=progress)


def clinic_photos(
    raw: Path,
    work: Path,
    *,
    num_proc: int,
    identity: bool = True,
    progress: Progress = lambda title, total: lambda count: None,
) -> tuple[AuditPhotos, Pictures]:
    """Align and measure a clinic folder's photos, with crops under `work`, which must stay."""
    intake = with_photo_ids(read_intake(raw), progress)
    cohort = cohort_of(intake, work, PrepareOptions(identity=identity), num_proc, progress)
    if not cohort.kept:
        raise UserError(f"{intake.table}: no photo could be used; run `hf-cushing prepare` for why")
    return photos_of_crops(cohort.photos, cohort.outcomes, cohort.chunks, None)

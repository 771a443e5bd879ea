"""`hf-cushing audit`: a prepared dataset or a clinic folder in, ``audit.json`` and page out."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from hf_cushing.data.audit import shared_persons
from hf_cushing.data.audit_photos import AuditPhotos, photos_of_crops, photos_of_folder
from hf_cushing.data.audit_report import write_audit
from hf_cushing.data.crops import align_intake
from hf_cushing.data.intake import read_intake, with_photo_ids
from hf_cushing.data.options import Progress, no_progress
from hf_cushing.data.table import TABLE_NAMES, find_tables
from hf_cushing.schema import CROP_SIDE, UserError


def audit(
    source: Path,
    out: Path,
    *,
    against: Path | None = None,
    identity: bool = True,
    thumbnails: bool = True,
    num_proc: int | None = None,
    progress: Progress = no_progress,
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
    how = {"identity": identity, "num_proc": num_proc or os.cpu_count() or 1}
    how["progress"] = progress
    with tempfile.TemporaryDirectory(prefix="hf-cushing-audit-") as work:
        photos = _photos_of(Path(source), Path(work, "here"), **how)
        more = []
        if against is not None:
            other = _photos_of(Path(against), Path(work, "there"), **how)
            more = list(shared_persons(photos, other))
        return write_audit(Path(out), photos, thumbnails=thumbnails, more=more)


def _photos_of(
    source: Path, work: Path, *, identity: bool, num_proc: int, progress: Progress
) -> AuditPhotos:
    how = {"identity": identity, "num_proc": num_proc, "progress": progress}
    if find_tables(source):
        return clinic_photos(source, work, **how)
    if (source / "data").is_dir():
        return photos_of_folder(source, **how)
    raise UserError(
        f"{source} is neither a prepared dataset (data/*.parquet) nor a clinic folder "
        f"({', '.join(TABLE_NAMES)}); give one of them"
    )


def clinic_photos(
    raw: Path,
    work: Path,
    *,
    num_proc: int,
    identity: bool = True,
    progress: Progress = no_progress,
) -> AuditPhotos:
    """Align and measure a clinic folder's photos, with crops under `work`, which must stay."""
    intake = with_photo_ids(read_intake(raw), progress)
    crops = align_intake(
        intake, work, side=CROP_SIDE, identity=identity, num_proc=num_proc, progress=progress
    )
    if not crops.kept:
        raise UserError(f"{intake.table}: no photo could be used; run `hf-cushing prepare` for why")
    return photos_of_crops(crops)

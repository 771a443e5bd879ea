"""`hf-cushing audit`: ``audit.json`` for programs and ``audit.html`` for people."""

from __future__ import annotations

import base64
import io
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hf_cushing import __version__
from hf_cushing.data.audit import Finding, find_problems, flag_quality, shared_persons
from hf_cushing.data.audit_photos import AuditPhotos, photos_of
from hf_cushing.data.counts import count_cells
from hf_cushing.data.losses import loss_warnings
from hf_cushing.data.options import Progress, no_progress
from hf_cushing.data.pairs import IDENTITY_DISTANCE, IDENTITY_RATIO
from hf_cushing.data.parquet import revision_of, shards_of
from hf_cushing.data.probes import RAISED_ABOVE, Probe, run_probes
from hf_cushing.faces.photo import encode_crop
from hf_cushing.files import PageHead, read_json, render_page, write_json, write_text
from hf_cushing.schema import RESEARCH_NOTICE, UserError, counted

THUMBNAIL_SIDE = 96
SHOWN_FINDINGS = 200
SHOWN_A_FLAG = 8


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
    source = Path(source)
    with tempfile.TemporaryDirectory(prefix="hf-cushing-audit-") as work:
        photos = photos_of(source, Path(work, "here"), **how)
        more = []
        if against is not None:
            more = shared_persons(photos, photos_of(Path(against), Path(work, "there"), **how))
        prepared = bool(shards_of(source))
        head = dataset_head(source if prepared else None, photos)
        return write_audit(Path(out), photos, head=head, thumbnails=thumbnails, more=list(more))


def dataset_head(prepared: Path | None, photos: AuditPhotos) -> PageHead:
    """The head of a page about a cohort: no folder's name and no date, so that the same photos
    give the same bytes.

    Parameters
    ----------
    prepared : Path, optional
        The dataset's folder, once it is there.
    """
    revision = f"revision {revision_of(prepared)}" if prepared else "not prepared"
    patients = len(set(photos.columns["patient_id"].tolist()))
    counts = f"{counted(len(photos), 'photo')} of {counted(patients, 'patient')}"
    return PageHead(dataset=f"{revision}; {counts}")


def write_audit(
    out: Path,
    photos: AuditPhotos,
    *,
    head: PageHead,
    thumbnails: bool,
    more: Sequence[Finding] = (),
) -> dict[str, Any]:
    """Audit a cohort and write ``audit.json`` and ``audit.html`` into `out`.

    Parameters
    ----------
    head : PageHead
        Of `dataset_head`.
    more : sequence of Finding
        Made elsewhere, to be told with the others.

    Returns
    -------
    dict
        The content of ``audit.json``.
    """
    columns = photos.columns
    findings, probes = find_problems(photos, more), run_probes(photos)
    facts = {
        "notice": RESEARCH_NOTICE,
        "version": __version__,
        "photos": len(photos),
        "patients": len(set(columns["patient_id"].tolist())),
        "identity_checked": photos.identity_checked,
        "identity_ratio": IDENTITY_RATIO,
        "identity_distance": IDENTITY_DISTANCE,
        "leaks": sum(finding.leak for finding in findings),
        "contradictions": sum(finding.contradicts for finding in findings),
        "warnings": list(_warnings(photos, findings, probes)),
        "findings": [_finding_to_json(finding, photos) for finding in findings],
        "probes": [_probe_to_json(probe) for probe in probes],
        "losses": photos.losses,
        "counts": count_cells(columns, ("label", "sex", "site", "split")),
        "quality": flag_quality(photos),
    }
    text = render_page(
        "audit.html.jinja",
        title="Audit of a face dataset",
        head=head,
        facts=facts,
        probes=probes,
        images=_thumbnails(facts, photos) if thumbnails else {},
        counts=_by_split(facts["counts"]),
        shown_findings=SHOWN_FINDINGS,
        shown_a_flag=SHOWN_A_FLAG,
        raised_above=RAISED_ABOVE,
    )
    write_text(out / "audit.html", text)
    write_json(out / "audit.json", facts)
    return facts


def read_audit(folder: Path) -> dict[str, Any]:
    """Read the ``audit.json`` of a prepared dataset."""
    if not (folder / "audit.json").is_file():
        raise UserError(f"{folder} holds no audit.json; run `hf-cushing audit {folder}`")
    return read_json(folder / "audit.json")


def findings_of(found: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """The findings of an ``audit.json`` that are a ``leak``, or that are ``contradicts``."""
    return [finding for finding in found["findings"] if finding.get(kind)]


def check_audit(found: dict[str, Any], out: Path, *, again: str) -> None:
    """Refuse a dataset in which a person may be on both sides of a split.

    Parameters
    ----------
    found : dict
        The content of ``audit.json``.
    out : Path
        Where ``audit.html`` is.
    again : str
        How to prepare it instead.

    Raises
    ------
    UserError
        Also of one person with two labels or sexes.
    """
    leaks, wrong = (findings_of(found, kind) for kind in ("leak", "contradicts"))
    if leaks:
        raise UserError(
            f"a person may be on both sides of a split ({counted(len(leaks), 'pair')}). Look at "
            f"{out / 'audit.html'}; then correct the table, or prepare with {again}, "
            "or, if they are different people, add --allow"
        )
    if wrong:
        raise UserError(
            f"one person seems to stand under two ids with two labels or sexes ({len(wrong)} "
            f"pairs). The dataset is written, but before you train on it look at "
            f"{out / 'audit.html'}; then correct the table, or, if they are different people, "
            "write 'different' in the first column of pairs.csv and prepare again with "
            "--decisions pairs.csv --overwrite, or add --allow"
        )


def _finding_to_json(finding: Finding, photos: AuditPhotos) -> dict[str, Any]:
    rows = list(finding.photos)
    named = {
        f"{name}s": photos.columns[name][rows].tolist()
        for name in ("photo_id", "patient_id", "row", "split")
    }
    return {
        "kind": finding.kind,
        "leak": finding.leak,
        "contradicts": finding.contradicts,
        "text": finding.text,
        "ratio": round(finding.ratio, 3),
        **named,
    }


def _probe_to_json(result: Probe) -> dict[str, Any]:
    numbers = {name: round(getattr(result, name), 3) for name in ("auroc", "low", "high")}
    words = {name: getattr(result, name) for name in ("name", "kind", "raised", "reason")}
    return words | numbers


def _warnings(
    photos: AuditPhotos, findings: Sequence[Finding], probes: Sequence[Probe]
) -> Iterator[str]:
    if not photos.identity_checked:
        yield "whether one person stands under two patient ids was not checked"
    yield from loss_warnings(photos.losses)
    for result in probes:
        figure = f"AUROC {result.auroc:.2f} ({result.low:.2f}–{result.high:.2f})"
        if result.raised and result.kind == "shortcut":
            yield (
                f"'{result.name}' alone predicts the label, {figure}: a model may learn it "
                "instead of the face; balance it, or test on a site where it differs"
            )
        elif result.raised:
            yield (
                f"'{result.name}' differs between the labels, {figure}: part of what a model "
                "learns may be that; match the groups, or report within strata"
            )
    kinds = [finding.kind for finding in findings if not finding.leak]
    for kind, text in _OTHERS.items():
        if count := kinds.count(kind):
            yield f"{count} × {text}"


_OTHERS = {
    "contradiction": "one patient id with two labels or sexes",
    "other_face": "a photo that seems to show another person than its patient's others",
    "near_duplicate": "one photo twice, on one side of the split",
    "same_photo": "the same file twice, on one side of the split",
    "same_person": "seemingly one person under two ids, on one side of the split",
    "same_id": "two ids that differ only in zeros, capitals or spaces: probably one person",
}


def _by_split(counts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Counts with one row for each label × sex × site, and a cell for each split."""
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for cell in counts:
        key = (cell["label"], cell["sex"], cell["site"])
        row = rows.setdefault(key, {"cells": {}})
        row |= {"label": key[0], "sex": key[1], "site": key[2]}
        row["cells"][cell["split"]] = f"{cell['photos']} ({cell['patients']})"
    return list(rows.values())


def _thumbnails(facts: dict[str, Any], photos: AuditPhotos) -> dict[str, str]:
    """Small copies of the photos that the page shows, by photo_id, as data URIs."""
    some = [finding["photo_ids"] for finding in facts["findings"][:SHOWN_FINDINGS]]
    some += [flag["photo_ids"][:SHOWN_A_FLAG] for flag in facts["quality"]]
    photo_ids = photos.columns["photo_id"]
    shown = np.isin(photo_ids, [name for names in some for name in names])
    pictures = photos.pictures(np.flatnonzero(shown).tolist()) if shown.any() else {}
    return {str(photo_ids[row]): thumbnail(image) for row, image in pictures.items()}


def thumbnail(image: bytes, side: int = THUMBNAIL_SIDE) -> str:
    """A small copy of a picture as data URI."""
    small = Image.open(io.BytesIO(image)).convert("RGB")
    small.thumbnail((side, side))
    return "data:image/jpeg;base64," + base64.b64encode(encode_crop(small)).decode()

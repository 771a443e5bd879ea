"""``audit.json`` and ``audit.html``: what the audit found, for programs and for people."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from hf_cushing import __version__
from hf_cushing.data.audit import (
    Audit,
    Finding,
    audit_photos,
)
from hf_cushing.data.audit_photos import AuditPhotos
from hf_cushing.data.pairs import IDENTITY_DISTANCE, IDENTITY_RATIO
from hf_cushing.data.probes import RAISED_ABOVE, Probe
from hf_cushing.faces.photo import encode_crop
from hf_cushing.files import read_json, render_template, write_json, write_text
from hf_cushing.schema import RESEARCH_NOTICE, UserError

THUMBNAIL_SIDE = 96
SHOWN_FINDINGS = 200
SHOWN_A_FLAG = 8


def write_audit(
    out: Path, photos: AuditPhotos, *, thumbnails: bool, more: Sequence[Finding] = ()
) -> dict[str, Any]:
    """Audit a cohort and write ``audit.json`` and ``audit.html`` into `out`.

    Parameters
    ----------
    more : sequence of Finding
        Made elsewhere, to be told with the others.

    Returns
    -------
    dict
        The content of ``audit.json``.
    """
    audit = audit_photos(photos, more)
    facts = audit_to_json(audit, photos)
    shown = _rows_shown(audit) if thumbnails else []
    pictures = photos.pictures(shown) if shown else {}
    images = {row: _thumbnail(image) for row, image in pictures.items()}
    text = render_template(
        "audit.html.jinja",
        facts=facts,
        audit=audit,
        columns=photos.columns,
        images=images,
        counts=_by_split(audit.counts),
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


def audit_to_json(audit: Audit, photos: AuditPhotos) -> dict[str, Any]:
    """Everything the audit found, photos by photo_id."""
    ids = photos.columns["photo_id"]
    return {
        "notice": RESEARCH_NOTICE,
        "version": __version__,
        "photos": audit.photos,
        "patients": audit.patients,
        "identity_checked": audit.identity_checked,
        "identity_ratio": IDENTITY_RATIO,
        "identity_distance": IDENTITY_DISTANCE,
        "leaks": len(audit.leaks),
        "warnings": list(_warnings(audit)),
        "findings": [_finding_to_json(finding, photos) for finding in audit.findings],
        "probes": [_probe_to_json(result) for result in audit.probes],
        "counts": audit.counts,
        "quality": [
            {k: v for k, v in flag.items() if k != "rows"}
            | {"photo_ids": ids[flag["rows"]].tolist()}
            for flag in audit.quality
        ],
    }


def _finding_to_json(finding: Finding, photos: AuditPhotos) -> dict[str, Any]:
    rows = list(finding.photos)
    named = {
        f"{name}s": photos.columns[name][rows].tolist()
        for name in ("photo_id", "patient_id", "row", "split")
    }
    return {
        "kind": finding.kind,
        "leak": finding.leak,
        "text": finding.text,
        "ratio": round(finding.ratio, 3),
        **named,
    }


def _probe_to_json(result: Probe) -> dict[str, Any]:
    numbers = {name: round(getattr(result, name), 3) for name in ("auroc", "low", "high")}
    words = {name: getattr(result, name) for name in ("name", "kind", "raised", "reason")}
    return words | numbers


def _warnings(audit: Audit) -> list[str]:
    lines = []
    if not audit.identity_checked:
        lines.append("whether one person stands under two patient ids was not checked")
    for result in audit.probes:
        figure = f"AUROC {result.auroc:.2f} ({result.low:.2f}–{result.high:.2f})"
        if result.raised and result.kind == "shortcut":
            lines.append(
                f"'{result.name}' alone predicts the label, {figure}: a model may learn it "
                "instead of the face; balance it, or test on a site where it differs"
            )
        elif result.raised:
            lines.append(
                f"'{result.name}' differs between the labels, {figure}: part of what a model "
                "learns may be that; match the groups, or report within strata"
            )
    kinds = [finding.kind for finding in audit.findings if not finding.leak]
    for kind, text in _OTHERS.items():
        if count := kinds.count(kind):
            lines.append(f"{count} × {text}")
    return lines


_OTHERS = {
    "contradiction": "one patient id with two labels or sexes",
    "other_face": "a photo that seems to show another person than its patient's others",
    "near_duplicate": "one photo twice, on one side of the split",
    "same_photo": "the same file twice, on one side of the split",
    "same_person": "seemingly one person under two ids, on one side of the split",
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


def _rows_shown(audit: Audit) -> list[int]:
    rows = {row for finding in audit.findings[:SHOWN_FINDINGS] for row in finding.photos}
    rows |= {row for flag in audit.quality for row in flag["rows"][:SHOWN_A_FLAG]}
    return sorted(rows)


def _thumbnail(image: bytes) -> str:
    """A small copy as data URI."""
    small = Image.open(io.BytesIO(image)).convert("RGB")
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    return "data:image/jpeg;base64," + base64.b64encode(encode_crop(small)).decode()

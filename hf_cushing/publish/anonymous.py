"""What of a run may leave the house: predictions and manifest that name nobody."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from hf_cushing.evaluation.predictions import Predictions

KEPT = ("config", "dataset_revision", "labels", "model_revision", "run", "cells", "environment")
"""Parts of a manifest that go; the list of photos seen in training stays."""

REGIONS = ("schema_version", "version", "notice", "model_revision", "label", "photos",
           "best_method")  # fmt: skip
CHANGE = ("schema_version", "version", "notice", "model_revision", "label", "repeatability")
"""Parts of ``explain.json`` and ``followup.json`` that go: what a Space reads of them."""

WINDOWS = re.compile(r"[A-Za-z]:\\|\\\\")


def anonymous_predictions(predictions: Predictions) -> Predictions:
    """Scores with class, sex, split and fold; patients and photos become numbers.

    Photos of one patient keep one number, so that intervals by patient can be rebuilt. Numbers
    are given in the order of what is published anyway (classes and scores), never of ids or
    rows: they can't be traced back, and the same predictions give the same numbers.

    Age, site and all other attributes are dropped, and so is the hash of the photo's file: with
    it, anyone who has the file could look the diagnosis up. Someone who holds the very photo and
    the model can still find the row that has its score.
    """
    p = predictions
    words = zip(p.split.tolist(), p.label.tolist(), p.sex.tolist(), strict=True)
    numbers = zip(p.fold.tolist(), p.seed.tolist(), p.probabilities.tolist(), strict=True)
    content = list(zip(words, numbers, strict=True))
    rows_of: dict[str, list[int]] = {}
    for row, patient in enumerate(p.patient_id.tolist()):
        rows_of.setdefault(patient, []).append(row)
    ordered = [sorted(rows, key=content.__getitem__) for rows in rows_of.values()]
    ordered.sort(key=lambda rows: [content[row] for row in rows])
    patients, photos = [""] * len(p), [""] * len(p)
    width, photo = len(str(len(p))), 0
    for number, rows in enumerate(ordered, start=1):
        for row in rows:
            photo += 1
            patients[row] = f"patient-{number:0{width}d}"
            photos[row] = f"photo-{photo:0{width}d}"
    return replace(p, patient_id=np.array(patients), photo_id=np.array(photos), attributes={})


def public_manifest(manifest: dict[str, Any], *, drawn: bool = False) -> dict[str, Any]:
    """How the run was made, without photos, and without paths of this machine.

    Public predictions don't tell the source of the photos; `drawn` says that all are drawings.
    """
    kept = {name: _without_paths(manifest[name]) for name in KEPT if name in manifest}
    return kept | ({"drawn": True} if drawn else {})


def public_companions(regions: dict[str, Any], change: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """``explain.json`` and ``followup.json``, where they are given, without photos and patients."""
    parts = {"explain.json": (regions, REGIONS), "followup.json": (change, CHANGE)}
    return {
        file: {name: content[name] for name in names if name in content}
        for file, (content, names) in parts.items()
        if content
    }


def _without_paths(value: Any) -> Any:
    """Of an absolute path its last part."""
    if isinstance(value, dict):
        return {name: _without_paths(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_without_paths(item) for item in value]
    if isinstance(value, str) and WINDOWS.match(value):
        return PureWindowsPath(value).name
    if isinstance(value, str) and value.startswith(("/", "~")):
        return PurePosixPath(value).name
    return value

"""The audit: leakage, contradictions, shortcuts and photo quality of a cohort."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hf_cushing.data.audit_photos import AuditPhotos
from hf_cushing.data.groups import alike_ids
from hf_cushing.data.pairs import (
    LOOK_ALIKES,
    exact_copies,
    local_scales,
    near_duplicates,
    same_person_pairs,
)
from hf_cushing.data.persons import decided
from hf_cushing.faces.quality import QUALITY_LIMITS
from hf_cushing.schema import CONTROL

OTHER_FACE_RATIO = 1.05
"""A photo at least this far from all others of its patient shows somebody else: 99 % of the
pairs of strangers lie above, 1 of 411 pairs of one person (`benchmarks/identity.py`)."""

ALIKE = {
    "same_photo": "the same file",
    "near_duplicate": "the same photo, saved anew,",
    "same_person": "seemingly the same person",
}
"""Ways of two photos to be alike, the strongest first, in words."""


@dataclass(frozen=True)
class Finding:
    """Something to look at.

    Attributes
    ----------
    kind : str
        ``same_photo``, ``near_duplicate``, ``same_person``, ``same_id``, ``other_face``,
        ``contradiction``, ``patient_in_two_splits``, ``in_other_dataset``.
    leak : bool
        It lets a person be on both sides of a split or fold.
    photos : tuple of int
        Row numbers of the photos concerned.
    text : str
    ratio : float
        Of the descriptors' or miniatures' distance; NaN where it does not apply.
    contradicts : bool
        One person under two ids with two labels or sexes: one of them is wrong.
    """

    kind: str
    leak: bool
    photos: tuple[int, ...]
    text: str
    ratio: float = math.nan
    contradicts: bool = False


def find_problems(photos: AuditPhotos, more: Sequence[Finding] = ()) -> list[Finding]:
    """Leaks first, then what contradicts itself or stands twice; `more` were found elsewhere."""
    findings = [*more, *_find_alike(photos), *_find_alike_ids(photos)]
    findings += _find_contradictions(photos)
    if photos.identity_checked:
        findings += _find_other_faces(photos)
    return sorted(findings, key=lambda f: (not f.leak, not f.contradicts, f.kind))


def shared_persons(photos: AuditPhotos, other: AuditPhotos) -> Iterator[Finding]:
    """One finding for each pair of patients, one of either dataset, who seem to be one person.

    An external test set must hold none of the training's.

    Parameters
    ----------
    photos : AuditPhotos
        The dataset that is audited; findings name its rows.
    other : AuditPhotos
        The dataset it must be free of, usually that of the training.
    """
    count = len(photos)
    persons = np.concatenate(
        [
            np.char.add(side, part.columns["patient_id"].astype(str))
            for side, part in (("here ", photos), ("there ", other))
        ]
    )
    photo_ids = np.concatenate([part.columns["photo_id"] for part in (photos, other)])
    thumbprints, descriptors = (
        np.concatenate([getattr(part.measures, name) for part in (photos, other)])
        for name in ("thumbprint", "descriptor")
    )
    seen = set()
    for kind, i, j, ratio in _alike(photo_ids, persons, thumbprints, descriptors):
        if i < count <= j and (persons[i], persons[j]) not in seen:
            seen.add((persons[i], persons[j]))
            text = f"{ALIKE[kind]} as photo {photo_ids[j]} of the other dataset"
            yield Finding("in_other_dataset", True, (i,), text, ratio)


def _alike(
    photo_ids: np.ndarray, patients: np.ndarray, thumbprints: np.ndarray, descriptors: np.ndarray
) -> Iterator[tuple[str, int, int, float]]:
    """Pairs of rows in the order of `ALIKE`, the nearest first: kind, rows, ratio."""
    found = {
        "same_photo": exact_copies(photo_ids),
        "near_duplicate": near_duplicates(thumbprints, patients),
    }
    if np.isfinite(descriptors).all():
        found["same_person"] = same_person_pairs(descriptors, patients)
    for kind, pairs in found.items():
        columns = (column.tolist() for column in (pairs.first, pairs.second, pairs.ratio))
        yield from ((kind, i, j, ratio) for i, j, ratio in zip(*columns, strict=True))


def _find_alike(photos: AuditPhotos) -> Iterator[Finding]:
    """One finding for each pair of patients, the strongest; copies within a patient too."""
    patient, measures = photos.columns["patient_id"], photos.measures
    names = (photos.columns["photo_id"].tolist(), patient.tolist())
    said = decided(*names, photos.decisions)
    seen: set[tuple[Any, Any]] = {pair for pair, word in said.items() if word == "different"}
    for kind, i, j, ratio in _alike(
        photos.columns["photo_id"], patient, measures.thumbprint, measures.descriptor
    ):
        one = patient[i] == patient[j]
        pair = (i, j) if one else tuple(sorted((patient[i], patient[j])))
        if pair in seen or (one and kind == "same_person"):
            continue
        seen.add(pair)
        if one:
            yield Finding(kind, False, (i, j), "one photo twice, of one patient", ratio)
        else:
            where, unlike = _apart(photos, i, j), _unlike(photos, i, j)
            more = ", ".join(["", *filter(None, [where, unlike])])
            text = f"{ALIKE[kind]} under two patient ids{more}"
            yield Finding(kind, bool(where), (i, j), text, ratio, bool(unlike))


def _unlike(photos: AuditPhotos, i: int, j: int) -> str:
    """Say in words where two photos differ that show one person."""
    values = {name: photos.columns[name][[i, j]].tolist() for name in ("label", "sex")}
    return " and ".join(f"with {n} '{a}' and '{b}'" for n, (a, b) in values.items() if a != b)


def _find_alike_ids(photos: AuditPhotos) -> Iterator[Finding]:
    """Ids that differ only in their dress; `prepare` keeps them together, others may not have."""
    for later, first in alike_ids(photos.columns["patient_id"].tolist()):
        where = _apart(photos, later, first) if photos.columns["split"][later] else ""
        text = (
            "probably one person: two ids that differ only in zeros, capitals, spaces or the like"
        )
        yield Finding("same_id", bool(where), (first, later), text + (where and f", {where}"))


def _apart(photos: AuditPhotos, i: int, j: int) -> str:
    """Say in words where two photos are kept apart; empty if they stay on one side."""
    split = photos.columns["split"]
    if not split[i]:
        return "which a split may separate"
    if split[i] != split[j]:
        return f"one in {split[i]}, one in {split[j]}"
    if any(photos.columns[fold][i] != photos.columns[fold][j] for fold in photos.folds):
        return "in different folds"
    return ""


def _find_other_faces(photos: AuditPhotos) -> Iterator[Finding]:
    """Photos that resemble none of the others of their patient."""
    patients, vectors = photos.columns["patient_id"], photos.measures.descriptor
    scales = local_scales(vectors, patients, LOOK_ALIKES)
    for rows in _rows_by(patients).values():
        if len(rows) < 2:
            continue
        block = vectors[rows]
        distance = np.sqrt(((block[:, None] - block[None]) ** 2).sum(-1))
        ratio = distance / (scales[rows, None] / 2 + scales[None, rows] / 2)
        np.fill_diagonal(ratio, np.inf)
        nearest = ratio.argmin(1)
        for one, other in enumerate(nearest.tolist()):
            value = float(ratio[one, other])
            mutual = nearest[other] == one and other < one
            if value > OTHER_FACE_RATIO and np.isfinite(value) and not mutual:
                text = "seemingly another person than on the patient's other photos"
                yield Finding("other_face", False, (rows[one], rows[other]), text, value)


def _find_contradictions(photos: AuditPhotos) -> Iterator[Finding]:
    """Patients with two labels, sexes, splits or folds."""
    names = ["label", "sex", "split", *photos.folds]
    for rows in _rows_by(photos.columns["patient_id"]).values():
        for name in names:
            values = photos.columns[name][rows]
            others = np.flatnonzero(values != values[0])
            if len(others):
                leak = name not in ("label", "sex")
                kind = "patient_in_two_splits" if leak else "contradiction"
                text = f"one patient id with {name} '{values[0]}' and '{values[others[0]]}'"
                yield Finding(kind, leak, (rows[0], rows[int(others[0])]), text)


def _rows_by(values: np.ndarray) -> dict[Any, list[int]]:
    rows: dict[Any, list[int]] = defaultdict(list)
    for row, value in enumerate(values.tolist()):
        rows[value].append(row)
    return rows


def flag_quality(photos: AuditPhotos) -> list[dict[str, Any]]:
    """For each flag the photos, and its share among the controls and the others."""
    values, view = photos.quality, photos.columns["view"]
    flags = []
    for flag, (name, low, high) in QUALITY_LIMITS.items():
        beyond = (values[name] < low) | (values[name] > high)
        flags.append(_flag(photos, flag, name, _range_text(low, high), beyond))
    yaw, limit = np.abs(values["yaw"]), QUALITY_LIMITS["turned"][2]
    side = np.isin(view, ["left", "right", "oblique"])
    wrong = (side & (yaw < limit / 2)) | ((view == "frontal") & (yaw > 1.5 * limit))
    text = f"frontal > {1.5 * limit:g}, others < {limit / 2:g}"
    return [*flags, _flag(photos, "not the view it is listed as", "yaw", text, wrong)]


def _flag(
    photos: AuditPhotos, flag: str, measure: str, limit: str, beyond: np.ndarray
) -> dict[str, Any]:
    control = photos.columns["label"] == CONTROL
    shares = [float(beyond[g].mean()) if g.any() else math.nan for g in (control, ~control)]
    facts = {"flag": flag, "measure": measure, "limit": limit}
    facts |= {"share_control": shares[0], "share_others": shares[1]}
    return facts | {"photo_ids": photos.columns["photo_id"][beyond].tolist()}


def _range_text(low: float, high: float) -> str:
    """Say in words which values are beyond."""
    if math.isinf(high):
        return f"< {low}"
    if math.isinf(low):
        return f"> {high}"
    return f"abs> {high}" if low == -high else f"outside {(low, high)}"

"""The audit: leakage, contradictions, shortcuts and photo quality of a cohort."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hf_cushing.data.flags import flag_quality
from hf_cushing.data.measure import QUALITY_NAMES, Measures
from hf_cushing.data.pairs import Pairs, close_pairs, local_scales
from hf_cushing.data.probes import Probe, one_hot, probe
from hf_cushing.schema import SEXES, order_labels

IDENTITY_RATIO = 0.78
"""Two photos show one person when their descriptors' distance is below this share of the
distance to strangers. On LFW: 80 % of the pairs of one person and 1 of 164,000 pairs of
strangers (`benchmarks/identity.py`); the fixed distance that finds as many raises 43."""

IDENTITY_DISTANCE = 0.6
"""And below the distance that dlib's author gives for its network."""

OTHER_FACE_RATIO = 1.0
"""A photo at least this far from all others of its patient shows somebody else: 99 % of the
pairs of strangers lie above, 1 of 410 pairs of one person (`benchmarks/identity.py`)."""

COPY_RATIO, COPY_DISTANCE = 0.42, 0.45
"""Near-duplicates, by the normalised grey miniature. On LFW other photos, of whomever, lie above
a ratio of 0.5, and of copies 95 % below 0.4 (`benchmarks/copies.py`). Drawn faces have less in
them: of 72, two of different persons came as near as 0.48."""


FILE_PROBES = ("image size", "file format and JPEG quality")


@dataclass(frozen=True)
class AuditPhotos:
    """A cohort's photos as columns, one row a photo.

    Attributes
    ----------
    columns : dict of numpy.ndarray
        Words, shape (n,): photo_id, patient_id, label, sex, site, source, view, split, row (of
        the table; empty if unknown); numbers: age, bmi (NaN if unknown), face_side (pixels),
        and one int column of folds for each repeat. `split` is empty and there are no folds for
        a cohort that is not yet split.
    file : dict of numpy.ndarray
        The fields of `FileFacts`; empty where they were not recorded.
    measures : Measures
    """

    columns: dict[str, np.ndarray]
    file: dict[str, np.ndarray]
    measures: Measures

    def __len__(self) -> int:
        return len(self.columns["photo_id"])

    @property
    def folds(self) -> list[np.ndarray]:
        """The columns of folds."""
        return [v for name, v in self.columns.items() if name.startswith("fold")]


@dataclass(frozen=True)
class Finding:
    """Something to look at.

    Attributes
    ----------
    kind : str
        ``same_photo``, ``near_duplicate``, ``same_person``, ``other_face``, ``contradiction``,
        ``patient_in_two_splits``, ``in_other_dataset``.
    leak : bool
        It lets a person be on both sides of a split or fold.
    photos : tuple of int
        Row numbers of the photos concerned.
    text : str
    ratio : float
        Of the descriptors' or miniatures' distance; NaN where it does not apply.
    """

    kind: str
    leak: bool
    photos: tuple[int, ...]
    text: str
    ratio: float = math.nan


@dataclass(frozen=True)
class Audit:
    """Everything the audit found.

    Attributes
    ----------
    findings : list of Finding
        Leaks first.
    probes : list of Probe
    counts : list of dict
        Photos and patients by label × sex × site (and split).
    quality : list of dict
        For each flag: rows, share among the controls and among the others.
    identity_checked : bool
    photos, patients : int
    """

    findings: list[Finding]
    probes: list[Probe]
    counts: list[dict[str, Any]]
    quality: list[dict[str, Any]]
    identity_checked: bool
    photos: int
    patients: int

    @property
    def leaks(self) -> list[Finding]:
        """The findings that let a person be on both sides."""
        return [finding for finding in self.findings if finding.leak]


def audit_photos(photos: AuditPhotos, more: Sequence[Finding] = ()) -> Audit:
    """Audit a cohort; `more` are findings made elsewhere."""
    checked = bool(np.isfinite(photos.measures.descriptor).all()) and len(photos) > 0
    findings = [*more, *_find_alike(photos, checked), *_find_contradictions(photos)]
    if checked:
        findings += _find_other_faces(photos)
    return Audit(
        findings=sorted(findings, key=lambda f: (not f.leak, f.kind)),
        probes=run_probes(photos),
        counts=count_cells(photos),
        quality=flag_quality(photos.columns, photos.measures),
        identity_checked=checked,
        photos=len(photos),
        patients=len(set(photos.columns["patient_id"].tolist())),
    )


def same_person_pairs(descriptors: np.ndarray, patients: np.ndarray) -> Pairs:
    """Pairs of photos that seem to show one person, within one patient id or across two.

    Parameters
    ----------
    descriptors : numpy.ndarray
        float32, shape (n, 128).
    patients : numpy.ndarray
        Shape (n,).
    """
    scales = local_scales(descriptors, patients)
    return close_pairs(descriptors, scales, ratio=IDENTITY_RATIO, distance=IDENTITY_DISTANCE)


def near_duplicates(thumbprints: np.ndarray, patients: np.ndarray) -> Pairs:
    """Pairs of photos that are one photo, saved again, resized or slightly cropped."""
    vectors = grey_vectors(thumbprints)
    scales = np.nan_to_num(local_scales(vectors, patients), nan=1.0)
    return close_pairs(vectors, scales, ratio=COPY_RATIO, distance=COPY_DISTANCE)


def grey_vectors(thumbprints: np.ndarray) -> np.ndarray:
    """Miniatures without their mean and contrast: float32, rows of length 1."""
    vectors = thumbprints.astype(np.float32)
    vectors -= vectors.mean(1, keepdims=True)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    return vectors


def _find_alike(photos: AuditPhotos, identity: bool) -> Iterator[Finding]:
    """One finding for each pair of patients, the strongest; copies within a patient too."""
    patient = photos.columns["patient_id"]
    parts = [("same_photo", _exact_copies(photos.columns["photo_id"]))]
    parts.append(("near_duplicate", near_duplicates(photos.measures.thumbprint, patient)))
    if identity:
        parts.append(("same_person", same_person_pairs(photos.measures.descriptor, patient)))
    seen: set[tuple[Any, Any]] = set()
    for kind, pairs in parts:
        for i, j, ratio in zip(
            pairs.first.tolist(), pairs.second.tolist(), pairs.ratio.tolist(), strict=True
        ):
            if patient[i] == patient[j]:
                if kind != "same_person" and (i, j) not in seen:
                    seen.add((i, j))
                    yield Finding(kind, False, (i, j), "one photo twice, of one patient", ratio)
                continue
            key = tuple(sorted((patient[i], patient[j])))
            if key not in seen:
                seen.add(key)
                where = _apart(photos, i, j)
                text = f"{_ALIKE[kind]} under two patient ids{where and ', ' + where}"
                yield Finding(kind, bool(where), (i, j), text, ratio)


_ALIKE = {
    "same_photo": "the same file",
    "near_duplicate": "the same photo, saved anew,",
    "same_person": "seemingly the same person",
}


def _apart(photos: AuditPhotos, i: int, j: int) -> str:
    """Say in words where two photos are kept apart; empty if they stay on one side."""
    split = photos.columns["split"]
    if not split[i]:
        return "which a split may separate"
    if split[i] != split[j]:
        return f"one in {split[i]}, one in {split[j]}"
    if any(folds[i] != folds[j] for folds in photos.folds):
        return "in different folds"
    return ""


def _exact_copies(photo_ids: np.ndarray) -> Pairs:
    rows: dict[str, list[int]] = defaultdict(list)
    for row, photo_id in enumerate(photo_ids.tolist()):
        rows[photo_id].append(row)
    pairs = [(group[0], other) for group in rows.values() for other in group[1:]]
    first, second = np.array(pairs, int).reshape(-1, 2).T
    return Pairs(first, second, np.zeros(len(pairs)), np.zeros(len(pairs)))


def _find_other_faces(photos: AuditPhotos) -> Iterator[Finding]:
    """Photos that resemble none of the others of their patient."""
    patients, vectors = photos.columns["patient_id"], photos.measures.descriptor
    scales = local_scales(vectors, patients)
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
    names = ["label", "sex", "split", *(n for n in photos.columns if n.startswith("fold"))]
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


def run_probes(photos: AuditPhotos) -> list[Probe]:
    """Probe everything that is not the face, and what differs between the persons."""
    columns, file = photos.columns, photos.file
    shortcuts = {name: one_hot(columns[name]) for name in ("site", "source", "view")}
    shortcuts["background"] = photos.measures.surround.astype(np.float32)
    if file:
        shortcuts |= _file_features(file)
    light = [QUALITY_NAMES.index(name) for name in ("sharpness", "highlight", "clipped")]
    shortcuts["sharpness and exposure"] = photos.measures.quality[:, light]
    shortcuts["face size in the photo"] = columns["face_side"][:, None]
    pose = [QUALITY_NAMES.index(name) for name in ("yaw", "pitch", "mouth_open")]
    hidden = [QUALITY_NAMES.index(name) for name in ("glasses", "dark_chin")]
    persons = {
        "pose and expression": photos.measures.quality[:, pose],
        "glasses and beard": photos.measures.quality[:, hidden],
        "sex": one_hot(columns["sex"]),
        "age": _with_missing(columns["age"]),
        "bmi": _with_missing(columns["bmi"]),
    }
    unknown = () if file else FILE_PROBES
    common = {"labels": columns["label"], "patients": columns["patient_id"]}
    common["sexes"] = columns["sex"]
    results = [
        probe(name, features, kind=kind, **common)
        for kind, group in (("shortcut", shortcuts), ("confounder", persons))
        for name, features in group.items()
    ]
    reason = "not recorded: intake.json is not beside the data"
    return [*results, *(Probe(name=name, kind="shortcut", reason=reason) for name in unknown)]


def _file_features(file: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    pixels = np.stack([file["width"], file["height"]], 1).astype(float)
    sizes = np.array([f"{w:.0f}x{h:.0f}" for w, h in pixels.tolist()])
    density = np.log(file["bytes"] / pixels.prod(1))
    kinds = np.char.add(file["format"].astype(str), file["jpeg_quality"].astype(str))
    quality = np.column_stack([file["jpeg_quality"], density, one_hot(kinds)])
    return dict(zip(FILE_PROBES, (np.hstack([pixels, one_hot(sizes)]), quality), strict=True))


def _with_missing(values: np.ndarray) -> np.ndarray:
    """A number column with a second column that says where it is unknown."""
    missing = np.isnan(values)
    middle = 0.0 if missing.all() else float(np.nanmean(values))
    return np.column_stack([np.where(missing, middle, values), missing])


def count_cells(photos: AuditPhotos) -> list[dict[str, Any]]:
    """Photos and patients by label × sex × site, and splits; empty cells are left out."""
    names = ("label", "sex", "site", "split")
    cells: dict[tuple, list[int]] = defaultdict(list)
    rows = zip(*(photos.columns[name].tolist() for name in names), strict=True)
    for row, key in enumerate(rows):
        cells[key].append(row)
    labels = order_labels({key[0] for key in cells})
    order = sorted(cells, key=lambda k: (labels.index(k[0]), SEXES.index(k[1]), k[2], k[3]))
    return [
        dict(zip(names, key, strict=True))
        | {
            "photos": len(cells[key]),
            "patients": len(set(photos.columns["patient_id"][cells[key]].tolist())),
        }
        for key in order
    ]

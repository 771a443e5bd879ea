"""Scores joined with who is in the photos."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import softmax

from hf_cushing.data.loading import FaceData, class_words
from hf_cushing.data.parquet import NEEDED
from hf_cushing.evaluation.grouping import QUALITY
from hf_cushing.evaluation.predictions import Predictions
from hf_cushing.faces.quality import measure_quality
from hf_cushing.schema import UserError

if TYPE_CHECKING:
    from datasets import Dataset


def predictions_of(
    logits: np.ndarray,
    photos: Dataset,
    *,
    data: FaceData,
    split: str,
    seed: int,
    revision: str,
    plain: np.ndarray | None = None,
    quality: bool = False,
) -> Predictions:
    """Join scores with who is in the photos; `plain` are the logits of their wide views.

    With `quality` the photos are measured, too (`quality_columns`).
    """
    return Predictions(
        photo_id=np.array(photos["photo_id"]),
        patient_id=np.array(photos["patient_id"]),
        label=class_words(photos, "label"),
        sex=class_words(photos, "sex"),
        split=np.full(len(photos), split),
        fold=np.array(photos[data.folds]),
        seed=np.full(len(photos), seed),
        probabilities=softmax(logits, axis=1),
        labels=tuple(data.labels),
        model_revision=revision,
        dataset_revision=data.revision,
        plain=None if plain is None else softmax(plain, axis=1),
        attributes=_attributes(photos, known={*NEEDED, "pair_id"})
        | (quality_columns(photos) if quality else {}),
    )


def quality_columns(photos: Dataset) -> dict[str, np.ndarray]:
    """How sharp each photo is, how far the head is turned, and how wide the face is in the photo.

    As the audit measures them (`faces.quality.Quality`): sharpness; absolute yaw, 0 to 1; pixels.

    Raises
    ------
    UserError
        A dataset without landmarks.
    """
    if not {"landmarks", "face_box"} <= set(photos.column_names):
        raise UserError("--by blur, pose, face_size: this dataset has no landmarks and face boxes")
    found = []
    for row in photos.select_columns(["image", "landmarks", "face_box"]):
        points = np.array(row["landmarks"], np.float32)
        quality = measure_quality(row["image"].convert("RGB"), points)
        left, _, right, _ = row["face_box"]
        found.append((quality.sharpness, abs(quality.yaw), float(right - left)))
    return dict(zip(QUALITY.values(), np.array(found).T, strict=True))


def _attributes(photos: Dataset, known: set[str]) -> dict[str, np.ndarray]:
    """Columns by which subgroups can be made: numbers and words that are not empty throughout."""
    from datasets import Value

    found = {}
    for name, feature in photos.features.items():
        if name in known or name.startswith("fold") or not isinstance(feature, Value):
            continue
        values = photos[name][:]
        if any(value not in (None, "") for value in values):
            empty, dtype = ("", str) if feature.dtype == "string" else (np.nan, float)
            found[name] = np.array([empty if v is None else v for v in values], dtype=dtype)
    return found

"""Baselines without a network: what a model must beat before it says anything.

Each turns a photo into a few numbers, on which the probe's logistic regression is fitted. They are
chosen by ``--model`` like a network, and leave a run folder behind like one, without a model.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageCms

from hf_cushing.faces.regions import GROUPS, REGIONS, region_labels
from hf_cushing.schema import SEXES, UserError

if TYPE_CHECKING:
    from datasets import Dataset

JAW = slice(0, 17)
"""Of the 68 landmarks."""


def demographics(photos: Dataset, train: Dataset) -> np.ndarray:
    """Sex, age and BMI, as far as they are known: shape (n, up to 6).

    An unknown number has the mean of the training photos, and a mark that it is unknown.
    """
    columns = [np.asarray(photos["sex"][:]) == number for number in range(len(SEXES))]
    for name in ("age", "bmi"):
        if name in photos.column_names:
            known = _numbers(train, name)
            mean = np.nanmean(known) if np.isfinite(known).any() else 0.0
            values = _numbers(photos, name)
            columns += [np.where(np.isfinite(values), values, mean), ~np.isfinite(values)]
    return np.stack(columns, 1).astype(np.float32)


def _numbers(photos: Dataset, name: str) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in photos[name][:]], float)


def colour(photos: Dataset, train: Dataset) -> np.ndarray:
    """Mean CIELAB colour of each part of the face: shape (n, 30)."""
    parts = [members for name, members in GROUPS.items() if name != "outside"]
    rows = []
    for image, landmarks in zip(photos["image"], _landmarks(photos), strict=True):
        lab = to_lab(image.convert("RGB"))
        regions = region_labels(landmarks, image.width)
        means = []
        for members in parts:
            inside = np.isin(regions, [REGIONS.index(member) for member in members])
            means.append(lab[inside].mean(0) if inside.any() else lab.mean((0, 1)))
        rows.append(np.concatenate(means))
    return np.array(rows, np.float32)


def to_lab(image: Image.Image) -> np.ndarray:
    """CIELAB of an sRGB image: float32, shape (h, w, 3), L in 0..100, a and b about -128..127."""
    values = np.asarray(ImageCms.applyTransform(image, _srgb_to_lab()))
    chroma = values[..., 1:].view(np.int8).astype(np.float32)
    return np.concatenate([values[..., :1] * np.float32(100 / 255), chroma], axis=2)


@cache
def _srgb_to_lab() -> Any:
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    return ImageCms.buildTransform(*profiles, "RGB", "LAB")


def geometry(photos: Dataset, train: Dataset) -> np.ndarray:
    """The 68 landmarks without place, size and turn (Procrustes): shape (n, 136)."""
    return _procrustes(_landmarks(photos), _landmarks(train))


def geometry_no_jaw(photos: Dataset, train: Dataset) -> np.ndarray:
    """As `geometry`, of brows, eyes, nose and mouth alone: shape (n, 102)."""
    inner, reference = (np.delete(_landmarks(p), JAW, axis=1) for p in (photos, train))
    return _procrustes(inner, reference)


def check_landmarks(photos: Dataset) -> None:
    """Refuse photos without landmarks, which every baseline but `demographics` needs."""
    if "landmarks" not in photos.column_names:
        raise UserError("this dataset has no landmarks; make it with `hf-cushing prepare`")


def _landmarks(photos: Dataset) -> np.ndarray:
    """float64, shape (n, 68, 2), pixels of the crop."""
    check_landmarks(photos)
    return np.array(photos["landmarks"][:], np.float64).reshape(len(photos), 68, 2)


def _procrustes(shapes: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Shapes of centroid size 1, each turned onto the mean of the reference shapes."""
    target = _unit(reference).mean(0)
    shapes = _unit(shapes)
    left, _, right = np.linalg.svd(np.einsum("npi,pj->nij", shapes, target))
    flip = np.sign(np.linalg.det(left @ right))  # a rotation, never a mirror image
    left[:, :, 1] *= flip[:, None]
    return (shapes @ left @ right).reshape(len(shapes), -1).astype(np.float32)


def _unit(shapes: np.ndarray) -> np.ndarray:
    centred = shapes - shapes.mean(1, keepdims=True)
    return centred / np.linalg.norm(centred, axis=(1, 2), keepdims=True)


def descriptor(photos: Dataset, train: Dataset) -> np.ndarray:
    """dlib's 128-D descriptor of identity: shape (n, 128). Biometric: kept in memory only."""
    from hf_cushing.data.descriptors import describe_faces
    from hf_cushing.faces.identity import face_chip

    chips = [
        face_chip(image.convert("RGB"), landmarks)
        for image, landmarks in zip(photos["image"], _landmarks(photos), strict=True)
    ]
    return describe_faces(chips)


Features = Callable[["Dataset", "Dataset"], np.ndarray]
"""(photos, training photos) -> float32, shape (photos, numbers)."""

FEATURES: dict[str, Features] = {
    "demographics": demographics,
    "colour": colour,
    "geometry": geometry,
    "geometry-no-jaw": geometry_no_jaw,
    "descriptor": descriptor,
}
"""Name, of `config.BASELINES`, to what it sees."""

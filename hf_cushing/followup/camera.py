"""What camera, light and pose did in a photo, so that their changes can be set apart."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from hf_cushing.faces.quality import measure_quality

if TYPE_CHECKING:
    from datasets import Dataset

MEASURES: dict[str, str] = {
    "sharpness": "camera: sharpness",
    "face_size": "camera: size of the face in the photo",
    "brightness": "light: brightness",
    "contrast": "light: contrast",
    "side_light": "light: from one side",
    "colour_cast": "light: colour cast",
    "yaw": "pose: head turned",
    "pitch": "pose: head tilted",
    "mouth_open": "expression: mouth open",
}
"""Names, and what they are in words."""


def measure_photo(crop: Image.Image, landmarks: np.ndarray, face_box: list[int]) -> np.ndarray:
    """Measure one aligned photo: float64, shape (9,), in the order of `MEASURES`.

    Lengths and brightness are logarithms, so that their spread is the same for large and small.
    Redness is a sign of the disease, so what could be mistaken for it is kept out: contrast and
    side light are of the red channel, in which blood hardly shows, and the cast is blue against
    green. All three are of the face between brows and mouth.

    Parameters
    ----------
    crop : PIL.Image.Image
        RGB square.
    landmarks : numpy.ndarray
        Shape (68, 2), pixels of the crop.
    face_box : list of int
        Left, top, right, bottom in the original photo.
    """
    quality = measure_quality(crop, landmarks)
    pixels = _inner_face(np.asarray(crop, np.float64), landmarks)
    red = pixels[..., 0]
    half = red.shape[1] // 2
    colours = pixels.reshape(-1, 3).mean(0)
    return np.array(
        [
            _log(quality.sharpness),
            _log(face_box[2] - face_box[0]),
            _log(quality.highlight),
            _log(red.std() / max(red.mean(), 1.0)),
            _log(red[:, :half].mean()) - _log(red[:, half:].mean()),
            _log(colours[2]) - _log(colours[1]),
            quality.yaw,
            quality.pitch,
            quality.mouth_open,
        ]
    )


def measure_photos(crops: Dataset, advance: Callable[[int], None]) -> np.ndarray:
    """Measure all photos of a dataset: float64, shape (photos, measures)."""
    measures = []
    for row in crops.select_columns(["image", "landmarks", "face_box"]):
        image = row["image"].convert("RGB")
        points = np.array(row["landmarks"], np.float32)
        measures.append(measure_photo(image, points, row["face_box"]))
        advance(1)
    return np.array(measures)


def _inner_face(pixels: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """The rectangle from brows to mouth; at least 2 × 2 pixels."""
    side = len(pixels)
    inner = landmarks[17:68]
    left, top = np.clip(np.floor(inner.min(0)), 0, side - 2).astype(int)
    right, bottom = np.clip(np.ceil(inner.max(0)), (left + 2, top + 2), side).astype(int)
    return pixels[top:bottom, left:right]


def _log(value: float) -> float:
    return math.log(max(float(value), 1e-3))

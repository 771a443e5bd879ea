"""Face descriptors: whether two photos show the same person. Biometric data: never stored."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from hf_cushing.faces.landmarks import dlib_model

DESCRIPTOR_SIZE = 128

CHIP_SIDE = 150
"""Pixels of the network's input."""


def face_descriptor(crop: Image.Image, landmarks: np.ndarray) -> np.ndarray:
    """Describe a face by dlib's 128-D network, averaged over the crop and its mirror image.

    Averaging found 80 instead of 77 % of the pairs of one person at the same number of false
    alarms (`benchmarks/identity.py`).

    Parameters
    ----------
    crop : PIL.Image.Image
        Aligned RGB crop.
    landmarks : numpy.ndarray
        Shape (68, 2), pixels of the crop.

    Returns
    -------
    numpy.ndarray
        float32, shape (128,). Euclidean distances between different persons lie around 0.8,
        between photos of one person around 0.4.
    """
    chip = face_chip(crop, landmarks)
    both = [chip, np.ascontiguousarray(chip[:, ::-1])]
    return np.mean(_network().compute_face_descriptor(both), axis=0, dtype=np.float32)


def face_chip(crop: Image.Image, landmarks: np.ndarray) -> np.ndarray:
    """The face as dlib's network takes it: RGB, uint8, shape (`CHIP_SIDE`, `CHIP_SIDE`, 3)."""
    import dlib

    low, high = landmarks.min(0).astype(int).tolist(), landmarks.max(0).astype(int).tolist()
    points = dlib.points([dlib.point(x, y) for x, y in np.rint(landmarks).astype(int).tolist()])
    face = dlib.full_object_detection(dlib.rectangle(*low, *high), points)
    return dlib.get_face_chip(np.asarray(crop), face, CHIP_SIDE, 0.25)


@cache
def _network() -> Any:
    import dlib

    return dlib.face_recognition_model_v1(
        str(dlib_model("dlib_face_recognition_resnet_model_v1.dat"))
    )

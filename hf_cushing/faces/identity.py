"""Faces as dlib's face-recognition network takes them (`data/descriptors.py`)."""

from __future__ import annotations

import numpy as np
from PIL import Image

DESCRIPTOR_SIZE = 128

CHIP_SIDE = 150
"""Pixels of the network's input."""

CHIP_MEAN, CHIP_STD = (122.782, 117.001, 104.298), 256.0
"""Of red, green and blue, levels: what dlib subtracts and divides by."""


def face_chip(crop: Image.Image, landmarks: np.ndarray) -> np.ndarray:
    """The face as dlib's network takes it: RGB, uint8, shape (`CHIP_SIDE`, `CHIP_SIDE`, 3).

    Parameters
    ----------
    crop : PIL.Image.Image
        Aligned RGB crop.
    landmarks : numpy.ndarray
        Shape (68, 2), pixels of the crop.
    """
    import dlib

    low, high = landmarks.min(0).astype(int).tolist(), landmarks.max(0).astype(int).tolist()
    points = dlib.points([dlib.point(x, y) for x, y in np.rint(landmarks).astype(int).tolist()])
    face = dlib.full_object_detection(dlib.rectangle(*low, *high), points)
    return dlib.get_face_chip(np.asarray(crop), face, CHIP_SIDE, 0.25)

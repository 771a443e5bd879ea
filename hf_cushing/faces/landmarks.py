"""Face detection and the 68 landmarks, by dlib's bundled models."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import numpy as np
from PIL import Image

from hf_cushing.faces.photo import PhotoError
from hf_cushing.schema import Several, UsageError, UserError

DETECTION_SIDE = 1000
"""Longest side, in pixels, of the copy on which faces are searched: the smallest face that
dlib's detector knows is 80 px, a twelfth of it."""

PYRAMID_STEP = 1.2
"""Ratio of neighbouring sizes at which dlib's detector looks."""

DOMINANCE = 4.0
"""A face is the sitter's when its box has at least this many times the area of any other."""

MIN_FACE = 32
"""Smallest side of a face's box in pixels of the original: below it is a thumbnail."""

TOO_SMALL = f"the face is under {MIN_FACE} pixels wide; use the original photo, not a thumbnail"

MAX_OUTSIDE = 0.15
"""Largest share of the landmarks that may lie outside the photo."""

Box = tuple[int, int, int, int]
"""Left, top, right, bottom."""


@dataclass(frozen=True)
class Face:
    """One detected face, in pixels of the photo that was given.

    Attributes
    ----------
    box : tuple of int
    landmarks : numpy.ndarray
        float32, shape (68, 2), x and y in the iBUG 300-W order.
    other_boxes : tuple of tuple of int
        Further faces that were passed over.
    """

    box: Box
    landmarks: np.ndarray
    other_boxes: tuple[Box, ...] = ()


def dlib_model(name: str) -> Path:
    """Path of a dlib model file inside the package `face_recognition_models`.

    The 68-point model was trained on iBUG 300-W, whose licence forbids commercial use.
    The package isn't imported, since its import needs the retired `pkg_resources`.
    """
    spec = find_spec("face_recognition_models")
    if spec is None or spec.origin is None:
        raise UserError("dlib's models are missing: run `pip install face-recognition-models`")
    return Path(spec.origin).parent / "models" / name


def find_face(photo: Image.Image, on_several: Several = "refuse") -> Face:
    """Find the one face of a photo and its landmarks.

    Parameters
    ----------
    photo : PIL.Image.Image
        Mode RGB, upright.
    on_several : str
        Of `Several`.

    Raises
    ------
    PhotoError
        ``no_face``; ``several_faces`` where none of them dominates; ``too_small``; ``cut_off``.
    UsageError
        Another word for `on_several`.
    """
    if on_several not in get_args(Several):
        raise UsageError(f"on_several {on_several}: give {' or '.join(get_args(Several))}")
    if min(photo.size) < MIN_FACE:
        raise PhotoError("too_small", TOO_SMALL)
    boxes = detect_boxes(photo)
    if not boxes:
        raise PhotoError(
            "no_face", "no face was found; use a frontal photo in which the whole face is seen"
        )
    box = _choose(boxes, photo.size, on_several)
    if box[2] - box[0] < MIN_FACE:
        raise PhotoError("too_small", TOO_SMALL)
    landmarks = _landmarks(photo, box)
    outside = (landmarks < 0) | (landmarks > photo.size)
    if outside.any(1).mean() > MAX_OUTSIDE:
        raise PhotoError(
            "cut_off", "the edge of the photo cuts the face; use a photo that shows it whole"
        )
    return Face(box, landmarks, tuple(other for other in boxes if other is not box))


def _choose(boxes: list[Box], size: tuple[int, int], on_several: Several) -> Box:
    """The sitter's box. A face that another dominates is a bystander's under every rule."""
    largest = max(boxes, key=_area)
    rivals = [box for box in boxes if _area(largest) < DOMINANCE * _area(box)]
    if len(rivals) > 1 and on_several == "refuse":
        raise PhotoError(
            "several_faces", f"{len(boxes)} faces were found; crop the photo to one person"
        )
    if on_several != "central":
        return largest
    width, height = size
    return min(
        rivals,
        key=lambda b: math.hypot((b[0] + b[2] - width) / 2, (b[1] + b[3] - height) / 2),
    )


def detect_boxes(photo: Image.Image) -> list[Box]:
    """Boxes (left, top, right, bottom) of the faces, in pixels of `photo`.

    The search runs on a copy of at most `DETECTION_SIDE` pixels, and where it finds nothing once
    more on one of twice that size. The copy's side is the photo's, doubled, over a power of
    `PYRAMID_STEP`: so the detector looks at the very face sizes at which it would in the full
    photo upsampled once, the boxes agree, and with them the landmarks (`benchmarks/prepare.py`).
    """
    longest = 2 * max(photo.size)
    steps = max(0, math.ceil(math.log(longest / DETECTION_SIDE, PYRAMID_STEP)))
    for fewer in (0, 4):
        scale = 2 * PYRAMID_STEP ** (fewer - steps)
        size = tuple(max(1, round(length * scale)) for length in photo.size)
        found = _detector()(np.asarray(photo.resize(size, Image.Resampling.BILINEAR)))
        if len(found):
            return [
                tuple(round(v / scale) for v in (r.left(), r.top(), r.right(), r.bottom()))
                for r in found
            ]
    return []


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def load_dlib() -> Any:
    """The module dlib.

    Raises
    ------
    UserError
        It isn't installed.
    """
    try:
        import dlib
    except ImportError:
        raise UserError(
            "dlib, which finds the face, is missing: run `pip install dlib-bin`"
        ) from None
    return dlib


@cache
def _detector() -> Any:
    return load_dlib().get_frontal_face_detector()


@cache
def _predictor() -> Any:
    path = dlib_model("shape_predictor_68_face_landmarks.dat")
    return load_dlib().shape_predictor(str(path))


def _landmarks(photo: Image.Image, box: Box) -> np.ndarray:
    shape = _predictor()(np.asarray(photo), load_dlib().rectangle(*box))
    return np.array([(point.x, point.y) for point in shape.parts()], dtype=np.float32)

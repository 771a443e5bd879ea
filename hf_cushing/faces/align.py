"""Aligned crops: a loose square around the face, eyes level, nothing stretched."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from hf_cushing.faces.landmarks import Face, find_face, part_of
from hf_cushing.schema import CROP_SIDE, Several

CROP_SCALE = 1.7
"""Side of the crop over the longer side of the landmarks' bounding box."""

RIVALLED = (
    "another face is nearer the middle of the photo or reaches into the crop: check that the right "
    "person was taken, or crop the photo to one person"
)
"""Said of a bystander nearer to the camera, who may have been taken for the patient."""

RIGHT_EYE, LEFT_EYE = slice(36, 42), slice(42, 48)


@dataclass(frozen=True)
class AlignedFace:
    """A crop with the face in its middle.

    Attributes
    ----------
    image : PIL.Image.Image
        RGB square.
    landmarks : numpy.ndarray
        float32, shape (68, 2), pixels of the crop.
    face : Face
        As it was found, in pixels of the photo turned upright.
    rivalled : bool
        Another face is nearer the middle of the photo, or reaches into the crop.
    """

    image: Image.Image
    landmarks: np.ndarray
    face: Face
    rivalled: bool = False

    @property
    def face_box(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of the face in the photo."""
        return self.face.box

    @property
    def others(self) -> int:
        """Further faces of the photo that were passed over."""
        return len(self.face.other_boxes)

    @property
    def notes(self) -> dict[str, str]:
        """What must be said about a face that was found, as word and sentence."""
        notes = {
            "turned_photo": f"the photo was turned by {self.face.turn} degrees clockwise",
            "other_faces": f"{self.others} other face(s) passed over",
            "rivalled": RIVALLED,
        }
        said = bool(self.face.turn), bool(self.others), self.rivalled
        return {word: notes[word] for word, say in zip(notes, said, strict=True) if say}


def align_face(
    photo: Image.Image, side: int = CROP_SIDE, on_several: Several = "refuse"
) -> AlignedFace:
    """Detect the face of a photo and cut it out: rotated, shifted and resized, never stretched.

    Parameters
    ----------
    photo : PIL.Image.Image
        RGB, upright.
    side : int
        Side of the crop, pixels.
    on_several : str
        Of `Several`.

    Raises
    ------
    PhotoError
        Where `find_face` finds no face or several.
    """
    return crop_face(photo, find_face(photo, on_several), side)


def crop_face(photo: Image.Image, face: Face, side: int = CROP_SIDE) -> AlignedFace:
    """Cut out a face that was found in `photo` already; see `align_face`."""
    to_photo = similarity(face.landmarks, side)
    photo = face.upright(photo)
    landmarks = (face.landmarks - to_photo[:, 2]) @ np.linalg.inv(to_photo[:, :2]).T
    others = np.reshape(face.other_boxes, (-1, 2, 2))
    far = np.abs(np.array([face.box, *face.other_boxes]).reshape(-1, 2, 2).mean(1) * 2 - photo.size)
    central = np.hypot(*far.T).argmin() > 0
    corners = _corners(side, to_photo)
    inside = (others[:, 0] < corners.max(0)) & (others[:, 1] > corners.min(0))
    return AlignedFace(
        warp(photo, to_photo, side),
        landmarks.astype(np.float32),
        face,
        rivalled=bool(central or inside.all(1).any()),
    )


def similarity(landmarks: np.ndarray, side: int) -> np.ndarray:
    """The map from crop pixels to photo pixels: rotation, one scale, shift.

    Parameters
    ----------
    landmarks : numpy.ndarray
        Shape (68, 2), pixels of the photo.
    side : int
        Of the crop, pixels.

    Returns
    -------
    numpy.ndarray
        float64, shape (2, 3): ``photo = m[:, :2] @ crop + m[:, 2]``.
    """
    points = landmarks.astype(np.float64)
    dx, dy = points[LEFT_EYE].mean(0) - points[RIGHT_EYE].mean(0)
    angle = np.arctan2(dy, dx)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    level = points @ turn
    low, high = level.min(0), level.max(0)
    step = (high - low).max() * CROP_SCALE / side
    corner = (low + high) / 2 - step * side / 2
    return np.hstack([turn * step, (turn @ corner)[:, None]])


def warp(
    photo: Image.Image,
    to_photo: np.ndarray,
    side: int,
    resample: Image.Resampling = Image.Resampling.BICUBIC,
) -> Image.Image:
    """Resample `photo` into a square of `side` pixels by the map of `similarity`.

    A large photo is box-reduced first, so that shrinking doesn't alias; what lies outside
    the photo repeats its edge, since black corners would be a mark of the camera.
    """
    step = float(np.hypot(*to_photo[:, 0]))
    factor = max(1, int(step))
    if factor > 1:
        photo = photo.reduce(factor)
        to_photo = to_photo / factor
    corners = _corners(side, to_photo)
    low = np.minimum(0, np.floor(corners.min(0))).astype(int)
    high = np.maximum(photo.size, np.ceil(corners.max(0))).astype(int)
    photo = part_of(photo, (*low.tolist(), *high.tolist()))
    to_photo = np.hstack([to_photo[:, :2], to_photo[:, 2:] - low[:, None]])
    return photo.transform((side, side), Image.Transform.AFFINE, to_photo.ravel(), resample)


def _corners(side: int, to_photo: np.ndarray) -> np.ndarray:
    """Where the crop's corners lie in the photo, shape (4, 2)."""
    ends = np.array([(0, 0), (side, 0), (0, side), (side, side)])
    return ends @ to_photo[:, :2].T + to_photo[:, 2]

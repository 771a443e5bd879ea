"""Faces and heatmaps brought onto one shape, and their mean."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image
from scipy.ndimage import map_coordinates
from scipy.spatial import Delaunay

from hf_cushing.faces.regions import mean_shape
from hf_cushing.schema import UserError

FEWEST = 5
"""A mean over fewer persons would show a person."""

BORDER = 5
"""Fixed points on each edge of the crop, its corners counted."""


@dataclass(frozen=True)
class MeanFace:
    """A mean picture and the shape on which it lies.

    Attributes
    ----------
    image : numpy.ndarray
        uint8, shape (side, side, 3).
    landmarks : numpy.ndarray
        float32, shape (68, 2), pixels of the picture; symmetric.
    """

    image: np.ndarray
    landmarks: np.ndarray


@dataclass(frozen=True)
class TargetShape:
    """For each pixel of the target: the corners of its triangle and where it lies in it.

    Attributes
    ----------
    corners : numpy.ndarray
        int, shape (side², 3): numbers of landmarks and border points.
    weights : numpy.ndarray
        float32, shape (side², 3): barycentric coordinates.
    triangle : numpy.ndarray
        int, shape (side²,).
    triangles : numpy.ndarray
        int, shape (triangles, 3): corners of each triangle.
    areas : numpy.ndarray
        float64, shape (triangles,): signed, twice the area.
    """

    corners: np.ndarray
    weights: np.ndarray
    triangle: np.ndarray
    triangles: np.ndarray
    areas: np.ndarray


def mean_face(
    crops: Iterable[Image.Image | np.ndarray],
    landmarks: np.ndarray,
    *,
    patients: np.ndarray,
    side: int = 256,
) -> MeanFace:
    """Warp every crop onto the mean shape and average; each person counts the same.

    Parameters
    ----------
    crops : iterable
        RGB squares of `side` pixels, PIL or uint8; read once, one at a time.
    landmarks : numpy.ndarray
        Shape (n, 68, 2), pixels of the crops.
    patients : numpy.ndarray
        Who is in each crop: words, shape (n,).

    Raises
    ------
    UserError
        For fewer than `FEWEST` persons.
    ValueError
        Where crops, landmarks and patients differ in number.
    """
    weights = person_weights(patients)
    persons = len(np.unique(patients))
    if persons < FEWEST:
        raise UserError(
            f"a mean face needs {FEWEST} persons or more, found {persons}: with fewer it would "
            "show a person; widen the group"
        )
    target = mean_shape(landmarks, side, weights)
    mean = mean_warped(crops, landmarks, target, weights)
    return MeanFace(np.rint(np.clip(mean, 0, 255)).astype(np.uint8), target)


def person_weights(patients: np.ndarray) -> np.ndarray:
    """Weights of photos with which each person counts the same; they sum to 1."""
    _, of_photo, counts = np.unique(patients, return_inverse=True, return_counts=True)
    return 1 / (counts[of_photo] * len(counts))


def mean_warped(
    pictures: Iterable[Image.Image | np.ndarray],
    landmarks: np.ndarray,
    target_landmarks: np.ndarray,
    weights: np.ndarray,
    *,
    keep_mass: bool = False,
) -> np.ndarray:
    """Weighted sum of pictures on one shape; parameters as for `warp_to`."""
    return sum(
        weight * warp_to(np.asarray(picture, np.float32), points, target_landmarks, keep_mass)
        for picture, points, weight in zip(pictures, landmarks, weights, strict=True)
    )


def warp_to(
    values: np.ndarray,
    landmarks: np.ndarray,
    target_landmarks: np.ndarray,
    keep_mass: bool = False,
) -> np.ndarray:
    """Move a picture or heatmap from its own landmarks onto others, triangle by triangle.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (side, side) or (side, side, channels).
    landmarks, target_landmarks : numpy.ndarray
        Shape (68, 2), pixels (the first pixel's centre is 0). Points outside are moved onto the
        edge.
    keep_mass : bool
        For heatmaps of shares: multiply by the Jacobian determinant (source area over target
        area of each triangle), so that what lies within a triangle keeps its sum up to the error
        of sampling. Without it, values keep their size: right for colours.

    Returns
    -------
    numpy.ndarray
        float32, the shape of `values`; sampled linearly.
    """
    side = len(values)
    if values.shape[:2] != (side, side):
        raise ValueError(f"values must be a square picture, found shape {values.shape}")
    target = _target_shape(_inside(target_landmarks, side).tobytes(), side)
    source = np.concatenate([_inside(landmarks, side), _border(side)])
    places = np.einsum("pk,pkd->dp", target.weights, source[target.corners])[::-1]
    planes = np.asarray(values, np.float32).reshape(side, side, -1)
    warped = np.stack(
        [
            map_coordinates(planes[..., n], places, order=1, mode="nearest", output=np.float32)
            for n in range(planes.shape[2])
        ],
        axis=1,
    )
    if keep_mass:
        # a triangle that folds over in the source counts with its area, not against it
        growth = np.abs(_areas(source, target.triangles) / target.areas)
        warped *= growth[target.triangle][:, None]
    return warped.reshape(values.shape).astype(np.float32, copy=False)


def _inside(landmarks: np.ndarray, side: int) -> np.ndarray:
    return np.clip(np.asarray(landmarks, np.float32), 0, side - 1)


def _border(side: int) -> np.ndarray:
    """Points just beyond the edge, so that every pixel's centre lies within a triangle."""
    along = np.linspace(-1, side, BORDER)
    edge = np.stack([along, np.full(BORDER, -1.0)], 1)
    points = np.concatenate([edge, side - 1 - edge, edge[1:-1, ::-1], side - 1 - edge[1:-1, ::-1]])
    return points.astype(np.float32)


def _areas(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    a, b, c = points.astype(np.float64)[triangles].transpose(1, 2, 0)
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


@lru_cache(maxsize=4)
def _target_shape(landmarks: bytes, side: int) -> TargetShape:
    """The table of a target shape; a cohort has one, so it is made once."""
    points = np.concatenate([np.frombuffer(landmarks, np.float32).reshape(68, 2), _border(side)])
    mesh = Delaunay(points.astype(np.float64))
    y, x = np.divmod(np.arange(side * side), side)
    pixels = np.stack([x, y], 1).astype(np.float64)
    triangle = mesh.find_simplex(pixels)
    affine = mesh.transform[triangle]
    two = np.einsum("pij,pj->pi", affine[:, :2], pixels - affine[:, 2])
    weights = np.column_stack([two, 1 - two.sum(1)]).astype(np.float32)
    triangles = mesh.simplices
    return TargetShape(triangles[triangle], weights, triangle, triangles, _areas(points, triangles))

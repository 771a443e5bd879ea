"""The field of an aligned crop cut into named regions of the face, from the 68 landmarks."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from hf_cushing.schema import UserError

REGIONS = (
    "forehead",
    "glabella",
    "brow_right",
    "brow_left",
    "eye_right",
    "eye_left",
    "nose",
    "malar_right",
    "malar_left",
    "buccal_right",
    "buccal_left",
    "perioral",
    "chin",
    "jaw_right",
    "jaw_left",
    "outside",
)
"""Names; right and left are the person's. ``malar`` is the cheek from the eye down to the wing of
the nose, ``buccal`` from there to the mouth, ``jaw`` beside the chin, ``outside`` everything
else: hair, ears, neck, clothes, background. The fat under the chin is outside."""

PAIRS = (
    ("brow_right", "brow_left"),
    ("eye_right", "eye_left"),
    ("malar_right", "malar_left"),
    ("buccal_right", "buccal_left"),
    ("jaw_right", "jaw_left"),
)
"""Regions that the mirror swaps: (right, left)."""

GROUPS: dict[str, tuple[str, ...]] = {
    "forehead": ("forehead",),
    "glabella": ("glabella",),
    "brows": ("brow_right", "brow_left"),
    "eyes": ("eye_right", "eye_left"),
    "nose": ("nose",),
    "malar": ("malar_right", "malar_left"),
    "buccal": ("buccal_right", "buccal_left"),
    "perioral": ("perioral",),
    "chin": ("chin",),
    "jaw": ("jaw_right", "jaw_left"),
    "outside": ("outside",),
}
"""The regions with both sides joined: again a partition."""

SKIN = tuple(
    name
    for name in REGIONS
    if name not in ("brow_right", "brow_left", "eye_right", "eye_left", "perioral", "outside")
)
"""Regions that are mostly bare skin."""

FOREHEAD = 0.75
"""Height of the forehead above the brows, over the distance from the brows to the tip of the
nose. No landmark marks the hairline; a fringe or a low hairline is counted as forehead."""

OVERSHOOT = 0.05
"""How far a point of the outline (1..17) may lie beyond the crop's edge, over its side. The
points of brows, nose, eyes and mouth (18..68) must lie within."""

MIRROR = np.array(
    [
        *range(16, -1, -1),
        *range(26, 16, -1),
        *range(27, 31),
        *range(35, 30, -1),
        *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),
        *range(54, 47, -1),
        *range(59, 54, -1),
        *range(64, 59, -1),
        *(67, 66, 65),
    ]
)
"""Which landmark each one becomes in the mirror (counted from 0)."""


def mirrored(name: str) -> str:
    """The region on the other side of the face.

    Examples
    --------
    >>> mirrored("eye_right"), mirrored("nose")
    ('eye_left', 'nose')
    """
    other = dict(PAIRS) | {left: right for right, left in PAIRS}
    return other.get(name, name)


def mirrored_landmarks(landmarks: np.ndarray, side: int) -> np.ndarray:
    """Landmarks of the crop flipped left to right, in dlib's order; shape (68, 2)."""
    flipped = np.array(landmarks, copy=True)[MIRROR]
    flipped[:, 0] = side - 1 - flipped[:, 0]
    return flipped


def mean_shape(landmarks: np.ndarray, side: int, weights: np.ndarray | None = None) -> np.ndarray:
    """Mean of the landmarks and of their mirror image.

    Parameters
    ----------
    landmarks : numpy.ndarray
        Shape (n, 68, 2), pixels of crops of `side`.
    weights : numpy.ndarray, optional
        Shape (n,).

    Returns
    -------
    numpy.ndarray
        float32, shape (68, 2).
    """
    mean = np.average(np.asarray(landmarks, np.float64), axis=0, weights=weights)
    return ((mean + mirrored_landmarks(mean, side)) / 2).astype(np.float32)


def region_labels(landmarks: np.ndarray, side: int) -> np.ndarray:
    """Give each pixel of a crop the number of its region.

    Parameters
    ----------
    landmarks : numpy.ndarray
        Shape (68, 2), x and y in pixels of the crop, iBUG 300-W order.
    side : int
        Side of the crop, pixels.

    Returns
    -------
    numpy.ndarray
        uint8, shape (side, side): index into `REGIONS`.

    Raises
    ------
    UserError
        Where landmarks lie outside the crop by more than `OVERSHOOT` allows.
    """
    points = _checked(landmarks, side)
    picture = Image.new("L", (side, side), REGIONS.index("outside"))
    pen = ImageDraw.Draw(picture)
    # the person's left side is drawn by the same rules on the mirrored points
    flipped = mirrored_landmarks(points, side)
    for name, right, left in zip(*_polygons(points), _polygons(flipped)[1], strict=True):
        _fill(pen, right, name)
        _fill(pen, np.column_stack([side - 1 - left[:, 0], left[:, 1]]), mirrored(name))
    return np.array(picture)


def _fill(pen: ImageDraw.ImageDraw, polygon: np.ndarray, name: str) -> None:
    number = REGIONS.index(name)
    pen.polygon([tuple(point) for point in polygon.tolist()], fill=number, outline=number)


def _checked(landmarks: np.ndarray, side: int) -> np.ndarray:
    points = np.asarray(landmarks, np.float64)
    if points.shape != (68, 2) or not np.isfinite(points).all():
        raise UserError(
            f"expected 68 landmarks with finite x and y, found shape {points.shape}; "
            "prepare the dataset again"
        )
    allowed = np.where(np.arange(68) < 17, OVERSHOOT * side, 0.0)[:, None]
    outside = ((points < -allowed) | (points > side - 1 + allowed)).any(1)
    if outside.any():
        numbers = ", ".join(str(number + 1) for number in np.flatnonzero(outside))
        raise UserError(
            f"landmarks {numbers} (of 1..68) lie outside the crop of {side} pixels; prepare "
            "the dataset again with a larger crop (scale 1.7 or more)"
        )
    return points


def _polygons(p: np.ndarray) -> tuple[list[str], list[np.ndarray]]:
    """Regions of the person's right half, in the order of painting; later ones win.

    Early ones reach too far inwards on purpose: what comes later cuts them to size, so that no
    gap is left between neighbours.
    """
    up = p[17:27].mean(0) - p[30]
    cheek = p[31] + 0.45 * (p[31] - p[33])
    wing = cheek + 0.12 * up
    corner = p[48] + 0.16 * (p[48] - p[54])
    fold = p[57] + 0.28 * (p[8] - p[57])
    below = fold + 0.80 * (p[48] - p[[48, 54]].mean(0))
    beside, angle = _between(corner, below, 0.4), _between(p[3], p[4], 0.9)
    root = _between(p[27], p[39], 0.5)
    lower = [p[39] - 0.08 * up, p[40] - 0.19 * up, p[41] - 0.19 * up, p[36] - 0.09 * up]
    shapes = {
        "forehead": [*_dome(p, up), p[27], p[21], p[20], p[19], p[18], p[17]],
        "malar_right": [p[0], p[1], p[2], _between(p[2], p[3], 0.4), cheek, p[33], p[27], p[17]],
        "buccal_right": [
            *(_between(p[2], p[3], 0.4), p[3], angle, beside, p[57], p[33], cheek),
        ],
        "jaw_right": [angle, p[4], p[5], p[6], p[7], p[8], fold, p[57], beside],
        "chin": [below, _between(p[6], p[7], 0.6), p[7], p[8], fold, p[57]],
        "perioral": [wing, cheek, corner, below, fold, p[57], p[51], p[33]],
        "glabella": [p[21] + 0.12 * up, _middle(p) + 0.12 * up, p[27], root, p[21]],
        "eye_right": [
            *(p[36] + 0.3 * (p[36] - p[39]), p[17], p[18], p[19], p[20], p[21]),
            *(root, *lower),
        ],
        "nose": [p[27], root, wing, _between(cheek, p[31], 0.2), p[31], p[32], p[33]],
        "brow_right": [
            *(p[n] + 0.10 * up for n in range(17, 22)),
            *(p[n] - 0.13 * up for n in range(21, 16, -1)),
        ],
    }
    return list(shapes), [np.array(shape) for shape in shapes.values()]


def _between(a: np.ndarray, b: np.ndarray, share: float) -> np.ndarray:
    return a + share * (b - a)


def _middle(p: np.ndarray) -> np.ndarray:
    return (p[21] + p[22]) / 2


def _dome(p: np.ndarray, up: np.ndarray) -> list[np.ndarray]:
    """Quarter of an ellipse from the temple (point 1) to the middle of the hairline."""
    top = p[17:27].mean(0) + FOREHEAD * up
    middle = (p[0] + p[16]) / 2
    angles = np.linspace(0, np.pi / 2, 13)[:, None]
    return list(middle + np.cos(angles) * (p[0] - middle) + np.sin(angles) * (top - middle))

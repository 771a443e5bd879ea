"""Photo quality measured on an aligned crop: sharpness, exposure, pose, what hides the face."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import inf

import numpy as np
from PIL import Image, ImageDraw

WORKING_SIDE = 256
"""Crops are measured at this side, so that the figures of different crop sizes compare."""

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of red, green and blue in luminance (ITU-R BT.601)."""

QUALITY_LIMITS = {
    "soft": ("sharpness", 4.0, inf),
    "dimly lit": ("highlight", 120.0, inf),
    "clipped": ("clipped", -inf, 0.05),
    "turned": ("yaw", -0.3, 0.3),
    "nodding": ("pitch", 0.15, 0.43),
    "mouth open": ("mouth_open", -inf, 0.4),
    "small face": ("face_side", 80, inf),
    "glasses": ("glasses", -inf, 0.45),
    "dark chin": ("dark_chin", -inf, 0.3),
}
"""Flag to measure and the range without a flag; `face_side` is the width of the face in the photo,
pixels. Glasses: 14 of 20 wearers found and 2 of 96 others flagged, by eye on LFW; a dark chin is a
dark beard or a shadow."""


@dataclass(frozen=True)
class Quality:
    """Measures of one crop.

    Attributes
    ----------
    sharpness : float
        Standard deviation of the Laplacian over the face, luminance levels, at a side of 256.
    highlight : float
        95th percentile of the face's luminance, 0..255: how well it is lit. (The mean would call
        dark skin a dark photo.)
    clipped : float
        Share of the face's pixels that are black (≤ 4) or white (≥ 251), 0..1.
    yaw : float
        Left-right asymmetry of the nose between the cheek contours, -1..1; 0 is frontal,
        positive is turned towards the person's left.
    pitch : float
        Height of the nose tip between eyes and chin, 0..1; it moves when the head nods.
    mouth_open : float
        Inner lip gap over inner mouth width.
    glasses : float
        Contrast of the strongest horizontal edge on the bridge of the nose, over the face's
        own contrast.
    dark_chin : float
        How much darker chin and jaw are than the cheeks, over the cheeks' luminance.
    """

    sharpness: float
    highlight: float
    clipped: float
    yaw: float
    pitch: float
    mouth_open: float
    glasses: float
    dark_chin: float


def measure_quality(crop: Image.Image, landmarks: np.ndarray) -> Quality:
    """Measure a crop.

    Parameters
    ----------
    crop : PIL.Image.Image
        Aligned RGB square.
    landmarks : numpy.ndarray
        Shape (68, 2), pixels of the crop.
    """
    points = landmarks * (WORKING_SIDE / crop.width)
    if crop.width != WORKING_SIDE:
        crop = crop.resize((WORKING_SIDE, WORKING_SIDE), Image.Resampling.BILINEAR)
    luma = np.asarray(crop, np.float32) @ LUMA
    face = _inside(points[[*range(17), *range(26, 16, -1)]])
    values = luma[face]
    return Quality(
        sharpness=float(_laplacian(luma)[face].std()),
        highlight=float(np.quantile(values, 0.95)),
        clipped=float(((values <= 4) | (values >= 251)).mean()),
        yaw=_yaw(points),
        pitch=_pitch(points),
        mouth_open=_length(points[62] - points[66]) / max(_length(points[60] - points[64]), 1.0),
        glasses=_bridge_edge(luma, points) / max(float(values.std()), 1.0),
        dark_chin=_dark_chin(luma, points),
    )


def quality_flags(
    crop: Image.Image, landmarks: np.ndarray, face_box: tuple[int, int, int, int]
) -> list[str]:
    """Names of the `QUALITY_LIMITS` that a crop is beyond.

    Parameters
    ----------
    crop, landmarks
        As for `measure_quality`.
    face_box : tuple of int
        Left, top, right, bottom of the face in the photo, pixels.
    """
    values = asdict(measure_quality(crop, landmarks)) | {"face_side": face_box[2] - face_box[0]}
    return [
        flag
        for flag, (name, low, high) in QUALITY_LIMITS.items()
        if values[name] < low or values[name] > high
    ]


def _length(vector: np.ndarray) -> float:
    return float(np.hypot(*vector))


def _inside(polygon: np.ndarray) -> np.ndarray:
    """Mask of a polygon, shape (256, 256); never empty."""
    mask = Image.new("1", (WORKING_SIDE, WORKING_SIDE))
    ImageDraw.Draw(mask).polygon([tuple(point) for point in polygon.tolist()], fill=1, outline=1)
    inside = np.array(mask)
    return inside if inside.any() else np.ones_like(inside)


def _laplacian(luma: np.ndarray) -> np.ndarray:
    padded = np.pad(luma, 1, mode="edge")
    around = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
    return around - 4 * luma


def _yaw(points: np.ndarray) -> float:
    right, left = _length(points[30] - points[2]), _length(points[30] - points[14])
    return (right - left) / max(right + left, 1.0)


def _pitch(points: np.ndarray) -> float:
    eyes, chin = points[36:48, 1].mean(), points[8, 1]
    return float((points[30, 1] - eyes) / max(chin - eyes, 1.0))


def _bridge_edge(luma: np.ndarray, points: np.ndarray) -> float:
    """Strongest change of luminance from row to row between the inner corners of the eyes."""
    x0, x1 = sorted(np.rint([points[39, 0], points[42, 0]]).astype(int).tolist())
    gap = max((x1 - x0) // 5, 1)
    y0 = round(float(points[[21, 22], 1].mean()))
    y1 = round(float(points[29, 1]))
    strip = luma[max(y0, 0) : max(y1, y0 + 4), max(x0 + gap, 0) : max(x1 - gap, x0 + gap + 2)]
    rows = strip.mean(1)
    return float(np.abs(rows[2:] - rows[:-2]).max()) if len(rows) > 2 else 0.0


def _dark_chin(luma: np.ndarray, points: np.ndarray) -> float:
    """Luminance of the cheeks against that of chin and jaw."""
    cheeks = _inside(points[[2, 3, 4, 48, 31]]) | _inside(points[[14, 13, 12, 54, 35]])
    chin = _inside(np.concatenate([points[5:12], points[[55, 57, 59]]]))
    bright = float(luma[cheeks].mean())
    return (bright - float(luma[chin].mean())) / max(bright, 1.0)

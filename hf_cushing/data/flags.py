"""Quality flags: photos that are soft, dark, turned, or partly hidden."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hf_cushing.data.measure import QUALITY_NAMES, Measures
from hf_cushing.schema import CONTROL

QUALITY_LIMITS = {
    "soft": ("sharpness", "<", 4.0),
    "dimly lit": ("highlight", "<", 120.0),
    "clipped": ("clipped", ">", 0.05),
    "turned": ("yaw", "abs>", 0.3),
    "nodding": ("pitch", "outside", (0.15, 0.43)),
    "mouth open": ("mouth_open", ">", 0.4),
    "small face": ("face_side", "<", 80),
    "glasses": ("glasses", ">", 0.45),
    "dark chin": ("dark_chin", ">", 0.3),
}
"""Flag to measure, comparison and limit. Glasses: 14 of 20 wearers found and 2 of 96 others
flagged, by eye on LFW; a dark chin is a dark beard or a shadow."""


def flag_quality(columns: dict[str, np.ndarray], measures: Measures) -> list[dict[str, Any]]:
    values = dict(zip(QUALITY_NAMES, measures.quality.T, strict=True))
    values["face_side"] = columns["face_side"]
    control = columns["label"] == CONTROL
    result = []
    for flag, (name, comparison, limit) in QUALITY_LIMITS.items():
        hit = _beyond(values[name], comparison, limit)
        shares = [float(hit[group].mean()) if group.any() else math.nan
                  for group in (control, ~control)]  # fmt: skip
        result.append(
            {
                "flag": flag,
                "measure": name,
                "limit": f"{comparison} {limit}",
                "rows": np.flatnonzero(hit).tolist(),
                "share_control": shares[0],
                "share_others": shares[1],
            }
        )
    return [*result, _wrong_view(columns, values["yaw"])]


def _beyond(values: np.ndarray, comparison: str, limit: Any) -> np.ndarray:
    if comparison == "<":
        return values < limit
    if comparison == ">":
        return values > limit
    if comparison == "abs>":
        return np.abs(values) > limit
    return (values < limit[0]) | (values > limit[1])


def _wrong_view(columns: dict[str, np.ndarray], yaw: np.ndarray) -> dict[str, Any]:
    """Photos whose pose contradicts the column `view`."""
    view, control = columns["view"], columns["label"] == CONTROL
    limit = QUALITY_LIMITS["turned"][2]
    side = np.isin(view, ["left", "right", "oblique"])
    hit = (side & (np.abs(yaw) < limit / 2)) | ((view == "frontal") & (np.abs(yaw) > 1.5 * limit))
    shares = [float(hit[g].mean()) if g.any() else math.nan for g in (control, ~control)]
    return {
        "flag": "not the view it is listed as",
        "measure": "yaw",
        "limit": f"frontal > {1.5 * limit:g}, others < {limit / 2:g}",
        "rows": np.flatnonzero(hit).tolist(),
        "share_control": shares[0],
        "share_others": shares[1],
    }

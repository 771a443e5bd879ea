"""The first figure of an explanation: the face, its regions, and what hiding each costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hf_cushing.explain.cohort import Explained
from hf_cushing.explain.mean_face import FEWEST, mean_face
from hf_cushing.explain.tables import row_text
from hf_cushing.explain.verdicts import separations
from hf_cushing.faces.regions import GROUPS, REGIONS, mean_shape, region_labels
from hf_cushing.reports.style import new_figure, save
from hf_cushing.stats.region_shares import RegionRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARGIN = 0.08
"""Of the crop's side that is not drawn: there is nothing but background."""

STRONGEST = 0.75
"""Opacity of the colour of the region that counts most."""


def plot_face(path: Path, explained: Explained, rows: Sequence[RegionRow]) -> None:
    """Draw the regions on the mean face, coloured where hiding them is shown to cost.

    Of fewer than `FEWEST` persons no face is shown, only the regions.
    """
    everybody = np.full(len(explained.patients), True)
    side, landmarks = explained.side, explained.landmarks
    if len(np.unique(explained.patients)) < FEWEST:
        grey, shape = np.full((side, side), 235.0), mean_shape(landmarks, side)
    else:
        crops = explained.crops(everybody)
        face = mean_face(crops, landmarks, patients=explained.patients, side=side)
        grey, shape = face.image.mean(2), face.landmarks
    figure = new_figure(5.6, 3.9)
    axes = figure.subplots()
    axes.imshow(grey, cmap="gray", vmin=0, vmax=255)
    labels = region_labels(shape, side)
    numbers = [np.isin(labels, [REGIONS.index(n) for n in names]) for names in GROUPS.values()]
    masks = dict(zip(GROUPS, numbers, strict=True))
    _colour(axes, masks, rows)
    for mask in masks.values():
        axes.contour(mask, levels=[0.5], colors="0.15", linewidths=0.5)
    _write(axes, masks, rows)
    margin = MARGIN * side
    axes.set(xlim=(margin, 1.85 * side), ylim=(side - margin, margin))
    axes.set_axis_off()
    save(figure, path)


def _colour(axes: Axes, masks: dict[str, np.ndarray], rows: Sequence[RegionRow]) -> None:
    """Orange over each region that is shown to count, the more the stronger."""
    shown = {row.region: row.estimate for row in separations(rows) if row.low > 0}
    strength = sum(masks[name] * value for name, value in shown.items())
    if shown:
        alpha = STRONGEST * np.asarray(strength) / max(shown.values())
        axes.imshow(np.broadcast_to((0.9, 0.4, 0.0), (*alpha.shape, 3)), alpha=alpha)


def _write(axes: Axes, masks: dict[str, np.ndarray], rows: Sequence[RegionRow]) -> None:
    """Beside the face, from top to bottom: each region and its cost, with a line to it."""
    side = len(next(iter(masks.values())))
    points = {name: _point(mask) for name, mask in masks.items() if mask.any()}
    found = {row.region: row for row in separations(rows)}
    order = sorted(points, key=lambda name: points[name][1])
    for place, name in enumerate(order):
        row, y = found[name], side * (0.1 + 0.8 * (place + 0.5) / len(order))
        shown = row.low > 0
        cost = row_text(row, 2) if math.isfinite(row.low) else "no statement"
        axes.annotate(
            f"{name}  {cost}", points[name], (1.02 * side, y), va="center", fontsize=10,
            weight="bold" if shown else "normal", color="black" if shown else "0.4",
            arrowprops={"arrowstyle": "-", "color": "0.15" if shown else "0.6", "lw": 0.7,
                        "relpos": (0, 0.5)},
        )  # fmt: skip


def _point(mask: np.ndarray) -> tuple[float, float]:
    """A pixel within the region, in the right half of the picture where there is one."""
    y, x = np.nonzero(mask)
    half = x >= np.median(x)
    middle = np.array([np.mean(x[half]), np.mean(y[half])])
    nearest = np.argmin((x - middle[0]) ** 2 + (y - middle[1]) ** 2)
    return float(x[nearest]), float(y[nearest])

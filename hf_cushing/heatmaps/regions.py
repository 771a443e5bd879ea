"""Heat by region of the face, and the part of it that is worth showing."""

from __future__ import annotations

import numpy as np

from hf_cushing.faces.regions import GROUPS, REGIONS


def region_sums(heat: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """Sum of the absolute heat in each region.

    Parameters
    ----------
    heat : numpy.ndarray
        Shape (side, side).
    regions : numpy.ndarray
        As `region_labels` gives them.

    Returns
    -------
    numpy.ndarray
        float64, shape (len(REGIONS),).
    """
    return np.bincount(regions.ravel(), np.abs(heat).ravel(), minlength=len(REGIONS))


def group_sums(values: np.ndarray) -> np.ndarray:
    """Sums over the regions of each group: the last axis, `REGIONS`, becomes `GROUPS`."""
    columns = [[REGIONS.index(name) for name in names] for names in GROUPS.values()]
    return np.stack([values[..., column].sum(-1) for column in columns], -1)


def above_mean(heat: np.ndarray) -> np.ndarray:
    """Heat above its mean, stretched to 0..1, for pictures: the least of it says nothing.

    >>> above_mean(np.array([0.0, 1.0, 2.0])).tolist()
    [0.0, 0.0, 1.0]
    """
    top, mean = float(heat.max()), float(heat.mean())
    if top <= mean:
        return np.zeros_like(heat)
    return np.clip((heat - mean) / (top - mean), 0, 1)

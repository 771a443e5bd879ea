"""Weights of photos in the loss against imbalance of class and sex."""

from __future__ import annotations

import numpy as np

CAP = 10.0
"""No photo weighs more than this many times one of the largest group, however rare its own."""


def photo_weights(labels: np.ndarray, sexes: np.ndarray, imbalance: str) -> np.ndarray:
    """Weights that make groups count alike.

    Parameters
    ----------
    labels, sexes : numpy.ndarray
        Shape (n,).
    imbalance : str
        ``none``; ``class`` (each class counts alike); ``class_sex`` (each class × sex does).

    Returns
    -------
    numpy.ndarray
        float32, shape (n,), mean 1; the largest is at most `CAP` times the smallest.

    Examples
    --------
    >>> labels = np.array(["control", "control", "control", "cushing"])
    >>> weights = photo_weights(labels, np.full(4, "female"), "class")
    >>> [round(float(weight), 2) for weight in weights]
    [0.67, 0.67, 0.67, 2.0]
    """
    groups = {
        "none": np.zeros(len(labels), int),
        "class": labels,
        "class_sex": np.char.add(np.char.add(labels.astype(str), "/"), sexes.astype(str)),
    }[imbalance]
    _, place, counts = np.unique(groups, return_inverse=True, return_counts=True)
    weights = np.minimum(counts.max() / counts[place], CAP)
    return (weights / weights.mean()).astype(np.float32)

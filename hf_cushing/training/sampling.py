"""Against imbalance of class and sex: weights of photos in the loss, or how often they come."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from torch.utils.data import Sampler

from hf_cushing.data.loading import class_words
from hf_cushing.stats.resampling import strata_of

if TYPE_CHECKING:
    from datasets import Dataset

DRAWN = "sample_"
"""Prefix of the treatments that draw photos instead of weighing them."""

CAP = 10.0
"""No photo weighs more than this many times one of the largest group, however rare its own."""


def photo_weights(labels: np.ndarray, sexes: np.ndarray, imbalance: str) -> np.ndarray:
    """Weights that make groups count alike.

    Parameters
    ----------
    labels, sexes : numpy.ndarray
        Shape (n,).
    imbalance : str
        ``none``; ``class`` (each class counts alike); ``class_sex`` (each class × sex does). A
        leading ``sample_`` changes nothing: the same weights are then for drawing.

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
        "class_sex": strata_of(labels, sexes),
    }[imbalance.removeprefix(DRAWN)]
    _, place, counts = np.unique(groups, return_inverse=True, return_counts=True)
    weights = np.minimum(counts.max() / counts[place], CAP)
    return (weights / weights.mean()).astype(np.float32)


def weights_of(photos: Dataset, imbalance: str) -> np.ndarray:
    """`photo_weights` of a dataset's photos."""
    return photo_weights(class_words(photos, "label"), class_words(photos, "sex"), imbalance)


def class_sex_numbers(photos: Dataset) -> np.ndarray:
    """Class × sex of each photo as a number, shape (n,)."""
    return 3 * np.array(photos["label"][:]) + np.array(photos["sex"][:])


class PhotoOrder(Sampler[int]):
    """Order of the photos in an epoch: from (seed, epoch) alone, in whole global batches.

    The last batch is filled up with photos of the epoch's beginning, so that one process and
    several, which need batches of one size, see the same photos.

    Parameters
    ----------
    count : int
        Number of photos.
    seed : int
    multiple : int
        Size of the global batch: of a process × accumulated steps × processes.
    weights : numpy.ndarray, optional
        Draw photos with replacement in proportion; without it each comes once.
    """

    def __init__(self, count: int, *, seed: int, multiple: int, weights: np.ndarray | None = None):
        self.count, self.seed, self.multiple, self.weights = count, seed, multiple, weights
        self.epoch = 0

    def __len__(self) -> int:
        return -(-self.count // self.multiple) * self.multiple

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of this epoch."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng([self.seed, self.epoch])
        if self.weights is None:
            order = np.resize(rng.permutation(self.count), len(self))
        else:
            shares = self.weights.astype(float) / self.weights.sum(dtype=float)
            order = rng.choice(self.count, len(self), p=shares)
        return iter(order.tolist())

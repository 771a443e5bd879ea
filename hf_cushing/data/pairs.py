"""Pairs of photos that are too much alike: one person under two ids, one photo twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

NEIGHBOURS = 10
BLOCK = 2_000_000
"""Distances held at once: 8 MB, with a few copies on the way."""


@dataclass(frozen=True)
class Pairs:
    """Pairs of photos, nearest first.

    Attributes
    ----------
    first, second : numpy.ndarray
        Row numbers, int, shape (m,); first < second.
    distance : numpy.ndarray
        Euclidean.
    ratio : numpy.ndarray
        Distance over the mean of the two photos' own scales (`local_scales`).
    """

    first: np.ndarray
    second: np.ndarray
    distance: np.ndarray
    ratio: np.ndarray

    def __len__(self) -> int:
        return len(self.first)


def local_scales(vectors: np.ndarray, persons: np.ndarray) -> np.ndarray:
    """Mean distance of each photo to the nearest ten photos of other persons.

    Descriptors crowd together for faces that their network knows badly (in dlib's: older East
    Asian women with glasses, and drawings). A distance means the same everywhere only in
    proportion to how near strangers come; the idea is that of CSLS (Conneau et al. 2018,
    arXiv 1710.04087). No scale is below half the median: a photo filed ten times would else
    have only its own copies for strangers.

    Parameters
    ----------
    vectors : numpy.ndarray
        float32, shape (n, d).
    persons : numpy.ndarray
        Shape (n,): who it is said to be.

    Returns
    -------
    numpy.ndarray
        float32, shape (n,); NaN where there is no other person.
    """
    scales = np.full(len(vectors), np.nan, np.float32)
    codes = np.unique(persons, return_inverse=True)[1]
    for start, distances in _blocks(vectors):
        rows = slice(start, start + len(distances))
        distances[codes[rows, None] == codes[None]] = np.inf
        k = min(NEIGHBOURS, distances.shape[1])
        nearest = np.partition(distances, k - 1, axis=1)[:, :k]
        known = np.isfinite(nearest)
        total = np.where(known, nearest, 0).sum(1)
        scales[rows] = np.where(known.any(1), total / np.maximum(known.sum(1), 1), np.nan)
    known = np.isfinite(scales)
    return np.maximum(scales, np.median(scales[known]) / 2) if known.any() else scales


def close_pairs(vectors: np.ndarray, scales: np.ndarray, *, ratio: float, distance: float) -> Pairs:
    """All pairs nearer than `ratio` times their mean scale, and than `distance`.

    Parameters
    ----------
    vectors : numpy.ndarray
        float32, shape (n, d).
    scales : numpy.ndarray
        Of `local_scales`.
    ratio, distance : float
        Upper bounds.
    """
    found = []
    for start, distances in _blocks(vectors):
        half = scales[start : start + len(distances), None] / 2 + scales[None] / 2
        near = (distances <= ratio * half) & (distances <= distance)
        first, second = np.nonzero(near)
        later = second > first + start
        first, second = first[later], second[later]
        values = distances[first, second]
        found.append((first + start, second, values, values / half[first, second]))
    parts = [np.concatenate(column) for column in zip(*found, strict=True)]
    order = np.argsort(parts[3], kind="stable")
    return Pairs(*(column[order] for column in parts))


def _blocks(vectors: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (first row, Euclidean distances of the next rows to all rows)."""
    vectors = np.ascontiguousarray(vectors, np.float32)
    squares = np.einsum("ij,ij->i", vectors, vectors)
    rows = max(1, BLOCK // max(len(vectors), 1))
    for start in range(0, len(vectors), rows):
        block = vectors[start : start + rows]
        distances = block @ vectors.T
        distances *= -2
        distances += squares[start : start + rows, None]
        distances += squares[None]
        np.maximum(distances, 0, out=distances)
        np.sqrt(distances, out=distances)
        yield start, distances

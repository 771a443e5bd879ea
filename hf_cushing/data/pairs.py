"""Pairs of photos that are too much alike: one person under two ids, one photo twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

IDENTITY_RATIO, LOOK_RATIO = 0.86, 0.96
"""Two photos show one person when their descriptors' distance is below the first share of the
distance to strangers, and are worth a look below the second. Chosen on half of the persons of LFW
(`benchmarks/identity.py`, which prints what they do on the other half)."""

IDENTITY_DISTANCE = 0.45
"""And below this distance: no two photos of one person on LFW are farther apart."""

LOOK_ALIKES = 5
"""Strangers to whom a photo's distance is its scale: on the choosing half five found more than
three, ten or thirty."""

COPY_RATIO, COPY_DISTANCE = 0.42, 0.45
"""Near-duplicates, by the normalised grey miniature. On LFW other photos, of whomever, lie above
a ratio of 0.5, and of copies 95 % below 0.4 (`benchmarks/copies.py`). Drawn faces have less in
them: of 72, two of different persons came as near as 0.48."""

NEIGHBOURS = 10
"""Other persons' photos to which a miniature's distance is its scale."""

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


def same_person_pairs(
    descriptors: np.ndarray, patients: np.ndarray, ratio: float = IDENTITY_RATIO
) -> Pairs:
    """Pairs of photos that seem to show one person, within one patient id or across two.

    Parameters
    ----------
    descriptors : numpy.ndarray
        float32, shape (n, 128).
    patients : numpy.ndarray
        Shape (n,).
    ratio : float
        Upper bound; `LOOK_RATIO` gives those worth a look too.
    """
    scales = local_scales(descriptors, patients, LOOK_ALIKES)
    return close_pairs(descriptors, scales, ratio=ratio, distance=IDENTITY_DISTANCE)


def near_duplicates(thumbprints: np.ndarray, patients: np.ndarray) -> Pairs:
    """Pairs of photos that are one photo, saved again, resized or slightly cropped."""
    vectors = grey_vectors(thumbprints)
    scales = np.nan_to_num(local_scales(vectors, patients), nan=1.0)
    return close_pairs(vectors, scales, ratio=COPY_RATIO, distance=COPY_DISTANCE)


def grey_vectors(thumbprints: np.ndarray) -> np.ndarray:
    """Miniatures without their mean and contrast: float32, rows of length 1."""
    vectors = thumbprints.astype(np.float32)
    vectors -= vectors.mean(1, keepdims=True)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    return vectors


def exact_copies(photo_ids: np.ndarray) -> Pairs:
    """Pairs of photos of one content: each copy with the first photo of it."""
    first: dict[str, int] = {}
    rows = [(first.setdefault(name, row), row) for row, name in enumerate(photo_ids.tolist())]
    pairs = np.array([pair for pair in rows if pair[0] != pair[1]], int).reshape(-1, 2)
    nothing = np.zeros(len(pairs))
    return Pairs(pairs[:, 0], pairs[:, 1], nothing, nothing)


def local_scales(
    vectors: np.ndarray, persons: np.ndarray, neighbours: int = NEIGHBOURS
) -> np.ndarray:
    """Mean distance of each photo to the nearest photos of other persons.

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
    neighbours : int
        How many photos.

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
        k = min(neighbours, distances.shape[1])
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

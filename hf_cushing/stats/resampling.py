"""Draws of whole patients, as weights of their photos."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, stdtrit

from hf_cushing.schema import KNOWN_SEXES

MOST_UNDEFINED = 0.05
"""Share of draws in which a statistic may be undefined and still have an interval."""

UNSTABLE = "no interval: undefined in too many draws"
NO_SPREAD = 1e-8
"""Differences and errors below this are rounding."""
UNVARIED = "no interval: the same in every draw, which is no certainty"
"""The reason why there is none where more are undefined."""


def strata_of(labels: np.ndarray, sexes: np.ndarray) -> np.ndarray:
    """Label × sex of each photo as words, shape (n,).

    >>> strata_of(np.array(["control", "cushing"]), np.array(["male", "female"])).tolist()
    ['control/male', 'cushing/female']
    """
    return np.char.add(np.char.add(labels.astype(str), "/"), sexes.astype(str))


def sex_masks(sexes: np.ndarray) -> dict[str, np.ndarray]:
    """Photos of ``all``, ``female`` and ``male``: bool, shape (n,) each."""
    everybody = {"all": np.full(len(sexes), True)}
    return everybody | {sex: sexes == sex for sex in KNOWN_SEXES}


class Patients:
    """Who is in which photo, and which patients may stand in for each other.

    Parameters
    ----------
    patients, strata : numpy.ndarray
        Shape (n,): the patient and the stratum (label × sex) of each photo. A patient with
        photos in several strata belongs to one of their own.

    Examples
    --------
    >>> who = Patients(np.array(["A", "A", "B", "C"]), np.array(["x", "x", "x", "y"]))
    >>> who.count, who.draws(3, np.random.default_rng(0)).sum(1).tolist()
    (3, [4.0, 4.0, 3.0])
    """

    def __init__(self, patients: np.ndarray, strata: np.ndarray):
        names, self.of_photo = np.unique(patients, return_inverse=True)
        self.count = len(names)
        pairs = np.unique(np.stack([patients.astype(str), strata.astype(str)], 1), axis=0)
        held: dict[str, list[str]] = {}
        for patient, stratum in pairs.tolist():
            held.setdefault(patient, []).append(stratum)
        kinds = np.array(["|".join(held[str(name)]) for name in names], dtype=str)
        self.kinds, self.stratum = np.unique(kinds, return_inverse=True)

    def select(self, rows: np.ndarray) -> Patients:
        """The patients of some photos (row numbers), in the strata that they have here."""
        return Patients(self.of_photo[rows], self.stratum[self.of_photo][rows])

    def count_in(self, mask: np.ndarray) -> int:
        """How many patients the photos in `mask` (bool, shape (n,)) are of."""
        return len(np.unique(self.of_photo[mask]))

    def weights(self, draws: int) -> np.ndarray:
        """The sample itself, then so many draws, by the seed 0: float64, shape (1 + draws, n)."""
        drawn = self.draws(draws, np.random.default_rng(0))
        return np.concatenate([np.ones((1, len(self.of_photo))), drawn])

    def draws(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Bootstrap within strata: weights of the photos, float32, shape (count, n)."""
        times = np.empty((count, self.count), np.float32)
        for stratum in range(len(self.kinds)):
            inside = np.flatnonzero(self.stratum == stratum)
            size = len(inside)
            times[:, inside] = rng.multinomial(size, np.full(size, 1 / size), size=count)
        return times[:, self.of_photo]

    def level(self, level: float = 0.95) -> float:
        """The level at which to cut the draws so that the interval holds the truth at `level`.

        Drawing n patients of n is too narrow by the square root of (n - 1) / n, and quantiles
        take the spread for known. Hesterberg's expanded percentiles (2015, Am Stat 69:371), with
        the mean size of a stratum for n and Student's t for the normal.
        """
        strata = len(self.kinds)
        free, size = self.count - strata, self.count / strata if strata else 0
        if free < 1 or size <= 1:
            return level
        z = stdtrit(free, (1 + level) / 2) * np.sqrt(size / (size - 1))
        return float(2 * ndtr(z) - 1)

    def left_out(self) -> np.ndarray:
        """Each patient left out in turn: weights, float32, shape (patients, n)."""
        return (self.of_photo != np.arange(self.count)[:, None]).astype(np.float32)

    def shuffled(
        self, marked: np.ndarray, classes: np.ndarray, count: int, rng: np.random.Generator
    ) -> np.ndarray:
        """Permute a mark (is a woman) among the patients of each class.

        Parameters
        ----------
        marked : numpy.ndarray
            bool, shape (n,); the same for all photos of a patient.
        classes : numpy.ndarray
            Shape (n,): patients swap only with those of the same set of classes.
        count : int

        Returns
        -------
        numpy.ndarray
            bool, shape (count, n).
        """
        kinds = Patients(self.of_photo, classes).stratum
        first = np.unique(self.of_photo, return_index=True)[1]
        own = marked[first]
        permuted = np.empty((count, self.count), bool)
        for kind in np.unique(kinds):
            inside = np.flatnonzero(kinds == kind)
            permuted[:, inside] = rng.permuted(np.tile(own[inside], (count, 1)), axis=1)
        return permuted[:, self.of_photo]


def varied_interval(draws: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """`percentile_interval`, or NaN where the draws are all alike: they tell no error then.

    >>> varied_interval(np.ones(100))
    (nan, nan)
    """
    low, high = percentile_interval(draws, level)
    return (low, high) if high - low > NO_SPREAD else (float("nan"), float("nan"))


def percentile_interval(draws: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Quantiles of the draws; NaN where more than 5 % are undefined."""
    known = draws[np.isfinite(draws)]
    if len(known) < (1 - MOST_UNDEFINED) * len(draws) or not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2]).tolist()
    return low, high

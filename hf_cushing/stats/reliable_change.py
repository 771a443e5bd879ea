"""Change of a score between visits: how repeatable it is, and which change is reliable.

A photo's value is the person's level, plus what differs from visit to visit in a stable person
(day), plus what differs between photos of one visit (photo). Both spreads are taken to be the
same in everybody.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtri, stdtr, stdtrit

from hf_cushing.stats.intervals import LEVEL

Z = 1.96

STABLE, SAME_VISIT, NOWHERE = "stable visits", "photos of one visit", "nothing"

FELL, ROSE, NEITHER, UNKNOWN = "fell", "rose", "no reliable change", "no verdict"


@dataclass(frozen=True, kw_only=True)
class Visits:
    """Visits in the order of patient and day, and which photo belongs to which.

    Attributes
    ----------
    patient, period : numpy.ndarray
        Words, shape (visits,). Visits of a patient with the same period, unless it is empty, are
        known to be stable.
    day : numpy.ndarray
        int, shape (visits,): days since any date.
    of_photo : numpy.ndarray
        int, shape (photos,): row of the photo's visit.
    """

    patient: np.ndarray
    day: np.ndarray
    period: np.ndarray
    of_photo: np.ndarray

    def __len__(self) -> int:
        return len(self.patient)

    @property
    def photos(self) -> np.ndarray:
        """Photos of each visit: int, shape (visits,)."""
        return np.bincount(self.of_photo, minlength=len(self))

    def means(self, values: np.ndarray) -> np.ndarray:
        """Mean of the photos' values (float, shape (photos,)) in each visit."""
        return np.bincount(self.of_photo, values, len(self)) / self.photos

    def periods(self) -> list[np.ndarray]:
        """Rows of the visits of each stable period that has at least two."""
        keys: dict[tuple[str, str], list[int]] = {}
        for row, key in enumerate(zip(self.patient.tolist(), self.period.tolist(), strict=True)):
            if key[1]:
                keys.setdefault(key, []).append(row)
        return [np.array(rows) for rows in keys.values() if len(rows) > 1]


def make_visits(patient: np.ndarray, day: np.ndarray, period: np.ndarray) -> Visits:
    """Join photos of one patient and day to a visit.

    Parameters
    ----------
    patient, period : numpy.ndarray
        Words, shape (photos,).
    day : numpy.ndarray
        int, shape (photos,).

    Examples
    --------
    >>> made = make_visits(np.array(["A", "A", "A"]), np.array([9, 2, 2]), np.array(["", "", ""]))
    >>> made.day.tolist(), made.photos.tolist()
    ([2, 9], [2, 1])
    """
    names, number = np.unique(patient, return_inverse=True)
    keys = np.stack([number, np.asarray(day, np.int64)], 1)
    rows, first, of_photo = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    return Visits(
        patient=names[rows[:, 0]],
        day=rows[:, 1],
        period=np.asarray(period)[first],
        of_photo=of_photo.ravel(),
    )


@dataclass(frozen=True, kw_only=True)
class Repeatability:
    """How much a value varies in a person who does not change.

    Attributes
    ----------
    photo_square, visit_square : float
        Mean squares of photos within visits, and of the means of stable visits; NaN without.
    photo_freedom, visit_freedom : int
        Their degrees of freedom.
    inverse : float
        Mean of 1 / photos over the stable visits.
    patients : int
        Who contributed: to the stable visits, or else to visits with several photos.
    """

    photo_square: float
    photo_freedom: int
    visit_square: float
    visit_freedom: int
    inverse: float
    patients: int

    @property
    def source(self) -> str:
        """`STABLE`; `SAME_VISIT`, without what differs from day to day; or `NOWHERE`."""
        if self.visit_freedom:
            return STABLE
        return SAME_VISIT if self.photo_freedom else NOWHERE

    @property
    def known(self) -> bool:
        """Whether it was measured at all; else every spread and interval is NaN."""
        return self.source != NOWHERE

    @property
    def photo_sd(self) -> float:
        """Spread of photos of one visit; NaN if no visit has two."""
        return math.sqrt(self.photo_square)

    @property
    def day_sd(self) -> float:
        """Spread of stable visits beyond that of photos, at least 0; NaN where not known."""
        if not self.visit_freedom or not self.photo_freedom:
            return math.nan
        return math.sqrt(max(0.0, self.visit_square - self.inverse * self.photo_square))

    def variance(self, visits: int, inverse: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Variance of a sum or difference of visit means in a stable person.

        Parameters
        ----------
        visits : int
            1 for one mean, 2 for a difference.
        inverse : numpy.ndarray
            Sum of 1 / photos over these visits.

        Returns
        -------
        variance, freedom : numpy.ndarray
            Degrees of freedom by Satterthwaite (1946, Biometrics Bull 2:110). With as many photos
            a visit as the stable visits have, the variance is `visits` × `visit_square`: exact.
        """
        inverse = np.asarray(inverse, float)
        photo, free = self.photo_square, np.full(inverse.shape, float(self.photo_freedom))
        if not self.visit_freedom:
            return photo * inverse, free
        whole = np.full(inverse.shape, visits * self.visit_square)
        if not self.photo_freedom:
            return whole, np.full(inverse.shape, float(self.visit_freedom))
        more = (inverse - visits * self.inverse) * photo
        spread = whole**2 / self.visit_freedom + more**2 / self.photo_freedom
        with np.errstate(invalid="ignore", divide="ignore"):
            freedom = np.where(spread > 0, (whole + more) ** 2 / spread, free)
        alone = whole + more < photo * inverse  # the day's variance comes out below 0
        return np.where(alone, photo * inverse, whole + more), np.where(alone, free, freedom)

    def within_sd(self, photos: int) -> tuple[float, float, float]:
        """Within-person SD of a visit of so many photos, with the interval of chi squared."""
        variance, free = (float(x) for x in self.variance(1, np.array(1 / photos)))
        tails = (1 - LEVEL) / 2, (1 + LEVEL) / 2
        low, high = (math.sqrt(variance * free / float(chdtri(free, tail))) for tail in tails)
        return math.sqrt(variance), low, high

    def coefficient(self, photos: int) -> tuple[float, float, float]:
        """Repeatability coefficient 1.96 √2 SD, and its interval.

        Two visits of a stable person differ by less in 95 of 100 cases (Bland and Altman 1999,
        Stat Methods Med Res 8:135).
        """
        value, low, high = (Z * math.sqrt(2) * sd for sd in self.within_sd(photos))
        return value, low, high


def repeatability(values: np.ndarray, visits: Visits) -> Repeatability:
    """Measure how much a value varies in stable persons, by analysis of variance.

    Without a stable pair and without a visit of two photos it is not known, see `known`.

    Parameters
    ----------
    values : numpy.ndarray
        float, shape (photos,).
    visits : Visits
        Of the same photos.

    Examples
    --------
    >>> who, day = np.repeat(["A", "B"], 4), np.tile([1, 1, 2, 2], 2)
    >>> visits = make_visits(who, day, np.repeat("stable", 8))
    >>> found = repeatability(np.array([1.0, 3, 2, 4, 0, 2, 1, 1]), visits)
    >>> found.source, found.visit_freedom, found.photo_freedom, found.visit_square
    ('stable visits', 2, 4, 0.25)
    """
    means, photos = visits.means(values), visits.photos
    free = len(values) - len(visits)
    rest = float(np.sum((values - means[visits.of_photo]) ** 2))
    stable = visits.periods()
    freedom = sum(len(rows) - 1 for rows in stable)
    squares = sum(float(np.sum((means[rows] - means[rows].mean()) ** 2)) for rows in stable)
    inverse = sum((len(rows) - 1) * float(np.mean(1 / photos[rows])) for rows in stable)
    used = np.concatenate(stable) if stable else np.flatnonzero(photos > 1)
    return Repeatability(
        photo_square=rest / free if free else math.nan,
        photo_freedom=free,
        visit_square=squares / freedom if freedom else math.nan,
        visit_freedom=freedom,
        inverse=inverse / freedom if freedom else math.nan,
        patients=len(np.unique(visits.patient[used])),
    )


@dataclass(frozen=True, kw_only=True)
class Change:
    """Differences between visits, second minus first; arrays of one shape.

    Attributes
    ----------
    change, low, high : numpy.ndarray
        With the interval of the change beyond what a stable person's visits differ by.
    error, freedom : numpy.ndarray
        Standard error of a difference in a stable person, and its degrees of freedom.
    index : numpy.ndarray
        Reliable-change index: change / error; 0 where neither varies.
    p : numpy.ndarray
        Two-sided, by Student's t.
    """

    change: np.ndarray
    low: np.ndarray
    high: np.ndarray
    error: np.ndarray
    freedom: np.ndarray
    index: np.ndarray
    p: np.ndarray

    def verdict(self) -> np.ndarray:
        """`FELL`, `ROSE`, `NEITHER` or, without an error, `UNKNOWN`: words of the same shape."""
        sure = self.p < 1 - LEVEL
        told = np.where(sure, np.where(self.change < 0, FELL, ROSE), NEITHER)
        return np.where(np.isnan(self.p), UNKNOWN, told)


def reliable_change(
    first: np.ndarray,
    second: np.ndarray,
    *,
    photos: tuple[np.ndarray, np.ndarray],
    measured: Repeatability,
) -> Change:
    """Change between two visits against what a stable person's visits differ by.

    The index of Jacobson and Truax (1991, J Consult Clin Psychol 59:12) is the change over
    √2 × the standard error of measurement. Here that error depends on the photos of each visit,
    error² = 2 day² + photo² (1 / n₁ + 1 / n₂), and since it is estimated, Student's t replaces
    their 1.96.

    Parameters
    ----------
    first, second : numpy.ndarray
        Visit means.
    photos : tuple of numpy.ndarray
        Photos of the first and the second visits.
    measured : Repeatability

    Examples
    --------
    >>> made = Repeatability(photo_square=1.0, photo_freedom=100, visit_square=0.75,
    ...                      visit_freedom=50, inverse=0.5, patients=50)
    >>> found = reliable_change(3.0, 0.0, photos=(2, 2), measured=made)
    >>> round(float(found.error), 3), round(float(found.index), 2), str(found.verdict())
    (1.225, -2.45, 'fell')
    """
    change = np.asarray(second, float) - np.asarray(first, float)
    inverse = 1 / np.asarray(photos[0], float) + 1 / np.asarray(photos[1], float)
    variance, free = measured.variance(2, np.broadcast_to(inverse, change.shape))
    error = np.sqrt(variance)
    with np.errstate(invalid="ignore", divide="ignore"):
        index = np.where((error == 0) & (change == 0), 0.0, change / error)
    half = stdtrit(free, (1 + LEVEL) / 2) * error
    return Change(
        change=change,
        low=change - half,
        high=change + half,
        error=error,
        freedom=free,
        index=index,
        p=2 * stdtr(free, -np.abs(index)),
    )


def baseline_row(days: np.ndarray, treatment: int | None) -> int:
    """Which of a patient's visits (days ascending) the later ones are compared with.

    The last one up to the day of treatment. The first, where there is no treatment, no visit
    before it, or none after it.

    >>> baseline_row(np.array([0, 30, 90]), 30), baseline_row(np.array([0, 30]), None)
    (1, 0)
    """
    before = 0 if treatment is None else int(np.searchsorted(days, treatment, side="right"))
    return before - 1 if 0 < before < len(days) else 0


def outweighing(measures: Change, score: Change) -> tuple[np.ndarray, np.ndarray]:
    """Which measures of camera, pose and light changed, and which of them more than the score.

    Parameters
    ----------
    measures : Change
        Shape (pairs, measures).
    score : Change
        Shape (pairs,).

    Returns
    -------
    changed, more : numpy.ndarray
        bool, shape (pairs, measures). Changed: beyond the measure's own repeatability, at 5 % for
        all measures of a pair together (Bonferroni). More: changed, and its index is at least
        that of the score.
    """
    changed = measures.p < (1 - LEVEL) / measures.p.shape[-1]
    return changed, changed & (np.abs(measures.index) >= np.abs(score.index)[:, None])

"""Intervals for photos that come in patients: in closed form, or of draws."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, ndtri, stdtrit

from hf_cushing.stats.decisions import cells_of
from hf_cushing.stats.metrics import METRICS
from hf_cushing.stats.resampling import UNSTABLE, Patients, percentile_interval

LEVEL = 0.95

INSUFFICIENT, WIDE = 10, 50
"""Fewer positive or negative patients than this: no statement possible; only a rough one."""

SIZES = ("insufficient", "wide", "ok")

TOO_FEW = f"insufficient: fewer than {INSUFFICIENT} patients"


def size_word(patients: int) -> str:
    """What a sample with so many patients of the rarer class allows: one of `SIZES`."""
    return SIZES[(patients >= INSUFFICIENT) + (patients >= WIDE)]


@dataclass(frozen=True)
class Ratio:
    """A proportion among photos, with what its patients leave of its certainty.

    Attributes
    ----------
    estimate : float
        0..1, NaN without photos.
    photos : int
        In the denominator.
    patients : int
        In the denominator.
    effective : float
        How many independent photos would be as certain.
    """

    estimate: float
    photos: int
    patients: int
    effective: float

    def interval(self) -> tuple[float, float]:
        """Wilson's interval on the effective number of photos."""
        return wilson(self.estimate, self.effective)


def wilson(share: float, count: float, level: float = LEVEL) -> tuple[float, float]:
    """Wilson score interval of a proportion (1927, J Am Stat Assoc 22:209).

    Parameters
    ----------
    share : float
        Observed proportion, 0..1.
    count : float
        Number of independent observations, or the effective number.

    Examples
    --------
    Six of eight right:

    >>> [round(bound, 2) for bound in wilson(6 / 8, 8)]
    [0.41, 0.93]
    """
    if not count or math.isnan(share):
        return math.nan, math.nan
    z2 = float(ndtri(0.5 + level / 2)) ** 2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = math.sqrt(z2 * (share * (1 - share) / count + z2 / (4 * count**2))) / (1 + z2 / count)
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))


def clustered_ratio(part: np.ndarray, whole: np.ndarray, who: Patients) -> Ratio:
    """A proportion, and its effective sample size by Taylor linearisation.

    The variance between patients within strata is compared with a binomial's; the quotient is
    the effective number of photos, never more than there are, and it is lowered for the degrees
    of freedom that the variance was estimated with (Korn and Graubard 1998). Where all photos
    agree, the variance says nothing, and each patient counts once.

    Parameters
    ----------
    part, whole : numpy.ndarray
        bool, shape (n,): counted above and below the line; `part` lies in `whole`.
    who : Patients
        Of the same n photos.
    """
    photos = int(whole.sum())
    inside = np.unique(who.of_photo[whole])
    if not photos:
        return Ratio(math.nan, 0, 0, 0.0)
    share, count = int(part.sum()) / photos, len(inside)
    free = count - len(np.unique(who.stratum[inside]))
    if free < 1 or share in (0.0, 1.0):
        return Ratio(share, photos, count, float(count))
    variance = _between_patients((part - share * whole) / photos, who)
    effective = min(photos, share * (1 - share) / variance) if variance > 0 else float(count)
    tail = 0.5 + LEVEL / 2
    lowered = effective * float(ndtri(tail) / stdtrit(free, tail)) ** 2
    return Ratio(share, photos, count, lowered)


def rate_intervals(
    truth: np.ndarray, called: np.ndarray, who: Patients
) -> dict[str, tuple[float, float, float]]:
    """Estimates and Wilson's intervals by patient of all metrics with a `ratio`.

    Parameters
    ----------
    truth, called : numpy.ndarray
        bool, shape (n,): has the disease; is called so.
    who : Patients
        Of the same n photos.

    Returns
    -------
    dict
        Metric to estimate, low and high; NaN where undefined.
    """
    cells, rates = cells_of(truth, called), {}
    for name, metric in METRICS.items():
        if metric.ratio:
            share = clustered_ratio(*metric.ratio(cells), who)
            ends = (share.estimate, *share.interval())
            rates[name] = tuple(float(metric.formula(end, 1.0)) for end in ends)
            if metric.needs and not metric.needed(cells).any():
                rates[name] = (math.nan, math.nan, math.nan)
    return rates


def _between_patients(residual: np.ndarray, who: Patients) -> float:
    """Variance of the sum of `residual`, patients being drawn within strata."""
    sums = np.bincount(who.of_photo, residual, who.count)
    sizes = np.bincount(who.stratum, minlength=len(who.kinds))
    totals = np.bincount(who.stratum, sums, len(who.kinds))
    squares = np.bincount(who.stratum, sums**2, len(who.kinds))
    several = np.maximum(sizes - 1, 1)  # a lone patient is measured from 0
    centred = np.where(sizes > 1, squares - totals**2 / np.maximum(sizes, 1), squares)
    return float(np.sum(np.where(sizes > 1, sizes / several, 1) * centred))


@dataclass(frozen=True)
class Area:
    """AUROC with its standard error.

    Attributes
    ----------
    estimate, error : float
        0..1; NaN where undefined.
    positive_patients, negative_patients : int
    """

    estimate: float
    error: float
    positive_patients: int
    negative_patients: int

    def interval(self) -> tuple[float, float]:
        """On the scale of the log-odds, which keeps it inside 0..1 and makes it lean outwards.

        A perfect AUROC has no error of its own; then Wilson's interval on the patients of the
        rarer class stands in.
        """
        rarer = min(self.positive_patients, self.negative_patients)
        if math.isnan(self.estimate) or rarer < 2:
            return math.nan, math.nan
        if self.error == 0 or self.estimate in (0.0, 1.0):
            return wilson(self.estimate, rarer)
        middle = math.log(self.estimate / (1 - self.estimate))
        free = self.positive_patients + self.negative_patients - 2
        half = float(stdtrit(free, 0.5 + LEVEL / 2)) * self.error
        half /= self.estimate * (1 - self.estimate)
        return float(expit(middle - half)), float(expit(middle + half))


def clustered_auroc(truth: np.ndarray, score: np.ndarray, who: Patients) -> Area:
    """AUROC with DeLong's error (1988, Biometrics 44:837), photos clustered by patient.

    The clustered form is Obuchowski's (1997, Biometrics 53:567); with one photo a patient they
    are the same.

    Parameters
    ----------
    truth : numpy.ndarray
        bool, shape (n,).
    score : numpy.ndarray
        float, shape (n,).
    who : Patients
        Of the same n photos.
    """
    area, covariance, counts = clustered_aurocs(truth, np.asarray(score)[None], who)
    return Area(float(area[0]), math.sqrt(max(0.0, covariance[0, 0])), *counts)


def clustered_aurocs(
    truth: np.ndarray, scores: np.ndarray, who: Patients
) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """AUROCs of several models on the same photos, and their covariance.

    Parameters
    ----------
    truth : numpy.ndarray
        bool, shape (n,).
    scores : numpy.ndarray
        float, shape (models, n).
    who : Patients
        Of the same n photos.

    Returns
    -------
    areas : numpy.ndarray
        Shape (models,).
    covariance : numpy.ndarray
        Shape (models, models).
    counts : tuple of int
        Patients with positives, and with negatives.
    """
    positives, negatives = int(truth.sum()), int((~truth).sum())
    index = who.of_photo
    held = [np.bincount(index[mask], minlength=who.count) for mask in (truth, ~truth)]
    counts = tuple(int((h > 0).sum()) for h in held)
    models = len(scores)
    if min(counts) == 0:
        return np.full(models, np.nan), np.full((models, models), np.nan), counts
    placements = np.stack([_placements(truth, score) for score in scores])
    areas = placements[:, truth].mean(1)
    rest = placements - areas[:, None]
    sums = [
        np.stack([np.bincount(index[mask], row[mask], who.count) for row in rest]) / size
        for mask, size in ((truth, positives), (~truth, negatives))
    ]
    covariance = sum(_corrected(c) * s @ s.T for c, s in zip(counts, sums, strict=True))
    cross = sums[0] @ sums[1].T
    return areas, covariance + _corrected(who.count) * (cross + cross.T), counts


def _corrected(count: int) -> float:
    return count / (count - 1) if count > 1 else math.nan


def _placements(truth: np.ndarray, score: np.ndarray) -> np.ndarray:
    """For each photo, the share of the other class that it stands on the right side of."""
    from scipy.stats import rankdata  # takes a second

    ranks = rankdata(score)
    within = np.empty(len(score))
    within[truth], within[~truth] = rankdata(score[truth]), rankdata(score[~truth])
    below = (ranks - within) / np.where(truth, (~truth).sum(), truth.sum())
    return np.where(truth, below, 1 - below)


def interval_of(values: np.ndarray, patients: int, level: float) -> dict[str, Any]:
    """``estimate``, ``low``, ``high`` and ``reason`` (for no interval), of a statistic's draws.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (1 + draws,): in the sample, then in each draw, as `Patients.weights` gives them.
    patients : int
        Behind it, of the rarer class if there are two.
    level : float
        At which the draws are cut.
    """
    estimate, low, high = float(values[0]), math.nan, math.nan
    reason = TOO_FEW if patients < INSUFFICIENT else ""
    if not reason and math.isnan(estimate):
        reason = "undefined: nothing to compare"
    if not reason:
        low, high = percentile_interval(values[1:], level)
        reason = UNSTABLE if math.isnan(low) else ""
    return {"estimate": estimate, "low": low, "high": high, "reason": reason}


def difference_interval(
    first: tuple[float, float, float],
    second: tuple[float, float, float],
    *,
    correlation: float = 0.0,
) -> tuple[float, float]:
    """Interval of a difference of estimates from their own intervals.

    Zou and Donner (2008, Stat Med 27:1693); of two Wilson intervals it is Newcombe's (1998).

    Parameters
    ----------
    first, second : tuple of float
        Estimate, low, high.
    correlation : float
        Of the two estimates; 0 where they are independent (Zou 2007, Psychol Methods 12:399).

    Examples
    --------
    Newcombe's example (1998, Stat Med 17:873, table II, a): 56 of 70 and 48 of 80

    >>> a, b = 56 / 70, 48 / 80
    >>> [round(x, 4) for x in difference_interval((a, *wilson(a, 70)), (b, *wilson(b, 80)))]
    [0.0524, 0.3339]
    """
    (a, a_low, a_high), (b, b_low, b_high) = first, second
    gap = a - b
    low, high = (
        math.sqrt(max(0.0, one**2 + two**2 - 2 * correlation * one * two))
        for one, two in ((a - a_low, b_high - b), (a_high - a, b - b_low))
    )
    return gap - low, gap + high

"""How many patients a study needs, and what a number of them can show: before there are data.

Photos of one patient resemble each other: m photos whose calls correlate by `icc` weigh as
m / (1 + (m - 1) icc) independent ones (the design effect, Kish 1965). Widths are those of the
intervals that `evaluate` reports.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from scipy.special import expit, ndtr, ndtri, stdtrit

from hf_cushing.stats.intervals import LEVEL, wilson

TAIL = 0.5 + LEVEL / 2
Z = float(ndtri(TAIL))

MOST = 1_000_000
"""Patients beyond which nobody looks."""


def weight_of_patient(photos: float, icc: float) -> float:
    """How many independent photos a patient's photos are worth.

    >>> weight_of_patient(1, 0.6), weight_of_patient(3, 1.0)
    (1.0, 1.0)
    """
    return photos / (1 + (photos - 1) * icc)


def rate_width(share: float, patients: int, weight: float = 1.0) -> float:
    """Width of Wilson's 95 % interval of a proportion, where it comes out as expected.

    Parameters
    ----------
    share : float
        Expected proportion, 0..1.
    patients : int
        In the denominator.
    weight : float
        Of `weight_of_patient`.

    Examples
    --------
    >>> round(rate_width(0.8, 60), 3)
    0.204
    """
    student = float(stdtrit(patients - 1, TAIL))  # the variance is estimated, as in a report
    low, high = wilson(share, patients * weight * (Z / student) ** 2)
    return high - low


def area_variance(area: float, count: float) -> float:
    """Variance of an AUROC of as many positives as negatives (Hanley and McNeil 1982).

    Radiology 143:29, equations 1 and 2; their exponential form is a little cautious for scores
    that are normal in both classes.

    >>> round(area_variance(0.85, 50) ** 0.5, 4)  # count: positives, and as many negatives
    0.0391
    """
    q1, q2 = area / (2 - area), 2 * (area**2 / (1 + area))
    rest = (count - 1) * (q1 + q2 - 2 * area**2)
    return (area * (1 - area) + rest) / count**2


def area_width(area: float, patients: int, weight: float = 1.0) -> float:
    """Width of the 95 % interval of an AUROC on the log-odds; `patients` of each class."""
    error = math.sqrt(area_variance(area, patients * weight))
    half = float(stdtrit(2 * patients - 2, TAIL)) * error / (area * (1 - area))
    middle = math.log(area / (1 - area))
    return float(expit(middle + half) - expit(middle - half))


def rate_power(share: float, other: float, patients: int, weight: float = 1.0) -> float:
    """Chance that a test at 5 % tells two independent proportions apart.

    Normal approximation with the pooled variance under no difference (Fleiss, Levin and Paik 2003,
    Statistical Methods for Rates and Proportions, chapter 4).

    Parameters
    ----------
    share, other : float
        Of women and of men, 0..1.
    patients : int
        Of each sex.
    weight : float
        Of `weight_of_patient`.

    Examples
    --------
    >>> round(rate_power(0.8, 0.65, 138), 2)
    0.8
    """
    mean, count = (share + other) / 2, patients * weight
    apart = share * (1 - share) + other * (1 - other)
    return _power(abs(share - other), 2 * mean * (1 - mean) / count, apart / count)


def area_power(area: float, other: float, patients: int, weight: float = 1.0) -> float:
    """Likewise of two independent AUROCs; `patients` of each class and sex."""
    count = patients * weight
    apart = area_variance(area, count) + area_variance(other, count)
    return _power(abs(area - other), 2 * area_variance((area + other) / 2, count), apart)


def _power(difference: float, alike: float, apart: float) -> float:
    """Power of a z test from its variances without and with the difference."""
    if not apart:
        return float(difference > 0)
    return float(ndtr((difference - Z * math.sqrt(alike)) / math.sqrt(apart)))


def needed(enough: Callable[[int], bool], least: int = 2) -> int:
    """The smallest number, `least` or more, that is enough; `MOST` where none is.

    >>> needed(lambda patients: rate_width(0.8, patients) <= 0.2)
    63
    """
    high = least
    while not enough(high) and high < MOST:
        high = min(MOST, 2 * high)
    low = least - 1 if high == least else high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def detectable_gap(power_of: Callable[[float], float], most: float, power: float) -> float:
    """The smallest difference up to `most` that is found with this power; NaN if none is.

    >>> round(detectable_gap(lambda gap: rate_power(0.8, 0.8 - gap, 60), 0.8, 0.8), 3)
    0.236
    """
    if power_of(most) < power:
        return math.nan
    low, high = 0.0, most
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if power_of(middle) >= power else (middle, high)
    return high

"""Grades of severity: how they are called, and how good the calls are."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np

from hf_cushing.stats.metrics import auroc

KAPPA, ERROR = "quadratic_kappa", "mean_absolute_error"
GOALS = {KAPPA: 1, ERROR: -1}
"""Metrics of grades: 1 where higher is better, -1 where lower is."""


def median_grades(probabilities: np.ndarray) -> np.ndarray:
    """The call: the mildest grade up to which half of the probability lies.

    No other grade has a smaller expected distance from the truth, if the probabilities are right.

    Parameters
    ----------
    probabilities : numpy.ndarray
        Shape (n, grades), mildest first.

    Returns
    -------
    numpy.ndarray
        int, shape (n,), from 0.

    Examples
    --------
    The most probable grade, 0, is 1.5 grades off on average; the median is 1.1 off:

    >>> median_grades(np.array([[0.4, 0.0, 0.3, 0.3]])).tolist()
    [2]
    """
    return (np.cumsum(probabilities, axis=1) < 0.5 - 1e-12).sum(1)


def concordance(score: np.ndarray, place: np.ndarray) -> float:
    """Share of the pairs of different grades that the score puts in order; ties count half.

    Of two grades it is the AUROC; of several, Somers' D (1962, Am Sociol Rev 27:799) on 0..1.

    Parameters
    ----------
    score : numpy.ndarray
        float, shape (n,).
    place : numpy.ndarray
        Place of the true grade on the scale, shape (n,).

    Returns
    -------
    float
        NaN where all are of one grade.

    Examples
    --------
    >>> concordance(np.array([0.1, 0.3, 0.2]), np.array([0, 1, 2]))
    0.6666666666666666
    """
    right = pairs = 0.0
    for milder, worse in combinations(np.unique(place), 2):
        inside = (place == milder) | (place == worse)
        truth = place[inside] == worse
        count = int(truth.sum()) * int((~truth).sum())
        right += count * auroc(truth, score[inside])
        pairs += count
    return right / pairs if pairs else math.nan


def pair_metrics(pairs: np.ndarray) -> dict[str, np.ndarray]:
    """Quadratic-weighted kappa (Cohen 1968, Psychol Bull 70:213) and mean absolute error.

    Parameters
    ----------
    pairs : numpy.ndarray
        Weight of each true grade and call, shape (m, grades, grades).

    Returns
    -------
    dict
        Metric to float64, shape (m,); NaN where undefined.
    """
    pairs = pairs.astype(np.float64)
    steps = np.arange(pairs.shape[1])
    distance = np.abs(steps[:, None] - steps)
    total = pairs.sum((1, 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        by_chance = pairs.sum(2)[:, :, None] * pairs.sum(1)[:, None, :] / total[:, None, None]
        seen, expected = ((x * distance**2).sum((1, 2)) for x in (pairs, by_chance))
        kappa = np.where(expected > 0, 1 - seen / expected, np.nan)
        return {KAPPA: kappa, ERROR: (pairs * distance).sum((1, 2)) / total}

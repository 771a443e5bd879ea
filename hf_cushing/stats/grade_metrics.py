"""Grades of severity: how they are called, and how good the calls are."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np

from hf_cushing.stats.metrics import Metric, auroc

KAPPA, ERROR = "quadratic_kappa", "mean_absolute_error"


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
    """All of `GRADE_METRICS`.

    Parameters
    ----------
    pairs : numpy.ndarray
        Weight of each true grade and call, shape (m, grades, grades).

    Returns
    -------
    dict
        Metric to float64, shape (m,); NaN where undefined.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return {name: m.formula(pairs.astype(np.float64)) for name, m in GRADE_METRICS.items()}


def _distance(pairs: np.ndarray) -> np.ndarray:
    """Steps between each true grade and call."""
    steps = np.arange(pairs.shape[1])
    return np.abs(steps[:, None] - steps)


def _quadratic_kappa(pairs: np.ndarray) -> np.ndarray:
    """Agreement beyond chance, errors by their square (Cohen 1968, Psychol Bull 70:213)."""
    square, total = _distance(pairs) ** 2, pairs.sum((1, 2))
    by_chance = pairs.sum(2)[:, :, None] * pairs.sum(1)[:, None, :] / total[:, None, None]
    seen, expected = ((x * square).sum((1, 2)) for x in (pairs, by_chance))
    return np.where(expected > 0, 1 - seen / expected, np.nan)


def _mean_absolute_error(pairs: np.ndarray) -> np.ndarray:
    return (pairs * _distance(pairs)).sum((1, 2)) / pairs.sum((1, 2))


UNDEFINED = "all are of one grade and called so"
GRADE_METRICS = {
    KAPPA: Metric("kappa, quadratic weights", UNDEFINED, _quadratic_kappa),
    ERROR: Metric("mean absolute error, grades", UNDEFINED, _mean_absolute_error, goal=-1),
}
"""Formulas are of weights of each true grade and call, shape (m, grades, grades)."""

"""Making probabilities mean what they say: temperature, Platt.

Fitted on validation or out-of-fold photos, never on test.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from hf_cushing.schema import UserError
from hf_cushing.stats.logistic import fit_logistic

COOLEST, HOTTEST = 0.05, 20.0
"""Bounds of the temperature: perfect separation would drive it to 0."""


@dataclass(frozen=True)
class Temperature:
    """Logits are divided by `value`: the order stays, extreme probabilities move to the middle.

    It can't mend a shift between the classes, as weights in the loss make one; `Platt` can.
    """

    value: float

    def apply(self, logits: np.ndarray) -> np.ndarray:
        """Calibrated logits, shape (n, classes)."""
        return logits / self.value


@dataclass(frozen=True)
class Platt:
    """Two classes: log-odds become `slope` times log-odds plus `intercept`."""

    slope: float
    intercept: float

    def apply(self, logits: np.ndarray) -> np.ndarray:
        """Calibrated logits, shape (n, 2): the difference is changed, the mean is kept."""
        middle = logits.mean(1, keepdims=True)
        half = (self.slope * (logits[:, 1:] - logits[:, :1]) + self.intercept) / 2
        return middle + np.concatenate([-half, half], axis=1)


def fit_temperature(logits: np.ndarray, numbers: np.ndarray) -> Temperature:
    """The temperature of least log loss (Guo et al. 2017, arXiv 1706.04599).

    Parameters
    ----------
    logits : numpy.ndarray
        float, shape (n, classes).
    numbers : numpy.ndarray
        int, shape (n,): the true classes.

    Returns
    -------
    Temperature
        Between `COOLEST` and `HOTTEST`.

    Raises
    ------
    UserError
        One class only, logits that are not finite.

    Examples
    --------
    >>> logits = np.array([[4.0, 0.0], [4.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    >>> round(fit_temperature(logits, np.array([0, 0, 1, 1])).value, 2)
    3.64
    """
    _check(logits, numbers)
    rows = np.arange(len(numbers))

    def loss(log_value: float) -> float:
        return -float(log_softmax(logits / np.exp(log_value), axis=1)[rows, numbers].mean())

    bounds = (np.log(COOLEST), np.log(HOTTEST))
    fit = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return Temperature(float(np.exp(fit.x)))


def fit_platt(logits: np.ndarray, numbers: np.ndarray) -> Platt:
    """Logistic regression on the log-odds, towards Platt's (1999) smoothed truth.

    With k photos of a class these count as (k + 1) / (k + 2) of it, so that the fit exists even
    with perfect separation.

    Parameters
    ----------
    logits : numpy.ndarray
        float, shape (n, 2).
    numbers : numpy.ndarray
        int, shape (n,), 0 or 1: the true classes.

    Raises
    ------
    UserError
        More than two classes, one class only, logits that are not finite, scores that run
        against the truth.

    Examples
    --------
    Twice too sure, and shifted by 1:

    >>> odds = np.repeat([-1.0, 0.0, 1.0], 10_000)
    >>> share = np.arange(10_000) / 10_000 < 1 / (1 + np.exp(-np.array([[-1.0], [0.0], [1.0]])))
    >>> logits = np.stack([np.zeros(30_000), 2 * odds + 1], axis=1)
    >>> found = fit_platt(logits, share.ravel().astype(int))
    >>> round(found.slope, 2), round(found.intercept, 2)
    (0.5, -0.5)
    """
    _check(logits, numbers)
    if logits.shape[1] != 2:
        raise UserError("Platt's method is for two classes; choose temperature")
    odds = logits[:, 1] - logits[:, 0]
    truth = numbers == 1
    share = np.where(truth, (truth.sum() + 1) / (truth.sum() + 2), 1 / ((~truth).sum() + 2))
    doubled = np.concatenate([odds, odds])
    weights = np.concatenate([share, 1 - share])[None]
    marks = np.repeat([True, False], len(odds))
    intercept, slope = fit_logistic(marks, doubled, weights, fixed=False)[0]
    if not slope > 0:
        raise UserError("the scores don't rise with the truth on validation; don't calibrate them")
    return Platt(float(slope), float(intercept))


def _check(logits: np.ndarray, numbers: np.ndarray) -> None:
    if not np.isfinite(logits).all():
        raise UserError("calibration needs finite logits; score the photos again")
    if len(np.unique(numbers)) < 2:
        raise UserError("calibration needs photos of several classes in validation")

"""Logistic regression with one input, for all draws of a bootstrap together."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

STEPS, STILL = 40, 1e-8
"""Newton steps, and the size of a step that ends them."""

SEPARATION = 50.0
"""Log-odds per standard deviation from which separation counts as perfect: no fit is best."""


def fit_logistic(
    truth: np.ndarray, odds: np.ndarray, weights: np.ndarray, *, fixed: bool
) -> np.ndarray:
    """Logistic regression of the truth on log-odds, for many weightings at once.

    All start from the fit of the photos counted once; the fits of draws lie near it.

    Parameters
    ----------
    truth : numpy.ndarray
        bool, shape (n,).
    odds : numpy.ndarray
        float, shape (n,).
    weights : numpy.ndarray
        float, shape (m, n).
    fixed : bool
        Hold the slope at 1.

    Returns
    -------
    numpy.ndarray
        Intercept and slope, shape (m, 2); NaN where there is one class only, or none is best.
    """
    middle, spread = (0.0, 1.0) if fixed else (odds.mean(), odds.std() or 1.0)
    odds = (odds - middle) / spread  # so that steps are of one size
    start = np.array([0.0, 1.0 if fixed else 0.0])
    with np.errstate(divide="ignore", invalid="ignore"):
        once = _newton(truth, odds, np.ones((1, len(odds))), start, fixed=fixed)[0]
        start = np.where(np.isnan(once), start, once)
        fits = _newton(truth, odds, weights, start, fixed=fixed)
    slope = fits[:, 1] / spread
    return np.stack([fits[:, 0] - slope * middle, slope], 1)


def _newton(
    truth: np.ndarray, odds: np.ndarray, weights: np.ndarray, start: np.ndarray, *, fixed: bool
) -> np.ndarray:
    """Newton's method for all rows of weights; rows that have settled are left alone."""
    fits = np.tile(start, (len(weights), 1))
    truth_sums = weights @ np.stack([truth, truth * odds], 1)
    positives, total = truth_sums[:, 0], weights.sum(1)
    active = (positives > 0) & (positives < total)
    fits[~active] = np.nan
    for _ in range(STEPS):
        rows = np.flatnonzero(active)
        if not len(rows):
            break
        part = weights if len(rows) == len(weights) else weights[rows]
        step = _newton_step(fits[rows], part, odds, truth_sums[rows], fixed)
        fits[rows] += step
        size = np.abs(step).max(1)
        lost = ~np.isfinite(size) | (np.abs(fits[rows]).max(1) > SEPARATION)
        fits[rows[lost]] = np.nan
        active[rows[lost | (size < STILL)]] = False
    fits[active] = np.nan
    return fits


def _newton_step(
    fits: np.ndarray, weights: np.ndarray, odds: np.ndarray, truth_sums: np.ndarray, fixed: bool
) -> np.ndarray:
    """Solve one step by hand, 1 × 1 or 2 × 2; at most 2 log-odds, so that none overshoots."""
    share = expit(fits[:, :1] + fits[:, 1:] * odds)
    expected = weights * share
    slope0 = truth_sums[:, 0] - expected.sum(1)
    information = expected * (1 - share)
    i00 = information.sum(1)
    if fixed:
        step = np.stack([slope0 / i00, np.zeros(len(fits))], 1)
    else:
        i01, i11 = information @ odds, information @ odds**2
        slope1 = truth_sums[:, 1] - expected @ odds
        det = i00 * i11 - i01**2
        step = np.stack([i11 * slope0 - i01 * slope1, i00 * slope1 - i01 * slope0], 1)
        step = step / det[:, None]
    return np.clip(step, -2, 2)

"""What a score says that age, BMI and sex don't: adjusted for them, and beyond them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, ndtri

from hf_cushing.stats.logistic import SEPARATION, STEPS, STILL
from hf_cushing.stats.metrics import BLOCK, auroc


def adjusted_aurocs(
    truth: np.ndarray, score: np.ndarray, covariates: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Covariate-adjusted AUROC for each row of weights: how well a score tells alike people apart.

    The mean over the positives of the AUROC among people with their covariates (Janes and Pepe
    2009, Biometrika 96:371). The score of negatives is taken for linear in the covariates, with
    residuals of one distribution; then it is the AUROC of the residuals from the negatives' line.

    Parameters
    ----------
    truth : numpy.ndarray
        bool, shape (n,).
    score : numpy.ndarray
        float, shape (n,), such as log-odds.
    covariates : numpy.ndarray
        float, shape (n, k).
    weights : numpy.ndarray
        Shape (m, n), as of draws of patients.

    Returns
    -------
    numpy.ndarray
        Shape (m,); NaN without a class, or where the line of the negatives can't be fitted.
    """
    order = np.argsort(truth, kind="stable")  # negatives first
    truth, score, weights = truth[order], score[order], weights[:, order]
    design = np.column_stack([np.ones(len(score)), covariates[order]])
    step = max(1, BLOCK // max(1, len(score)))
    parts = [weights[start : start + step] for start in range(0, len(weights), step)]
    return np.concatenate([_of_residuals(truth, score, design, part) for part in parts])


def _of_residuals(
    truth: np.ndarray, score: np.ndarray, design: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    own = weights[:, ~truth].astype(np.float64)
    rows = design[~truth]
    squares = np.einsum("mn,nk,nl->mkl", own, rows, rows, optimize=True)
    products = (own * score[~truth]) @ rows
    whole = np.linalg.matrix_rank(squares) == design.shape[1]
    lines = np.full((len(weights), design.shape[1]), np.nan)
    lines[whole] = np.linalg.solve(squares[whole], products[whole][..., None])[..., 0]
    return _rowwise_auroc(truth, score - lines @ design.T, weights)


def _rowwise_auroc(truth: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """AUROC of each row's own scores; ties count half: once lost, once won, then the mean."""
    won = np.zeros(len(scores))
    for turn in (slice(None), slice(None, None, -1)):
        order = np.argsort(scores[:, turn], axis=1, kind="stable")
        sorted_weights = np.take_along_axis(weights[:, turn].astype(np.float64), order, 1)
        ill = truth[turn][order]
        below = np.cumsum(sorted_weights * ~ill, axis=1)
        won += (sorted_weights * ill * below).sum(1) / 2
    pairs = (weights @ truth) * (weights @ ~truth)
    won[np.isnan(scores).any(1)] = np.nan
    return np.divide(won, pairs, out=np.full(len(scores), np.nan), where=pairs > 0)


@dataclass(frozen=True, kw_only=True)
class Beyond:
    """What a score adds to a logistic model of the covariates, rows being independent.

    Attributes
    ----------
    odds_ratio, low, high : float
        Of one standard deviation of the score, the covariates held, with Wald's 95 % interval.
    p : float
        Of the likelihood-ratio test: the one to use, since a test of the AUROCs of nested models
        is not valid (Pepe et al. 2013, Stat Med 32:1467). NaN where a fit is perfect.
    auroc : float
        Of the covariates alone, fitted on these very rows and so too good.
    """

    odds_ratio: float
    low: float
    high: float
    p: float
    auroc: float


def beyond_covariates(truth: np.ndarray, score: np.ndarray, covariates: np.ndarray) -> Beyond:
    """Test a score in a logistic model; arguments as in `adjusted_aurocs`, a row a patient."""
    from scipy.stats import chi2  # takes a second

    without = np.column_stack([np.ones(len(score)), _scaled(covariates)])
    base, low_likelihood, _ = _fit(truth, without)
    fitted, likelihood, errors = _fit(truth, np.column_stack([without, _scaled(score)]))
    half = float(ndtri(0.975)) * errors[-1]
    ends = np.exp([fitted[-1], fitted[-1] - half, fitted[-1] + half]).tolist()
    return Beyond(
        odds_ratio=ends[0], low=ends[1], high=ends[2],
        p=float(chi2.sf(max(0.0, 2 * (likelihood - low_likelihood)), 1))
        if math.isfinite(likelihood - low_likelihood) else math.nan,
        auroc=auroc(truth, without @ base) if np.isfinite(base).all() else math.nan,
    )  # fmt: skip


def _scaled(columns: np.ndarray) -> np.ndarray:
    spread = columns.std(0)
    return (columns - columns.mean(0)) / np.where(spread > 0, spread, 1)


def _fit(truth: np.ndarray, design: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
    """Coefficients, log likelihood and standard errors by Newton's method; NaN if none is best."""
    nothing = np.full(design.shape[1], np.nan)
    line = np.zeros(design.shape[1])
    for _ in range(STEPS):
        share = expit(design @ line)
        information = (design.T * (share * (1 - share))) @ design
        if np.linalg.matrix_rank(information) < len(line) or np.abs(line).max() > SEPARATION:
            return nothing, math.nan, nothing
        step = np.linalg.solve(information, design.T @ (truth - share))
        line = line + np.clip(step, -2, 2)
        if np.abs(step).max() < STILL:
            odds = design @ line
            likelihood = float((truth * odds - np.logaddexp(0, odds)).sum())
            return line, likelihood, np.sqrt(np.diag(np.linalg.inv(information)))
    return nothing, math.nan, nothing

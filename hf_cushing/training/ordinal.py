"""A head for grades, fitted on frozen features: the adjacent-categories logit model."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax

from hf_cushing.training.probe import (
    FINAL,
    SEARCH,
    FitByC,
    Head,
    Probe,
    ProbeData,
    choose_c,
)

TOLERANCE = 1e-7
"""Of the fit whose weights are kept."""


class GradedRegression:
    """L2 logistic regression with one direction for all grades and an intercept for each.

    Its parameters are one vector: the direction, then the intercepts.

    Parameters
    ----------
    rows : numpy.ndarray
        float64, shape (n, d).
    labels, weights : numpy.ndarray
        Shape (n,).
    places : numpy.ndarray
        Of `models.ordinal.grade_places`, by class number.
    """

    def __init__(
        self, rows: np.ndarray, labels: np.ndarray, weights: np.ndarray, places: np.ndarray
    ):
        self.rows, self.places, self.weights = rows, places, weights.astype(np.float64)
        self.own = np.arange(len(rows)), labels
        self.parameters = np.zeros(rows.shape[1] + len(places))

    def fit(self, c: float, tolerance: float, iterations: int) -> Head:
        """Find the weights of least penalised loss, from those of the last fit."""
        self.parameters = minimize(
            self.loss,
            self.parameters,
            args=(c,),
            jac=True,
            method="L-BFGS-B",
            options={"gtol": tolerance, "maxiter": iterations},
        ).x
        return self._head(self.parameters)

    def loss(self, parameters: np.ndarray, c: float) -> tuple[float, np.ndarray]:
        """Penalised log loss over the rows' weight, and its gradient."""
        direction = parameters[: self.rows.shape[1]]
        weight, bias = self._head(parameters)
        log_shares = log_softmax(self.rows @ weight.T + bias, axis=1)
        slope = np.exp(log_shares)
        slope[self.own] -= 1
        slope *= self.weights[:, None]
        gradient = self.rows.T @ (slope @ self.places) + direction / c
        loss = -self.weights @ log_shares[self.own] + direction @ direction / 2 / c
        return loss / self.weights.sum(), np.append(gradient, slope.sum(0)) / self.weights.sum()

    def _head(self, parameters: np.ndarray) -> Head:
        direction, bias = np.split(parameters, [self.rows.shape[1]])
        return self.places[:, None] * direction, bias


def fit_grades(data: ProbeData, *, places: np.ndarray, seed: int) -> Probe:
    """Choose C as `fit_probe` does, then fit on everything.

    Parameters
    ----------
    data : ProbeData
    places : numpy.ndarray
        Of `models.ordinal.grade_places`, by class number.
    seed : int
        Of the inner folds.

    Returns
    -------
    Probe
        Its weight's rows are `places` times one direction.

    Raises
    ------
    UserError
        A grade has fewer than two patients.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> labels = np.repeat([0, 1, 2], 20)
    >>> features = rng.normal(size=(60, 4)) + labels[:, None]
    >>> rows = ProbeData(features, labels, np.ones(60), labels, np.arange(60))
    >>> probe = fit_grades(rows, places=np.array([-1.0, 0.0, 1.0]), seed=0)
    >>> np.round(probe.weight[:, 0] / probe.weight[2, 0], 6).tolist()
    [-1.0, 0.0, 1.0]
    """

    def start(rows: np.ndarray, part: np.ndarray, final: bool) -> FitByC:
        model = GradedRegression(rows[part], data.labels[part], data.weights[part], places)
        tolerance, iterations = (TOLERANCE, FINAL[1]) if final else SEARCH
        return lambda c: model.fit(c, tolerance, iterations)

    return choose_c(data, start, seed=seed)

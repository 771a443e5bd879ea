"""A head for grades, fitted on frozen features: the adjacent-categories logit model."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hf_cushing.training.probe import (
    ITERATIONS,
    STRENGTHS,
    Folds,
    Frame,
    Probe,
    ProbeData,
    inner_folds,
    search,
    solve,
)

TOLERANCE = 1e-7
"""Of the last fit, whose weights are kept; in the search those of `probe` do."""


class GradedFolds(Folds):
    """`Folds` with one direction for all grades and an intercept for each.

    The weights are one vector: features × folds, then folds × classes intercepts.

    Parameters
    ----------
    places : numpy.ndarray
        Of `models.ordinal.grade_places`.
    """

    def __init__(
        self,
        rows: np.ndarray,
        data: ProbeData,
        folds: list[tuple[np.ndarray, np.ndarray]],
        places: np.ndarray,
    ):
        super().__init__(rows, data, folds)
        self.rows, self.places = rows, places
        self.shape = (rows.shape[1], len(folds))
        self.size = len(folds) * (rows.shape[1] + len(places))

    def parts(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Directions (features, folds) and intercepts (folds, classes)."""
        cut = int(np.prod(self.shape))
        return weights[:cut].reshape(self.shape), weights[cut:].reshape(-1, len(self.places))

    def _scores(self, weights: np.ndarray) -> np.ndarray:
        directions, intercepts = self.parts(weights)
        return (self.rows @ directions)[:, :, None] * self.places + intercepts

    def _gradient(self, slope: np.ndarray) -> np.ndarray:
        return np.concatenate([(self.rows.T @ (slope @ self.places)).ravel(), slope.sum(0).ravel()])

    def _penalised(self, weights: np.ndarray) -> np.ndarray:
        directions, intercepts = self.parts(weights)
        return np.concatenate([directions.ravel(), np.zeros(intercepts.size)])


def fit_grades(
    data: ProbeData,
    *,
    places: np.ndarray,
    classes: int,
    seed: int,
    advance: Callable[[int], None] = lambda count: None,
) -> Probe:
    """Choose C as `fit_probe` does, then fit on everything.

    Parameters
    ----------
    data : ProbeData
    places : numpy.ndarray
        Of `models.ordinal.grade_places`, by class number.
    classes : int
    seed : int
        Of the inner folds.
    advance : callable
        Called with 1 for each C tried.

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
    >>> probe = fit_grades(rows, places=np.array([-1.0, 0.0, 1.0]), classes=3, seed=0)
    >>> np.round(probe.weight[:, 0] / probe.weight[2, 0], 6).tolist()
    [-1.0, 0.0, 1.0]
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        frame = Frame(data.features)
        losses = search(GradedFolds(frame.rows, data, inner_folds(data, seed), places), advance)
        chosen = float(STRENGTHS[int(np.argmin(losses))])
        nobody = np.zeros(0, int)
        whole = GradedFolds(frame.rows, data, [(np.arange(len(data.labels)), nobody)], places)
        start = np.zeros(whole.size)
        weights = solve(whole, start, chosen, tolerance=TOLERANCE, iterations=ITERATIONS)
    directions, intercepts = whole.parts(weights)
    weight, bias = frame.head(places[:, None] * directions.T, intercepts[0], classes)
    return Probe(weight, bias, chosen, list(zip(STRENGTHS.tolist(), losses, strict=False)))

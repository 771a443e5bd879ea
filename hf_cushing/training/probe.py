"""A head fitted by L2 logistic regression on frozen features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from hf_cushing.schema import UserError

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

STRENGTHS = np.logspace(-6, 5, 45)
"""Values of C tried: those of DINOv2's evaluation (arXiv 2304.07193)."""

INNER_FOLDS = 5
PATIENCE, RISE = 6, 1.05
"""The search ends when the loss has been this many times that of the best C, and that many values
of C lie between: beyond the valley, fits of separable photos would take nearly all the time. A
rise of less may be the flat beginning, where C is too small to matter."""

OTHERWISE = "give --finetune head --head linear-sgd, or --finetune full"

TOLERANCE, ITERATIONS = 1e-4, 1000
SEARCH_ITERATIONS = 100
"""Steps for each C of the search, which starts from the one before; what still moves then lies far
beyond the valley."""


@dataclass(frozen=True)
class Probe:
    """A fitted linear head.

    Attributes
    ----------
    weight : numpy.ndarray
        float64, shape (classes, features); the classes' rows sum to 0.
    bias : numpy.ndarray
        float64, shape (classes,).
    strength : float
        The chosen C.
    tried : list of (float, float)
        Each C tried with its weighted log loss out of inner folds.
    """

    weight: np.ndarray
    bias: np.ndarray
    strength: float
    tried: list[tuple[float, float]]


@dataclass(frozen=True)
class ProbeData:
    """What a probe is fitted on: one row a photo and view.

    Attributes
    ----------
    features : numpy.ndarray
        float32, shape (n, d).
    labels : numpy.ndarray
        Class numbers, int, shape (n,).
    weights : numpy.ndarray
        Weight of each row in the loss, shape (n,).
    strata, groups : numpy.ndarray
        Shape (n,): class × sex, and who must stay on one side of the inner folds.
    """

    features: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    strata: np.ndarray
    groups: np.ndarray


def fit_probe(
    data: ProbeData,
    *,
    classes: int,
    seed: int,
    advance: Callable[[int], None] = lambda count: None,
) -> Probe:
    """Choose C by the log loss in inner cross-validation by patient, then fit on everything.

    Features are standardised by the training photos; the scale is folded into the weights.
    One BLAS thread: on these small matrices several are an order of magnitude slower, and the
    result is the same bit for bit on any number of cores.

    Parameters
    ----------
    data : ProbeData
    classes : int
    seed : int
        Of the inner folds.
    advance : callable
        Called with 1 for each C tried.

    Raises
    ------
    UserError
        A class has fewer than two patients.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> labels = np.repeat([0, 1], 30)
    >>> features = rng.normal(size=(60, 4)) + labels[:, None]
    >>> rows = ProbeData(features, labels, np.ones(60), labels, np.arange(60))
    >>> probe = fit_probe(rows, classes=2, seed=0)
    >>> probe.weight.shape, bool(probe.weight[1, 0] > probe.weight[0, 0]), round(probe.strength, 2)
    ((2, 4), True, 0.56)
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        frame = Frame(data.features)
        losses = search(Folds(frame.rows, data, inner_folds(data, seed)), advance)
        chosen = float(STRENGTHS[int(np.argmin(losses))])
        model = logistic(frame.rows, data.labels, data.weights, chosen)
    weight, bias = frame.head(model.coef_, model.intercept_, classes)
    tried = zip(STRENGTHS.tolist(), losses, strict=False)
    return Probe(weight, bias, chosen, list(tried))


def logistic(
    rows: np.ndarray, labels: np.ndarray, weights: np.ndarray, strength: float
) -> LogisticRegression:
    """Fit L2 logistic regression with C `strength`."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength, tol=TOLERANCE, max_iter=ITERATIONS)
    return model.fit(rows, labels, sample_weight=weights)


class Frame:
    """Features standardised and turned for the fit, and the way back.

    Attributes
    ----------
    rows : numpy.ndarray
        float64, shape (n, at most n).
    """

    def __init__(self, features: np.ndarray):
        from sklearn.preprocessing import StandardScaler

        features = features.astype(np.float64)
        self.scaler = StandardScaler().fit(features)
        self.rows, self.axes = _rotate(self.scaler.transform(features))

    def head(
        self, coefficients: np.ndarray, intercepts: np.ndarray, classes: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Weight (classes, features) and bias (classes,) for features as they came."""
        weight, bias = _as_softmax(coefficients @ self.axes, intercepts, classes)
        weight = weight / self.scaler.scale_
        return weight, bias - weight @ self.scaler.mean_


def write_head(linear: nn.Linear, probe: Probe) -> None:
    """Put a probe's weights into a model's head; features it did not see get weight 0."""
    with torch.no_grad():
        linear.weight.zero_()
        linear.weight[:, : probe.weight.shape[1]] = torch.from_numpy(probe.weight)
        linear.bias.copy_(torch.from_numpy(probe.bias))


def _rotate(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where there are more features than rows, give the rows in their own principal axes.

    A rotation changes nothing for an L2 penalty, and the optimum has no part outside the space
    that the rows span; with 768 features and 300 photos
    fewer than half of the columns remain.

    Returns
    -------
    rows : numpy.ndarray
        Shape (n, at most n).
    axes : numpy.ndarray
        What turns weights of these rows back: ``weights @ axes``.
    """
    if rows.shape[1] <= rows.shape[0]:
        return rows, np.eye(rows.shape[1])
    left, sizes, axes = np.linalg.svd(rows, full_matrices=False)
    return left * sizes, axes


def inner_folds(data: ProbeData, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Folds by patient, stratified by class × sex, in which every part has every class."""
    from sklearn.model_selection import StratifiedGroupKFold

    patients = [len(set(data.groups[data.labels == c].tolist())) for c in np.unique(data.labels)]
    count = min(INNER_FOLDS, *patients)
    if count < 2:
        raise UserError(
            "a label has a single training patient, so the head's penalty can't be chosen; "
            f"add patients, or {OTHERWISE}"
        )
    every = len(set(data.labels.tolist()))
    for strata in (data.strata, data.labels):
        dealt = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
        try:
            folds = list(dealt.split(data.features, strata, data.groups))
        except ValueError:  # all strata smaller than the number of folds
            continue
        if all(len(set(data.labels[fit].tolist())) == every for fit, _ in folds):
            return folds
    raise UserError(
        "the inner folds of the head's fit can't all hold every label; add patients, or "
        f"{OTHERWISE}"
    )


def search(problem: Folds, advance: Callable[[int], None]) -> list[float]:
    """Log loss out of fold for each C, from small to large, until it has clearly risen.

    All folds are fitted at once, as one problem that falls into parts, each C starting from the
    one before: a hundred separate fits would take as long as the backbone's pass.
    """
    weights = np.zeros(problem.size)
    losses: list[float] = []
    for strength in STRENGTHS:
        weights = solve(problem, weights, strength)
        losses.append(problem.held_out(weights))
        advance(1)
        past = len(losses) - 1 - int(np.argmin(losses))
        if past >= PATIENCE and losses[-1] > RISE * min(losses):
            break
    return losses


def solve(
    problem: Folds,
    start: np.ndarray,
    strength: float,
    *,
    tolerance: float = TOLERANCE,
    iterations: int = SEARCH_ITERATIONS,
) -> np.ndarray:
    """Weights of least penalised loss for one C, float64, shape (problem.size,)."""
    from scipy.optimize import minimize

    return minimize(
        problem.loss,
        start,
        args=(strength,),
        jac=True,
        method="L-BFGS-B",
        options={"gtol": tolerance, "maxiter": iterations},
    ).x


class Folds:
    """L2 logistic regression on every fold but one, for all folds together.

    The weights of all parts are one vector: (features + intercept) × folds × columns, with one
    column for two classes and one a class for more, as in scikit-learn.
    """

    def __init__(
        self, rows: np.ndarray, data: ProbeData, folds: list[tuple[np.ndarray, np.ndarray]]
    ):
        self.rows = np.column_stack([rows, np.ones(len(rows))])
        classes, self.truth = np.unique(data.labels, return_inverse=True)
        self.two = len(classes) == 2
        self.shape = (self.rows.shape[1], len(folds), 1 if self.two else len(classes))
        self.size = int(np.prod(self.shape))
        held = np.zeros((len(rows), len(folds)), bool)
        for number, (_, test) in enumerate(folds):
            held[test, number] = True
        weights = data.weights[:, None].astype(np.float64)
        self.total = float(weights.sum())
        self.fitted, self.tested = weights * ~held, weights * held

    def _scores(self, weights: np.ndarray) -> np.ndarray:
        """Logits: (rows, folds, classes)."""
        scores = (self.rows @ weights.reshape(self.shape[0], -1)).reshape(-1, *self.shape[1:])
        return np.concatenate([np.zeros_like(scores), scores], axis=2) if self.two else scores

    def _gradient(self, slope: np.ndarray) -> np.ndarray:
        """Of the weights, from that of the logits."""
        slope = slope[:, :, 1 if self.two else 0 :].reshape(len(self.rows), -1)
        return (self.rows.T @ slope).ravel()

    def _penalised(self, weights: np.ndarray) -> np.ndarray:
        """The weights, with 0 for the intercepts."""
        penalised = weights.reshape(self.shape).copy()
        penalised[-1] = 0
        return penalised.ravel()

    def _log_shares(self, weights: np.ndarray) -> np.ndarray:
        """Log-probabilities: (rows, folds, classes); scipy's own function is mostly overhead."""
        scores = self._scores(weights)
        scores = scores - scores.max(2, keepdims=True)
        return scores - np.log(np.exp(scores).sum(2, keepdims=True))

    def loss(self, weights: np.ndarray, strength: float) -> tuple[float, np.ndarray]:
        """Penalised log loss of the fitted rows, over their weight, and its gradient."""
        log_shares = self._log_shares(weights)
        places = np.arange(len(self.rows))
        loss = -float((self.fitted * log_shares[places, :, self.truth]).sum())
        slope = np.exp(log_shares)
        slope[places, :, self.truth] -= 1
        gradient = self._gradient(slope * self.fitted[:, :, None])
        penalised = self._penalised(weights)
        loss += float(penalised @ penalised) / 2 / strength
        return loss / self.total, (gradient + penalised / strength) / self.total

    def held_out(self, weights: np.ndarray) -> float:
        """Weighted log loss of each row by the part that it was not in."""
        log_shares = self._log_shares(weights)[np.arange(len(self.rows)), :, self.truth]
        return -float((self.tested * log_shares).sum()) / self.total


def _as_softmax(
    coefficients: np.ndarray, intercepts: np.ndarray, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """One row a class; scikit-learn gives a single row for two."""
    if classes == 2:
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercepts = np.concatenate([-intercepts, intercepts]) / 2
    return coefficients, intercepts

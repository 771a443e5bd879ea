"""A head fitted by L2 logistic regression on frozen features."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from scipy.special import log_softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits
from torch import nn
from tqdm.auto import tqdm

from hf_cushing.schema import UserError

C_VALUES = tuple(np.logspace(-6, 5, 45).tolist())
"""Values of C tried: those of DINOv2's evaluation (arXiv 2304.07193)."""

INNER_FOLDS = 5
WORSE_VALUES, RISE = 6, 1.05
"""The search ends when the loss has been this many times that of the best C, and that many values
of C lie between: beyond the valley, fits of separable photos would take nearly all the time. A
rise of less may be the flat beginning, where C is too small to matter."""

SEARCH, FINAL = (3e-4, 100), (1e-4, 1000)
"""Tolerance and most iterations of the search's fits, each of which starts from the C before, and
of the fit that is kept. What still moves after so many steps lies far beyond the valley."""

REMEDY = "add patients, or give --finetune head --head linear-sgd, or --finetune full"

Head = tuple[np.ndarray, np.ndarray]
"""Weight (classes, features) and bias (classes,)."""

FitByC = Callable[[float], Head]


@dataclass(frozen=True)
class Probe:
    """A fitted linear head.

    Attributes
    ----------
    weight : numpy.ndarray
        float64, shape (classes, features); the classes' rows sum to 0.
    bias : numpy.ndarray
        float64, shape (classes,).
    chosen_c : float
    tried : list of (float, float)
        Each C tried with its loss out of inner folds.
    """

    weight: np.ndarray
    bias: np.ndarray
    chosen_c: float
    tried: list[tuple[float, float]]


@dataclass(frozen=True)
class ProbeData:
    """What a probe is fitted on: one row a photo and view.

    Attributes
    ----------
    features : numpy.ndarray
        float32, shape (n, d).
    labels : numpy.ndarray
        Class numbers, int, shape (n,); all classes are there.
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


def fit_probe(data: ProbeData, *, seed: int) -> Probe:
    """Choose C by the log loss in inner cross-validation by patient, then fit on everything.

    Parameters
    ----------
    data : ProbeData
    seed : int
        Of the inner folds.

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
    >>> probe = fit_probe(rows, seed=0)
    >>> probe.weight.shape, bool(probe.weight[1, 0] > probe.weight[0, 0]), round(probe.chosen_c, 2)
    ((2, 4), True, 0.56)
    """

    def start(rows: np.ndarray, part: np.ndarray, final: bool) -> FitByC:
        tolerance, iterations = FINAL if final else SEARCH
        model = LogisticRegression(tol=tolerance, max_iter=iterations, warm_start=True)
        known = rows[part], data.labels[part], data.weights[part]
        return lambda c: head_of(model.set_params(C=c).fit(*known))

    return choose_c(data, start, seed=seed)


def choose_c(
    data: ProbeData,
    start: Callable[[np.ndarray, np.ndarray, bool], FitByC],
    *,
    seed: int,
    c_values: Sequence[float] = C_VALUES,
    score: Callable[[np.ndarray], float] | None = None,
) -> Probe:
    """Try values of C in inner folds, from small to large, and fit with the best on everything.

    Features are standardised by all rows; the scale is folded into the weights. One BLAS thread:
    on these small matrices several are an order of magnitude slower, and the result is the same
    bit for bit on any number of cores.

    Parameters
    ----------
    data : ProbeData
    start : callable
        Of standardised rows, the places of those to fit on, and whether this is the last fit;
        gives what fits a head by C, called with one C after the other.
    seed : int
        Of the inner folds.
    c_values : sequence of float
        Rising.
    score : callable, optional
        Of each row's log loss by the fold that it was not in, shape (n,); the C of least score
        is taken. By default their weighted mean.

    Raises
    ------
    UserError
        A class has fewer than two patients.
    """
    score = score or partial(np.average, weights=data.weights)
    with threadpool_limits(1), warnings.catch_warnings():
        # the search stops early on purpose, and `chosen_c` alone is taken from it
        warnings.simplefilter("ignore", ConvergenceWarning)
        space = StandardSpace(data.features)
        folds = [(start(space.rows, known, False), held) for known, held in inner_folds(data, seed)]
        tried, losses = [], np.empty(len(data.labels))
        for c in tqdm(c_values, desc="Penalties", unit="C", disable=None):
            for fit, held in folds:
                losses[held] = log_losses(fit(c), space.rows[held], data.labels[held])
            tried.append((c, float(score(losses))))
            if _past_the_valley([loss for _, loss in tried]):
                break
        chosen, _ = min(tried, key=lambda pair: pair[1])
    with threadpool_limits(1):
        head = start(space.rows, np.arange(len(data.labels)), True)(chosen)
        return Probe(*space.original(head), chosen, tried)


def _past_the_valley(losses: list[float]) -> bool:
    """Say whether the loss has clearly risen since its least value."""
    least = min(losses)
    return len(losses) > losses.index(least) + WORSE_VALUES and losses[-1] > RISE * least


def head_of(model: LogisticRegression) -> Head:
    """Weight and bias with a row a class; scikit-learn gives a single row for two."""
    weight, bias = model.coef_, model.intercept_
    if len(weight) == 1:
        return np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    return weight, bias


def log_losses(head: Head, rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Log loss of each row, shape (n,)."""
    weight, bias = head
    return -log_softmax(rows @ weight.T + bias, axis=1)[np.arange(len(rows)), labels]


class StandardSpace:
    """Features standardised, and where there are more of them than rows, in their principal axes.

    A rotation changes nothing for an L2 penalty, and the optimum has no part outside the space
    that the rows span; with 768 features and 300 photos fewer than half of the columns remain.

    Attributes
    ----------
    rows : numpy.ndarray
        float64, shape (n, at most n).
    """

    def __init__(self, features: np.ndarray):
        features = features.astype(np.float64)
        self.scaler = StandardScaler().fit(features)
        self.rows, self.axes = self.scaler.transform(features), np.eye(features.shape[1])
        if features.shape[1] > len(features):
            left, sizes, self.axes = np.linalg.svd(self.rows, full_matrices=False)
            self.rows = left * sizes

    def original(self, head: Head) -> Head:
        """Turn a head for these rows into one for the features as they came."""
        weight, bias = head
        weight = weight @ self.axes / self.scaler.scale_
        return weight, bias - weight @ self.scaler.mean_


def write_head(linear: nn.Linear, probe: Probe) -> None:
    """Put a probe's weights into a model's head; features it did not see get weight 0."""
    with torch.no_grad():
        linear.weight.zero_()
        linear.weight[:, : probe.weight.shape[1]] = torch.from_numpy(probe.weight)
        linear.bias.copy_(torch.from_numpy(probe.bias))


def inner_folds(data: ProbeData, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Folds by patient, stratified by class × sex, in which every part has every class."""
    classes = set(data.labels.tolist())
    count = min(INNER_FOLDS, *(len(set(data.groups[data.labels == c])) for c in classes))
    if count < 2:
        raise UserError(
            "a label has a single training patient, so the head's penalty can't be chosen; "
            f"{REMEDY}"
        )
    for strata in (data.strata, data.labels):
        splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
        try:
            with warnings.catch_warnings():  # a stratum of few patients, as of unknown sex
                warnings.filterwarnings("ignore", "The least populated class", UserWarning)
                folds = list(splitter.split(data.features, strata, data.groups))
        except ValueError:  # all strata smaller than the number of folds
            continue
        if all(set(data.labels[known].tolist()) == classes for known, _ in folds):
            return folds
    raise UserError(f"the inner folds of the head's fit can't all hold every label; {REMEDY}")

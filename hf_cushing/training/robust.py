"""Heads that mind the worst group of class × sex: GroupDRO and DFR."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from hf_cushing.schema import UserError
from hf_cushing.training.probe import STRENGTHS, Frame, Probe, ProbeData, inner_folds, logistic

TRIED = STRENGTHS[4:37:4]
"""Values of C, from 1e-5 to 1e3: each costs many fits."""

ADJUSTMENT = 1.0
"""Added to a group's loss, over the root of its photos: rare groups generalise worse (section 3.3
of arXiv 1911.08731, which tried 0 to 5)."""

ROUNDS, RATE = 12, 1.0
"""Updates of the groups' weights in a probe, and their step (exponentiated gradient)."""

STEP = 0.01
"""The same step in gradient descent, as in the paper."""

REFITS = 20
"""Balanced draws whose heads are averaged (arXiv 2204.02937)."""

SMALLEST = 3
"""Photos that the smallest group must have for a balanced draw."""

Fit = Callable[[np.ndarray, float], "tuple[np.ndarray, np.ndarray]"]
"""Places of rows and C to coefficients and intercepts."""


def fit_group_dro(
    data: ProbeData,
    *,
    classes: int,
    seed: int,
    advance: Callable[[int], None] = lambda count: None,
) -> Probe:
    """Fit the head whose worst group of class × sex has the lowest adjusted loss.

    The groups' weights and the head take turns; the weights' mean over the rounds is then used
    for a last fit (Sagawa et al. 2020, arXiv 1911.08731). C has the lowest log loss of the worst
    group out of inner folds.

    Parameters
    ----------
    data : ProbeData
        Its `strata` are the groups; its `weights` are not used.
    classes : int
    seed : int
        Of the inner folds.
    advance : callable
        Called with 1 for each C tried.
    """
    frame, (_, groups) = Frame(data.features), np.unique(data.strata, return_inverse=True)

    def fit(places: np.ndarray, strength: float) -> tuple[np.ndarray, np.ndarray]:
        rows, labels, own = frame.rows[places], data.labels[places], groups[places]
        counts = np.maximum(np.bincount(own, minlength=groups.max() + 1), 1)
        shares = np.ones(len(counts)) / len(counts)
        history = []
        for _ in range(ROUNDS):
            model = logistic(rows, labels, (shares / counts)[own] * len(own), strength)
            losses = _losses(model.coef_, model.intercept_, rows, labels)
            means = np.bincount(own, losses, minlength=len(counts)) / counts
            shares = shares * np.exp(RATE * (means + ADJUSTMENT / np.sqrt(counts)))
            shares = shares / shares.sum()
            history.append(shares)
        weights = (np.mean(history, axis=0) / counts)[own] * len(own)
        model = logistic(rows, labels, weights, strength)
        return model.coef_, model.intercept_

    return _best(frame, data, fit, classes=classes, seed=seed, advance=advance)


def fit_dfr(
    data: ProbeData,
    *,
    classes: int,
    seed: int,
    advance: Callable[[int], None] = lambda count: None,
) -> Probe:
    """Fit the head on draws in which each class × sex comes alike, and average the heads.

    Deep feature reweighting (Kirichenko et al. 2023, arXiv 2204.02937), with an L2 penalty for
    the paper's L1. The photos must be ones that the backbone was not fine-tuned on.

    Parameters
    ----------
    data : ProbeData
        Its `strata` are the groups; its `weights` are not used.
    classes : int
    seed : int
        Of the draws and the inner folds.
    advance : callable
        Called with 1 for each C tried.

    Raises
    ------
    UserError
        A group of fewer than `SMALLEST` photos.
    """
    groups, counts = np.unique(data.strata, return_counts=True)
    if len(groups) < 2 * classes or counts.min() < SMALLEST:
        raise UserError(
            "--mitigation dfr draws each class and sex alike, and one has fewer than "
            f"{SMALLEST} photos to draw from; add patients, or choose another mitigation"
        )
    frame = Frame(data.features)

    def fit(places: np.ndarray, strength: float) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng([seed, 2])
        fits = []
        for _ in range(REFITS):
            drawn = _balanced(data.strata[places], rng)
            rows, labels = frame.rows[places][drawn], data.labels[places][drawn]
            model = logistic(rows, labels, np.ones(len(rows)), strength)
            fits.append((model.coef_, model.intercept_))
        return tuple(np.mean(part, axis=0) for part in zip(*fits, strict=True))

    return _best(frame, data, fit, classes=classes, seed=seed, advance=advance)


def _best(
    frame: Frame,
    data: ProbeData,
    fit: Fit,
    *,
    classes: int,
    seed: int,
    advance: Callable[[int], None],
) -> Probe:
    """Choose C by the worst group's log loss out of inner folds, then fit on everything."""
    from threadpoolctl import threadpool_limits

    folds = inner_folds(data, seed)
    tried = []
    with threadpool_limits(1):
        for strength in TRIED.tolist():
            tried.append((strength, _worst_held_out(frame, data, fit, folds, strength)))
            advance(1)
        chosen = min(tried, key=lambda pair: pair[1])[0]
        coefficients, intercepts = fit(np.arange(len(data.labels)), chosen)
    weight, bias = frame.head(coefficients, intercepts, classes)
    return Probe(weight, bias, chosen, tried)


def _worst_held_out(
    frame: Frame,
    data: ProbeData,
    fit: Fit,
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
    strength: float,
) -> float:
    losses = np.zeros(len(data.labels))
    for known, held in folds:
        head = fit(known, strength)
        losses[held] = _losses(*head, frame.rows[held], data.labels[held])
    return max(float(losses[data.strata == group].mean()) for group in np.unique(data.strata))


def _losses(
    coefficients: np.ndarray, intercepts: np.ndarray, rows: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """Log loss of each row; of two classes scikit-learn gives one row of coefficients."""
    from scipy.special import log_softmax

    scores = rows @ coefficients.T + intercepts
    if scores.shape[1] == 1:
        scores = np.hstack([np.zeros_like(scores), scores])
    return -log_softmax(scores, axis=1)[np.arange(len(rows)), labels]


def _balanced(strata: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Places of a draw without replacement in which all groups are as large as the smallest."""
    groups, counts = np.unique(strata, return_counts=True)
    drawn = [rng.choice(np.flatnonzero(strata == g), counts.min(), replace=False) for g in groups]
    return np.sort(np.concatenate(drawn))


class GroupWeights:
    """GroupDRO's weights of the groups, in gradient descent.

    Parameters
    ----------
    groups : numpy.ndarray
        Number of each training photo's group, from 0.

    Attributes
    ----------
    shares : torch.Tensor
        float64, shape (groups,), sum 1.
    """

    def __init__(self, groups: np.ndarray):
        counts = np.bincount(groups)
        self.groups = torch.from_numpy(groups)
        self.extra = ADJUSTMENT / torch.from_numpy(np.sqrt(counts))
        self.shares = torch.full((len(counts),), 1 / len(counts), dtype=torch.float64)

    def loss(
        self, losses: torch.Tensor, index: torch.Tensor, add: Callable[[torch.Tensor], torch.Tensor]
    ) -> torch.Tensor:
        """Update the weights by this batch, and give the weighted loss.

        Parameters
        ----------
        losses : torch.Tensor
            Of this process's photos, shape (n,).
        index : torch.Tensor
            Their places among the training photos.
        add : callable
            Adds up a tensor over all processes.

        Returns
        -------
        torch.Tensor
            Scalar whose mean over the processes is the loss of the whole batch.
        """
        own = self.groups[index.cpu()]
        sums = torch.zeros_like(self.shares).index_add(0, own, losses.detach().double().cpu())
        found = add(torch.stack([sums, torch.bincount(own, minlength=len(sums)).double()]))
        counts = found[1].clamp(min=1)
        means = torch.where(found[1] > 0, found[0] / counts + self.extra, 0.0)
        self.shares = self.shares * torch.exp(STEP * means)
        self.shares /= self.shares.sum()
        weights = (self.shares / counts)[own].to(losses)
        processes = float(add(torch.ones(1, dtype=torch.float64)))
        return (losses * weights).sum() * processes

"""Heads that mind the worst group of class × sex: GroupDRO and DFR."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from hf_cushing.schema import UserError
from hf_cushing.training.probe import (
    C_VALUES,
    FINAL,
    Head,
    Probe,
    ProbeData,
    choose_c,
    head_of,
    log_losses,
)

FEWER_C_VALUES = C_VALUES[4:37:4]
"""Values of C tried, from 1e-5 to 1e3: each costs many fits."""

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


def fit_group_dro(data: ProbeData, *, seed: int) -> Probe:
    """Fit the head whose worst group of class × sex has the lowest adjusted loss.

    The groups' weights and the head take turns; the weights' mean over the rounds is then used
    for a last fit (Sagawa et al. 2020, arXiv 1911.08731). C has the lowest log loss of the worst
    group out of inner folds.

    Parameters
    ----------
    data : ProbeData
        Its `strata` are the groups; its `weights` are not used.
    seed : int
        Of the inner folds.
    """
    _, groups = np.unique(data.strata, return_inverse=True)

    def fit(rows: np.ndarray, part: np.ndarray, c: float) -> Head:
        rows, labels, own = rows[part], data.labels[part], groups[part]
        counts = np.maximum(np.bincount(own, minlength=groups.max() + 1), 1)
        shares = np.ones(len(counts)) / len(counts)
        history = []
        for _ in range(ROUNDS):
            head = _logistic(rows, labels, c, (shares / counts)[own] * len(own))
            losses = log_losses(head, rows, labels)
            means = np.bincount(own, losses, minlength=len(counts)) / counts
            shares = shares * np.exp(RATE * (means + ADJUSTMENT / np.sqrt(counts)))
            shares = shares / shares.sum()
            history.append(shares)
        return _logistic(rows, labels, c, (np.mean(history, axis=0) / counts)[own] * len(own))

    return _choose_by_worst_group(data, fit, seed=seed)


def fit_dfr(data: ProbeData, *, seed: int) -> Probe:
    """Fit the head on draws in which each class × sex comes alike, and average the heads.

    Deep feature reweighting (Kirichenko et al. 2023, arXiv 2204.02937), with an L2 penalty for
    the paper's L1. The photos must be ones that the backbone was not fine-tuned on.

    Parameters
    ----------
    data : ProbeData
        Its `strata` are the groups; its `weights` are not used.
    seed : int
        Of the draws and the inner folds.

    Raises
    ------
    UserError
        A group of fewer than `SMALLEST` photos.
    """
    groups, counts = np.unique(data.strata, return_counts=True)
    if len(groups) < 2 * len(np.unique(data.labels)) or counts.min() < SMALLEST:
        raise UserError(
            "--mitigation dfr draws each class and sex alike, and one has fewer than "
            f"{SMALLEST} photos to draw from; add patients, or choose another mitigation"
        )

    def fit(rows: np.ndarray, part: np.ndarray, c: float) -> Head:
        rng = np.random.default_rng([seed, 2])
        heads = []
        for _ in range(REFITS):
            drawn = part[_balanced(data.strata[part], rng)]
            heads.append(_logistic(rows[drawn], data.labels[drawn], c))
        return tuple(np.mean(values, axis=0) for values in zip(*heads, strict=True))

    return _choose_by_worst_group(data, fit, seed=seed)


def _choose_by_worst_group(
    data: ProbeData,
    fit: Callable[[np.ndarray, np.ndarray, float], Head],
    *,
    seed: int,
) -> Probe:
    """Choose C by the worst group's log loss out of inner folds, then fit on everything."""
    return choose_c(
        data,
        lambda rows, part, final: partial(fit, rows, part),
        seed=seed,
        c_values=FEWER_C_VALUES,
        score=lambda losses: max(losses[data.strata == g].mean() for g in np.unique(data.strata)),
    )


def _logistic(
    rows: np.ndarray, labels: np.ndarray, c: float, weights: np.ndarray | None = None
) -> Head:
    tolerance, iterations = FINAL
    return head_of(
        LogisticRegression(C=c, tol=tolerance, max_iter=iterations).fit(rows, labels, weights)
    )


def _balanced(strata: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Places of a draw without replacement in which all groups are as large as the smallest."""
    groups, counts = np.unique(strata, return_counts=True)
    drawn = [rng.choice(np.flatnonzero(strata == g), counts.min(), replace=False) for g in groups]
    return np.sort(np.concatenate(drawn))


class GroupWeights:
    """GroupDRO's weights of the groups, in gradient descent.

    Parameters
    ----------
    strata : numpy.ndarray
        Class × sex of each training photo, as a number.

    Attributes
    ----------
    shares : torch.Tensor
        float64, shape (groups,), sum 1.
    """

    def __init__(self, strata: np.ndarray):
        _, groups, counts = np.unique(strata, return_inverse=True, return_counts=True)
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
        sums, photos = add(torch.stack([sums, torch.bincount(own, minlength=len(sums)).double()]))
        counts = photos.clamp(min=1)
        means = torch.where(photos > 0, sums / counts + self.extra, 0.0)
        self.shares = self.shares * torch.exp(STEP * means)
        self.shares /= self.shares.sum()
        weights = (self.shares / counts)[own].to(losses)
        processes = float(add(torch.ones(1, dtype=torch.float64)))
        return (losses * weights).sum() * processes

"""Photos with their truth, score and call, and what they sum to under many weightings at once.

A bootstrap draw, a permutation, a left-out patient and a subgroup are all the same thing here: a
weight for every photo. So one class serves all, with the draws as rows of a matrix.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

EPSILON = float(np.finfo(float).eps)


@dataclass(frozen=True)
class Cells:
    """True and false positives and negatives: masks of photos, or their weights.

    Attributes
    ----------
    tp, fn, fp, tn : numpy.ndarray
        bool, shape (n,), whose sum is a union; or float, shape (m,).
    """

    tp: np.ndarray
    fn: np.ndarray
    fp: np.ndarray
    tn: np.ndarray

    @property
    def everybody(self) -> np.ndarray:
        """All four together."""
        return self.tp + self.fn + self.fp + self.tn


def cells_of(truth: np.ndarray, called: np.ndarray) -> Cells:
    """Masks of photos that have the disease, and that are called so (bool, shape (n,) each)."""
    return Cells(truth & called, truth & ~called, ~truth & called, ~truth & ~called)


@dataclass(frozen=True)
class Decisions:
    """Photos with their truth, score and call.

    Attributes
    ----------
    truth : numpy.ndarray
        bool, shape (n,): has the disease.
    score : numpy.ndarray
        float, shape (n,), 0..1: its probability.
    threshold : numpy.ndarray
        float, shape (n,), 0..1: from which the photo is called positive.
    """

    truth: np.ndarray
    score: np.ndarray
    threshold: np.ndarray

    @property
    def called(self) -> np.ndarray:
        """bool, shape (n,): the score reaches the threshold."""
        return self.score >= self.threshold

    @property
    def cells(self) -> Cells:
        """As masks."""
        return cells_of(self.truth, self.called)

    def __len__(self) -> int:
        return len(self.truth)

    def select(self, rows: np.ndarray) -> Decisions:
        """These photos, by mask or number."""
        return Decisions(self.truth[rows], self.score[rows], self.threshold[rows])


@dataclass(frozen=True, eq=False)
class WeightedDecisions:
    """Decisions and m weightings of them; sums are made when first asked for.

    Attributes
    ----------
    decisions : Decisions
        Of n photos, by rising score.
    weights : numpy.ndarray
        float64, shape (m, n), 0 or more.
    """

    decisions: Decisions
    weights: np.ndarray

    @cached_property
    def cells(self) -> Cells:
        """Weights of the cells, float64, shape (m,) each."""
        masks = vars(self.decisions.cells).values()
        return Cells(*(self.weights @ np.stack(list(masks), axis=1).astype(np.float64)).T)

    @cached_property
    def curve(self) -> Curve:
        """What every threshold does."""
        return threshold_curve(self.decisions.truth, self.decisions.score, self.weights)


@dataclass(frozen=True)
class Curve:
    """What every threshold does, from the lowest score to above the highest.

    Attributes
    ----------
    cut : numpy.ndarray
        float, shape (k,): the distinct scores, rising; the last is infinite.
    positive, negative : numpy.ndarray
        Shape (m, k): weight of positives and negatives at or above each cut.
    """

    cut: np.ndarray
    positive: np.ndarray
    negative: np.ndarray


def threshold_curve(truth: np.ndarray, score: np.ndarray, weights: np.ndarray) -> Curve:
    """Positives and negatives that each threshold calls, for each row of weights.

    Parameters
    ----------
    truth, score : numpy.ndarray
        Shape (n,).
    weights : numpy.ndarray
        Shape (m, n).
    """
    if (score[1:] < score[:-1]).any():
        order = np.argsort(score, kind="stable")
        truth, score, weights = truth[order], score[order], weights[:, order]
    cuts, positive, negative = sums_by_score(score, weights * truth, weights * ~truth)
    return Curve(np.append(cuts, np.inf), _at_or_above(positive), _at_or_above(negative))


def sums_by_score(score: np.ndarray, *columns: np.ndarray) -> tuple[np.ndarray, ...]:
    """The distinct scores of rising ones, and the columns of equal scores summed."""
    first = np.flatnonzero(np.append(True, score[1:] != score[:-1]))
    if len(first) == len(score):
        return score, *columns
    return score[first], *(np.add.reduceat(column, first, axis=1) for column in columns)


def _at_or_above(weights: np.ndarray) -> np.ndarray:
    """Sums from each column to the last, and 0 for none."""
    sums = np.cumsum(weights[:, ::-1], axis=1)[:, ::-1]
    return np.concatenate([sums, np.zeros((len(sums), 1))], axis=1)


def roc_points(truth: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive rates at every threshold, from (0, 0) to (1, 1)."""
    curve = threshold_curve(truth, score, np.ones((1, len(score))))
    true, false = curve.positive[0, ::-1], curve.negative[0, ::-1]
    return false / max(false[-1], 1), true / max(true[-1], 1)


def logit(score: np.ndarray) -> np.ndarray:
    """Log-odds of probabilities; 0 and 1 are moved inside by the smallest step."""
    inside = np.clip(score, EPSILON, 1 - EPSILON)
    return np.log(inside) - np.log1p(-inside)

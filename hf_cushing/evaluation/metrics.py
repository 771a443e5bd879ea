"""Metrics of a two-way decision; undefined is NaN, never 0."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

METRICS = (
    "accuracy",
    "balanced_accuracy",
    "precision",
    "recall",
    "specificity",
    "f1",
    "auroc",
    "auprc",
)

WHY_UNDEFINED = {
    "precision": "nobody is called positive",
    "recall": "no positives",
    "specificity": "no negatives",
    "balanced_accuracy": "one class only",
    "f1": "no positives, and nobody is called positive",
    "auroc": "one class only",
    "auprc": "no positives",
    "accuracy": "no photos",
}


def binary_metrics(truth: np.ndarray, score: np.ndarray, called: np.ndarray) -> dict[str, float]:
    """All of `METRICS`.

    Parameters
    ----------
    truth : numpy.ndarray
        bool, shape (n,): has the disease.
    score : numpy.ndarray
        float, shape (n,): the higher, the more likely.
    called : numpy.ndarray
        bool, shape (n,): score reaches the threshold.

    Returns
    -------
    dict
        0..1 each, NaN where undefined (`WHY_UNDEFINED` says why).

    Examples
    --------
    >>> truth, score = np.array([True, True, False]), np.array([0.9, 0.4, 0.1])
    >>> m = binary_metrics(truth, score, score >= 0.5)
    >>> m["recall"], m["specificity"], m["auroc"]
    (0.5, 1.0, 1.0)
    """
    hit = int(np.sum(truth & called))
    miss = int(np.sum(truth & ~called))
    false_alarm = int(np.sum(~truth & called))
    rejection = int(np.sum(~truth & ~called))
    recall, specificity = _ratio(hit, hit + miss), _ratio(rejection, rejection + false_alarm)
    return {
        "accuracy": _ratio(hit + rejection, len(truth)),
        "balanced_accuracy": (recall + specificity) / 2,
        "precision": _ratio(hit, hit + false_alarm),
        "recall": recall,
        "specificity": specificity,
        "f1": _ratio(2 * hit, 2 * hit + miss + false_alarm),
        "auroc": auroc(truth, score),
        "auprc": average_precision(truth, score),
    }


def auroc(truth: np.ndarray, score: np.ndarray) -> float:
    """Area under the ROC curve: the chance that a positive outscores a negative, ties half.

    Mann-Whitney form; NaN if a class is missing.
    """
    positives = int(np.sum(truth))
    negatives = len(truth) - positives
    if not positives or not negatives:
        return float("nan")
    ranks = rankdata(score)
    below = ranks[truth].sum() - positives * (positives + 1) / 2
    return float(below / (positives * negatives))


def average_precision(truth: np.ndarray, score: np.ndarray) -> float:
    """Area under the precision-recall curve as a step function; NaN without positives."""
    positives = int(np.sum(truth))
    if not positives:
        return float("nan")
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(truth[order])
    last = np.append(np.diff(score[order]) != 0, True)
    precision = hits[last] / (np.flatnonzero(last) + 1)
    gained = np.diff(hits[last], prepend=0) / positives
    return float(np.sum(precision * gained))


def mean_auroc(probabilities: np.ndarray, numbers: np.ndarray) -> float:
    """Mean one-vs-rest AUROC of the diseases (class 0 is control), for model selection.

    Parameters
    ----------
    probabilities : numpy.ndarray
        Shape (n, classes).
    numbers : numpy.ndarray
        int, shape (n,): class numbers.
    """
    classes = range(1, probabilities.shape[1])
    return float(np.mean([auroc(numbers == c, probabilities[:, c]) for c in classes]))


def roc_points(truth: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive rates at every threshold, from (0, 0) to (1, 1)."""
    order = np.argsort(-score, kind="stable")
    last = np.append(np.diff(score[order]) != 0, True)
    true = np.cumsum(truth[order])[last]
    false = np.cumsum(~truth[order])[last]
    return np.append(0, false / max(false[-1], 1)), np.append(0, true / max(true[-1], 1))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")

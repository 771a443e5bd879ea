"""Metrics of a two-way decision, for many weightings of the photos at once.

A bootstrap draw, a permutation, a left-out patient and a subgroup are all the same thing here: a
weight for every photo. So one function serves all, with the draws as rows of a matrix.
Undefined is NaN (`METRICS` says why), never 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hf_cushing.stats.logistic import fit_logistic

BINS = 10
"""Bins of the calibration error, each of a tenth of the photos."""

FIXED = 0.9
"""Sensitivity is given at this specificity, and specificity at this sensitivity."""

BLOCK = 4_000_000
"""Cells of a weight matrix that are worked on at once; bounds the memory."""

EPSILON = float(np.finfo(float).eps)


@dataclass(frozen=True)
class Metric:
    """What a metric is.

    Attributes
    ----------
    undefined : str
        Why it has no value where it has none.
    goal : int
        1 if higher is better, -1 if lower is, 0 if neither.
    """

    undefined: str
    goal: int = 1


ONE_CLASS = "one class only"
METRICS = {
    "accuracy": Metric("no photos"),
    "balanced_accuracy": Metric(ONE_CLASS),
    "precision": Metric("nobody is called positive"),
    "recall": Metric("no positives"),
    "specificity": Metric("no negatives"),
    "npv": Metric("nobody is called negative"),
    "f1": Metric("no positives, and nobody is called positive"),
    "mcc": Metric("one class only, or everybody is called the same"),
    "auroc": Metric(ONE_CLASS),
    "auprc": Metric("no positives"),
    "sensitivity_at_specificity": Metric(ONE_CLASS),
    "specificity_at_sensitivity": Metric(ONE_CLASS),
    "brier": Metric("no photos", -1),
    "log_loss": Metric("no photos", -1),
    "ece": Metric("no photos", -1),
    "calibration_slope": Metric("one class only, or perfect separation", 0),
    "calibration_intercept": Metric(ONE_CLASS, 0),
    "net_benefit": Metric("no photos"),
    "selection_rate": Metric("no photos", 0),
}
"""Name to `Metric`, in the order of the tables.

``auprc`` is average precision; ``ece`` is the mean distance of probability and frequency over
`BINS` bins of equal size (Nixon et al. 2019, arXiv 1904.01685); slope and intercept are Cox's
(Van Calster et al. 2019, BMC Med 17:230), the intercept with the slope held at 1; ``net_benefit``
is Vickers and Elkin's (2006, Med Decis Making 26:565) at the threshold in use;
``selection_rate`` is the share called positive.
"""


RANKED = ("auroc", "auprc", "sensitivity_at_specificity", "specificity_at_sensitivity")
OF_PROBABILITY = ("brier", "log_loss", "ece")
CALIBRATION = ("calibration_slope", "calibration_intercept")


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

    def __len__(self) -> int:
        return len(self.truth)

    def select(self, rows: np.ndarray) -> Decisions:
        """These photos, by mask or number."""
        return Decisions(self.truth[rows], self.score[rows], self.threshold[rows])


def binary_metrics(decisions: Decisions) -> dict[str, float]:
    """All of `METRICS`, each photo counted once.

    Returns
    -------
    dict
        NaN where undefined.

    Examples
    --------
    >>> truth, score = np.array([True, True, False]), np.array([0.9, 0.4, 0.1])
    >>> m = binary_metrics(Decisions(truth, score, np.full(3, 0.5)))
    >>> m["recall"], m["specificity"], m["auroc"]
    (0.5, 1.0, 1.0)
    """
    metrics = weighted_metrics(decisions, np.ones((1, len(decisions))))
    return {name: float(values[0]) for name, values in metrics.items()}


def weighted_metrics(
    decisions: Decisions, weights: np.ndarray, names: Sequence[str] = tuple(METRICS)
) -> dict[str, np.ndarray]:
    """The metrics for each row of weights.

    Parameters
    ----------
    decisions : Decisions
        Of n photos.
    weights : numpy.ndarray
        float, shape (m, n), 0 or more: how often each photo counts, for each of m draws.
    names : sequence of str
        Of `METRICS`: those wanted.

    Returns
    -------
    dict
        Name to float64, shape (m,).
    """
    if not len(decisions):
        return {name: np.full(len(weights), np.nan) for name in names}
    order = np.argsort(decisions.score, kind="stable")
    decisions = decisions.select(order)
    parts = []
    for block in blocks(len(weights), len(decisions)):
        part = weights[block][:, order].astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            metrics = _by_counts(decisions, part)
            if set(names) & set(RANKED):
                metrics |= _by_ranks(decisions, part)
            if set(names) & set(OF_PROBABILITY):
                metrics |= _by_probability(decisions, part)
            if set(names) & set(CALIBRATION):
                metrics |= _calibration(decisions, part)
        parts.append(metrics)
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def blocks(rows: int, columns: int) -> Iterator[slice]:
    """Cut the rows of a matrix into parts of about `BLOCK` cells."""
    step = max(1, BLOCK // max(1, columns))
    return (slice(i, i + step) for i in range(0, rows, step))


def weighted_auroc(truth: np.ndarray, score: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """AUROC for each row of weights; arguments as in `auroc` and `weighted_metrics`."""
    decisions = Decisions(truth, np.asarray(score), np.zeros(len(truth)))
    return weighted_metrics(decisions, weights, ("auroc",))["auroc"]


def auroc(truth: np.ndarray, score: np.ndarray) -> float:
    """Area under the ROC curve: the chance that a positive outscores a negative, ties half.

    Mann-Whitney form; NaN if a class is missing. The score may be on any scale.
    """
    return float(weighted_auroc(truth, score, np.ones((1, len(truth))))[0])


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


def logit(score: np.ndarray) -> np.ndarray:
    """Log-odds of probabilities; 0 and 1 are moved inside by the smallest step."""
    inside = np.clip(score, EPSILON, 1 - EPSILON)
    return np.log(inside) - np.log1p(-inside)


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
    cuts, positive, negative = _by_score(score, weights * truth, weights * ~truth)
    return Curve(np.append(cuts, np.inf), _at_or_above(positive), _at_or_above(negative))


def _by_score(score: np.ndarray, *columns: np.ndarray) -> tuple[np.ndarray, ...]:
    """The distinct scores of rising ones, and the columns of equal scores summed."""
    first = np.flatnonzero(np.append(True, score[1:] != score[:-1]))
    if len(first) == len(score):
        return score, *columns
    return score[first], *(np.add.reduceat(column, first, axis=1) for column in columns)


def roc_points(truth: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive rates at every threshold, from (0, 0) to (1, 1)."""
    curve = threshold_curve(truth, score, np.ones((1, len(score))))
    true, false = curve.positive[0, ::-1], curve.negative[0, ::-1]
    return false / max(false[-1], 1), true / max(true[-1], 1)


def _at_or_above(weights: np.ndarray) -> np.ndarray:
    """Sums from each column to the last, and 0 for none."""
    sums = np.cumsum(weights[:, ::-1], axis=1)[:, ::-1]
    return np.concatenate([sums, np.zeros((len(sums), 1))], axis=1)


def _by_counts(decisions: Decisions, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Metrics of the four cells; net benefit takes each photo's own threshold."""
    truth, called = decisions.truth, decisions.called
    odds = decisions.threshold / np.clip(1 - decisions.threshold, EPSILON, None)
    cells = [truth & called, truth & ~called, ~truth & called, ~truth & ~called]
    columns = np.stack([*cells, (~truth & called) * odds], axis=1).astype(np.float64)
    hit, miss, alarm, rest, cost = (weights @ columns).T
    total = hit + miss + alarm + rest
    recall, specificity = hit / (hit + miss), rest / (rest + alarm)
    spread = (hit + alarm) * (hit + miss) * (rest + alarm) * (rest + miss)
    return {
        "accuracy": (hit + rest) / total,
        "balanced_accuracy": (recall + specificity) / 2,
        "precision": hit / (hit + alarm),
        "recall": recall,
        "specificity": specificity,
        "npv": rest / (rest + miss),
        "f1": 2 * hit / (2 * hit + miss + alarm),
        "mcc": (hit * rest - alarm * miss) / np.sqrt(spread),
        "net_benefit": (hit - cost) / total,
        "selection_rate": (hit + alarm) / total,
    }


def _by_ranks(decisions: Decisions, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Metrics of the order of the scores."""
    curve = threshold_curve(decisions.truth, decisions.score, weights)
    above, alarms = curve.positive, curve.negative
    positives, negatives = above[:, :1], alarms[:, :1]
    here = above[:, :-1] - above[:, 1:]
    below = negatives - (alarms[:, :-1] + alarms[:, 1:]) / 2
    called = above[:, :-1] + alarms[:, :-1]
    precision = np.divide(above[:, :-1], called, out=np.zeros_like(called), where=called > 0)
    wrong_allowed = alarms <= (1 - FIXED) * negatives + 1e-9
    found_enough = above >= FIXED * positives - 1e-9
    both = positives[:, 0] * negatives[:, 0]
    best_sensitivity = np.where(wrong_allowed, above, 0).max(1)
    best_specificity = np.where(found_enough, negatives - alarms, 0).max(1)
    return {
        "auroc": (here * below).sum(1) / both,
        "auprc": (here * precision).sum(1) / positives[:, 0],
        "sensitivity_at_specificity": best_sensitivity * negatives[:, 0] / both,
        "specificity_at_sensitivity": best_specificity * positives[:, 0] / both,
    }


def _by_probability(decisions: Decisions, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Metrics of how near the probabilities are to what happens."""
    truth, score = decisions.truth, decisions.score
    said = np.clip(np.where(truth, score, 1 - score), EPSILON, None)
    columns = np.stack([np.ones(len(truth)), (score - truth) ** 2, -np.log(said)], axis=1)
    total, brier, loss = (weights @ columns).T
    return {
        "brier": brier / total,
        "log_loss": loss / total,
        "ece": _calibration_error(decisions, weights) / total,
    }


def _calibration_error(decisions: Decisions, weights: np.ndarray) -> np.ndarray:
    """Sum over bins of |expected - found|; photos of equal score share a bin."""
    excess = weights * (decisions.score - decisions.truth)
    _, weights, excess = _by_score(decisions.score, weights, excess)
    upto = np.cumsum(weights, axis=1)
    place = np.floor(BINS * (upto - weights / 2) / upto[:, -1:])
    bins = np.clip(np.nan_to_num(place), 0, BINS - 1).astype(np.int64)
    bins += BINS * np.arange(len(weights))[:, None]
    sums = np.bincount(bins.ravel(), excess.ravel(), minlength=BINS * len(weights))
    return np.abs(sums.reshape(len(weights), BINS)).sum(1)


def _calibration(decisions: Decisions, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Logistic regression of the truth on the log-odds; with slope 1 for the intercept."""
    rows = decisions.truth, logit(decisions.score)
    return {
        "calibration_slope": fit_logistic(*rows, weights, fixed=False)[:, 1],
        "calibration_intercept": fit_logistic(*rows, weights, fixed=True)[:, 0],
    }

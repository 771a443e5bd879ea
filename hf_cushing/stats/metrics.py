"""Metrics of a two-way decision: `METRICS` says all there is to say of each, in one place.

Formulas work on many weightings of the photos at once (`WeightedDecisions`). Undefined is NaN
(`Metric.undefined` says why), never 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hf_cushing.evaluation.subgroup_f1.f1_formula import f1_score
from hf_cushing.stats.decisions import (
    EPSILON,
    Cells,
    Decisions,
    WeightedDecisions,
    logit,
    sums_by_score,
)
from hf_cushing.stats.logistic import fit_logistic

BINS = 10
"""Bins of the calibration error, each of a tenth of the photos."""

FIXED = 0.9
"""Sensitivity is given at this specificity, and specificity at this sensitivity."""

BLOCK = 4_000_000
"""Cells of a weight matrix that are worked on at once; bounds the memory."""

ONE_CLASS = "one class only"

PLACES = ("first", "forest", "sentence", "brief", "card", "calibration", "space")
"""Where a metric is shown beside the full tables and files, which have all: the first table; the
figures of metrics and gaps by subgroup; a sentence on its gap; tables of a few metrics; the model
card's results, and its calibration; the Space."""


@dataclass(frozen=True)
class Metric:
    """All there is to say of a metric.

    Attributes
    ----------
    title : str
        Its name in tables.
    undefined : str
        Why it has no value where it has none.
    formula : callable
        `WeightedDecisions` to float64, shape (m,); with `ratio`, what its part and whole come to.
    ratio : callable, optional
        `Cells` to part and whole, where it is a proportion or a rising function of one: then its
        interval is Wilson's. That of AUROC is DeLong's; all others have the bootstrap's.
    needs : str
        ``positives`` or ``negatives``, without which it says nothing though its formula gives a
        number: then it is undefined.
    mixed : bool
        It changes with the share of positives, the scores of each class being the same.
    goal : int
        1 if higher is better, -1 if lower is, 0 if neither.
    unbounded : bool
        One photo can change it by any amount, so that agreement in a sample bounds nothing.
    hub : str
        Its name in a model card's metadata on the Hub; empty if it stays out.
    shown : str
        Words of `PLACES`.
    """

    title: str
    undefined: str
    formula: Callable[..., np.ndarray] = np.divide
    ratio: Callable[[Cells], tuple[np.ndarray, np.ndarray]] | None = None
    needs: str = ""
    mixed: bool = False
    goal: int = 1
    unbounded: bool = False
    hub: str = ""
    shown: str = ""

    def __post_init__(self):
        if unknown := set(self.shown.split()) - set(PLACES):
            raise ValueError(f"{self.title} is shown in {sorted(unknown)}; expected {PLACES}")

    def compute(self, weighted: WeightedDecisions) -> np.ndarray:
        """Its value for each weighting."""
        parts = (weighted,) if self.ratio is None else self.ratio(weighted.cells)
        values = self.formula(*parts)
        return np.where(self.needed(weighted.cells) > 0, values, np.nan) if self.needs else values

    def needed(self, cells: Cells) -> np.ndarray:
        """The photos that it needs, as masks or weights."""
        return cells.tp + cells.fn if self.needs == "positives" else cells.tn + cells.fp


def shown_in(place: str) -> tuple[str, ...]:
    """The metrics that a place of `PLACES` shows."""
    return tuple(name for name, metric in METRICS.items() if place in metric.shown.split())


def binary_metrics(decisions: Decisions, names: Sequence[str] = ()) -> dict[str, float]:
    """These of `METRICS`, all if none is named, each photo counted once.

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
    metrics = weighted_metrics(decisions, np.ones((1, len(decisions))), names)
    return {name: float(values[0]) for name, values in metrics.items()}


def weighted_metrics(
    decisions: Decisions, weights: np.ndarray, names: Sequence[str] = ()
) -> dict[str, np.ndarray]:
    """The metrics for each row of weights.

    Parameters
    ----------
    decisions : Decisions
        Of n photos.
    weights : numpy.ndarray
        float, shape (m, n), 0 or more: how often each photo counts, for each of m draws.
    names : sequence of str
        Of `METRICS`: those wanted; all if left out.

    Returns
    -------
    dict
        Name to float64, shape (m,).
    """
    names = names or tuple(METRICS)
    if not len(decisions):
        return {name: np.full(len(weights), np.nan) for name in names}
    order = np.argsort(decisions.score, kind="stable")
    decisions = decisions.select(order)
    step, parts = max(1, BLOCK // len(decisions)), []
    for start in range(0, len(weights), step):
        block = weights[start : start + step, order].astype(np.float64)
        part = WeightedDecisions(decisions, block)
        with np.errstate(divide="ignore", invalid="ignore"):
            parts.append({name: METRICS[name].compute(part) for name in names})
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def weighted_auroc(truth: np.ndarray, score: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """AUROC for each row of weights; arguments as in `auroc` and `weighted_metrics`."""
    decisions = Decisions(truth, np.asarray(score), np.zeros(len(truth)))
    return weighted_metrics(decisions, weights, ("auroc",))["auroc"]


def auroc(truth: np.ndarray, score: np.ndarray) -> float:
    """Area under the ROC curve: the chance that a positive outscores a negative, ties half.

    Mann-Whitney form; NaN if a class is missing. The score may be on any scale.
    """
    return float(weighted_auroc(truth, score, np.ones((1, len(truth))))[0])


def auroc_within(
    truth: np.ndarray, score: np.ndarray, fits: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """AUROC over the pairs of one fit alone, for each row of weights: shape (m,).

    The scores of several fits (folds) need not be on one scale, so that pairs across them say
    something of the scales, too.

    Parameters
    ----------
    truth, score, fits : numpy.ndarray
        Shape (n,); `fits` names the model that gave the score.
    weights : numpy.ndarray
        Shape (m, n).
    """
    won, pairs = np.zeros(len(weights)), np.zeros(len(weights))
    for fit in np.unique(fits):
        own = fits == fit
        count = weights[:, own & truth].sum(1) * weights[:, own & ~truth].sum(1)
        area = weighted_auroc(truth[own], score[own], weights[:, own])
        won += np.where(count > 0, area * count, 0)
        pairs += count
    return np.divide(won, pairs, out=np.full(len(weights), np.nan), where=pairs > 0)


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


def _balanced_accuracy(w: WeightedDecisions) -> np.ndarray:
    c = w.cells
    return (c.tp / (c.tp + c.fn) + c.tn / (c.tn + c.fp)) / 2


def _mcc(w: WeightedDecisions) -> np.ndarray:
    c = w.cells
    spread = (c.tp + c.fp) * (c.tp + c.fn) * (c.tn + c.fp) * (c.tn + c.fn)
    return (c.tp * c.tn - c.fp * c.fn) / np.sqrt(spread)


def _auroc(w: WeightedDecisions) -> np.ndarray:
    positive, negative = w.curve.positive, w.curve.negative
    below = negative[:, :1] - (negative[:, :-1] + negative[:, 1:]) / 2
    here = positive[:, :-1] - positive[:, 1:]
    return (here * below).sum(1) / (positive[:, 0] * negative[:, 0])


def _average_precision(w: WeightedDecisions) -> np.ndarray:
    above = w.curve.positive
    hits, called = above[:, :-1], above[:, :-1] + w.curve.negative[:, :-1]
    precision = np.divide(hits, called, out=np.zeros_like(called), where=called > 0)
    return ((hits - above[:, 1:]) * precision).sum(1) / above[:, 0]


def _best_share(wanted: np.ndarray, allowed: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The largest share among allowed thresholds; undefined without the other class."""
    best = np.where(allowed, wanted, 0).max(1)
    return best * other / (wanted.max(1) * other)


def _sensitivity_at_specificity(w: WeightedDecisions) -> np.ndarray:
    negatives = w.curve.negative[:, :1]
    allowed = w.curve.negative <= (1 - FIXED) * negatives + 1e-9
    return _best_share(w.curve.positive, allowed, negatives[:, 0])


def _specificity_at_sensitivity(w: WeightedDecisions) -> np.ndarray:
    positives = w.curve.positive[:, :1]
    allowed = w.curve.positive >= FIXED * positives - 1e-9
    rest = w.curve.negative[:, :1] - w.curve.negative
    return _best_share(rest, allowed, positives[:, 0])


def _brier(w: WeightedDecisions) -> np.ndarray:
    return w.weights @ (w.decisions.score - w.decisions.truth) ** 2 / w.cells.everybody


def _log_loss(w: WeightedDecisions) -> np.ndarray:
    truth, score = w.decisions.truth, w.decisions.score
    said = np.clip(np.where(truth, score, 1 - score), EPSILON, None)
    return w.weights @ -np.log(said) / w.cells.everybody


def _calibration_error(w: WeightedDecisions) -> np.ndarray:
    """Mean over bins of |expected - found| (Nixon et al. 2019, arXiv 1904.01685).

    Bins are of equal size; photos of equal score share one.
    """
    excess = w.weights * (w.decisions.score - w.decisions.truth)
    _, weights, excess = sums_by_score(w.decisions.score, w.weights, excess)
    upto = np.cumsum(weights, axis=1)
    place = np.floor(BINS * (upto - weights / 2) / upto[:, -1:])
    bins = np.clip(np.nan_to_num(place), 0, BINS - 1).astype(np.int64)
    bins += BINS * np.arange(len(weights))[:, None]
    sums = np.bincount(bins.ravel(), excess.ravel(), minlength=BINS * len(weights))
    return np.abs(sums.reshape(len(weights), BINS)).sum(1) / w.cells.everybody


def _calibration_slope(w: WeightedDecisions) -> np.ndarray:
    """Cox's: of a logistic regression of the truth on the log-odds."""
    return fit_logistic(w.decisions.truth, logit(w.decisions.score), w.weights, fixed=False)[:, 1]


def _calibration_intercept(w: WeightedDecisions) -> np.ndarray:
    """Likewise, with the slope held at 1 (Van Calster et al. 2019, BMC Med 17:230)."""
    return fit_logistic(w.decisions.truth, logit(w.decisions.score), w.weights, fixed=True)[:, 0]


def _net_benefit(w: WeightedDecisions) -> np.ndarray:
    """At each photo's own threshold (Vickers and Elkin 2006, Med Decis Making 26:565)."""
    odds = w.decisions.threshold / np.clip(1 - w.decisions.threshold, EPSILON, None)
    return (w.cells.tp - w.weights @ (w.decisions.cells.fp * odds)) / w.cells.everybody


METRICS = {
    "accuracy": Metric("accuracy", "no photos", mixed=True, hub="accuracy", shown="forest card",
                       ratio=lambda c: (c.tp + c.tn, c.everybody)),
    "balanced_accuracy": Metric("balanced accuracy", ONE_CLASS, _balanced_accuracy, shown="forest"),
    "precision": Metric("precision", "no positives, or nobody is called positive",
                        needs="positives", mixed=True, hub="precision",
                        shown="forest card space first",
                        ratio=lambda c: (c.tp, c.tp + c.fp)),
    "recall": Metric("recall (sensitivity)", "no positives", hub="recall",
                     shown="forest sentence brief card space first",
                     ratio=lambda c: (c.tp, c.tp + c.fn)),
    "specificity": Metric("specificity", "no negatives", hub="specificity",
                          shown="forest brief card space first",
                          ratio=lambda c: (c.tn, c.tn + c.fp)),
    "npv": Metric("NPV", "no negatives, or nobody is called negative", needs="negatives",
                  mixed=True, shown="forest card space", ratio=lambda c: (c.tn, c.tn + c.fn)),
    "f1": Metric("F1", "no positives", f1_score, needs="positives", mixed=True, hub="f1",
                 shown="forest sentence brief card space first",
                 ratio=lambda c: (c.tp, c.tp + c.fn + c.fp)),
    "mcc": Metric("MCC", "one class only, or everybody is called the same", _mcc, mixed=True),
    "auroc": Metric("AUROC", ONE_CLASS, _auroc, hub="roc_auc",
                    shown="forest sentence brief card space first"),
    "auprc": Metric("AUPRC", "no positives", _average_precision, mixed=True, shown="forest"),
    "sensitivity_at_specificity": Metric(f"sensitivity at specificity {FIXED:g}", ONE_CLASS,
                                         _sensitivity_at_specificity),
    "specificity_at_sensitivity": Metric(f"specificity at sensitivity {FIXED:g}", ONE_CLASS,
                                         _specificity_at_sensitivity),
    "brier": Metric("Brier score", "no photos", _brier, mixed=True, goal=-1, hub="brier_score",
                    shown="calibration space"),
    "log_loss": Metric("log loss", "no photos", _log_loss, mixed=True, goal=-1, unbounded=True,
                       shown="calibration"),
    "ece": Metric("calibration error (ECE)", "no photos", _calibration_error, goal=-1,
                  shown="calibration space"),
    "calibration_slope": Metric("calibration slope", "one class only, or perfect separation",
                                _calibration_slope, goal=0, unbounded=True, shown="calibration"),
    "calibration_intercept": Metric("calibration intercept", ONE_CLASS, _calibration_intercept,
                                    goal=0, unbounded=True, shown="calibration"),
    "net_benefit": Metric("net benefit", "no photos", _net_benefit, mixed=True, unbounded=True),
    "selection_rate": Metric("share called positive", "no photos", mixed=True, goal=0,
                             ratio=lambda c: (c.tp + c.fp, c.everybody)),
}  # fmt: skip
"""Name in files to `Metric`, in the order of the tables. One entry here is all a new one needs."""

CALIBRATED_FROM = 200
"""Photos (or patients, where they are the unit) from which a calibration error is given."""

FEW_TO_CALIBRATE = f"fewer than {CALIBRATED_FROM} of them: chance alone makes it large"
NO_DRAWS = "no interval: draws raise it; see the reference"

CALIBRATION = ("ece", "calibration_slope", "calibration_intercept")
"""Of these a gap of women and men is 0 where probabilities fit either sex. To deal the sexes anew
within a class breaks that fit, so that such a permutation tests nothing about them."""
